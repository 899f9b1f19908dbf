//! The compressed ring: rows in, any past second out.
