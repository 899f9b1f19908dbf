//! What each service gets.
