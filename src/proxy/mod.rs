//! The parts of a reverse proxy.
