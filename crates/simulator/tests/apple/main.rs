//! The simulator over real HTTP, as a client sees it.

mod account_and_tokens;
mod assigning;
mod control;
mod faults;
mod listing;
mod our_client;
mod sessions;
mod support;
