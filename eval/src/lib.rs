//! Scores of predicted masks against samples. No Burn, no models.
