//! The Apple device assignment (DEP, ADE) web service as typed endpoints, and its client.
//!
//! Two layers. [`endpoints`] has one module per endpoint with both halves of the wire, so that a client and
//! a simulator share the types. [`Client`] sends them: it opens and keeps the session of one server token,
//! keeps to Apple's limits, and turns every answer into a value or into an [`Error`] that says what to do.
//!
//! This crate stores nothing, retries nothing by itself except once after a session has ended, and reads
//! neither the real clock nor real randomness: both are passed in. So is the way to Apple, where it is not to
//! be the network: see [`Transport`] and [`Client::with_transport`].

pub mod apple_code;
pub mod client;
pub mod device;
pub mod device_result;
pub mod endpoint;
pub mod endpoints;
pub mod error;
mod http_transport;
mod lenient;
mod masked;
mod oauth;
pub mod page;
mod problem;
mod retry_after;
pub mod transport;
mod words;

/// What is read from outside and nobody else need call: for the fuzzing in `fuzz/`.
#[cfg(fuzzing)]
pub mod fuzzing {
    /// How long a header `Retry-After` asks to wait.
    #[must_use]
    pub fn retry_after(value: &str, now: adelie_model::Timestamp) -> Option<std::time::Duration> {
        crate::retry_after::parse(value, now)
    }
}

pub use apple_code::AppleCode;
pub use client::{AssignMethod, Client, Options};
pub use device::Device;
pub use device_result::DeviceResult;
pub use endpoint::{Endpoint, InvalidRequest, MAX_SERIALS, MalformedAnswer, Method};
pub use error::{Answer, Call, CursorProblem, Error, TokenProblem};
pub use http_transport::HttpTransport;
pub use page::DevicePage;
pub use transport::{Delivery, Head, Transport, TransportError};
