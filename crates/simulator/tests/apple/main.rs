//! The simulator as a client sees it: over real HTTP, and in the same process.

mod account_and_tokens;
mod assigning;
mod control;
mod faults;
mod in_process;
mod listing;
mod our_client;
mod sessions;
mod support;
