//! An HTTP/1.1 and HTTP/2 server around any service.

mod connection;

pub use connection::{Connection, Hold};
