//! Profiles, rules, defaults and server settings as files under version control. No I/O.
//!
//! A folder holds what is wanted ([`Wanted`]):
//!
//! - `profiles/NAME.toml` (or `.yaml`, `.yml`, `.json`): one profile each; the file's name is the profile's.
//! - `rules.toml` (or …): the rules, in their order.
//! - `servers.toml` (or …): defaults and settings of MDM servers.
//!
//! [`changes`] says which changes lead from what is decided now to what is wanted, [`Effect`] what they mean for devices,
//! and [`export`] writes a folder that wants what is decided now. What a folder has no file for, it says nothing about:
//! without `rules.toml` no rule is touched.

mod changes;
mod effect;
mod export;
mod file;
mod order;
mod rules_file;
mod servers_file;
#[cfg(test)]
mod tests;
mod wanted;

pub use changes::{Prune, changes, left_alone};
pub use effect::{Effect, Evaluator, Given, Move};
pub use export::{ExportedProfile, export};
pub use file::Problem;
pub use rules_file::WantedRule;
pub use servers_file::WantedServer;
pub use wanted::{FolderFile, Reader, Wanted, WantedProfile};
