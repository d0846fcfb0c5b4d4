//! Backends that are services.
