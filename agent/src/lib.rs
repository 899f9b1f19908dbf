//! The agent: collects one host's metrics and pushes them to the hub.
