//! The hub: receives every host's metrics, remembers them, and shows them to those who ask.
