//! The terminal: the whole fleet, live or at any past second.
