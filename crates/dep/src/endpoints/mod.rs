//! One module per endpoint: method and path, limits, request and response.
//!
//! Every type serializes and deserializes, so that a simulator uses the other half. Requests read leniently:
//! a key that is missing reads as an empty value, because it is the server that answers with the right code.

pub mod account;
pub mod account_driven_enrollment;
pub mod activation_lock;
pub mod assign_profile;
pub mod beta_tokens;
pub mod define_profile;
pub mod device_details;
pub mod disown;
pub mod fetch_devices;
pub mod get_profile;
pub mod remove_profile;
pub mod replacement_details;
pub mod session;
pub mod sync_devices;
