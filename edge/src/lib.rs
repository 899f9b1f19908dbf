//! The edge: a public, read-only, redacted view of the fleet.
