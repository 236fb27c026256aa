//! End-to-end tests: the real `adelie` binary against the simulated Apple, on both databases.
//! `tests/README.md` says how to run them.

#[macro_use]
mod harness;

mod assignments;
mod concurrency;
mod crash;
mod cursors;
mod delta;
mod demo;
mod help;
mod profile_files;
mod removals;
mod secrets;
mod serve;
mod token_files;
mod token_states;
mod whole_way;
mod wrong_input;
