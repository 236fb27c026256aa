//! The client against a local server, and the wire types against third-party schemas.

mod failures;
mod limits;
mod schemas;
mod sessions;
mod support;
mod waiting;
