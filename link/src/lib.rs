//! The QUIC shell: connect, listen, hello, framed streams, reconnecting with back-off.
