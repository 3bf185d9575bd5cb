//! Inscribed circles of a mask, exactly, in integers (helper C).
