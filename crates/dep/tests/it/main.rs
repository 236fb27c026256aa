//! The client against a local server and without any, and the wire types against third-party schemas.

mod failures;
mod limits;
mod schemas;
mod sessions;
mod support;
mod transport;
mod waiting;
