//! Captures written by hand.
