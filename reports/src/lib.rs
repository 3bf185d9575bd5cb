//! Pages, contact sheets and tables that people look at.
