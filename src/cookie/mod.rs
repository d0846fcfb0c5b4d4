//! Sessions that stay by a cookie: an authenticated token of the backend, which needs no table.
