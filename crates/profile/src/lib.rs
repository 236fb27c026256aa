//! Enrollment profiles: files, validation, skip keys, and what Apple receives. No I/O.
//!
//! A file in JSON, TOML or YAML uses Apple's own keys (protocol section 5.1). [`read`] turns its text into a
//! checked [`EnrollmentProfile`], or tells everything that is wrong with it at once:
//!
//! ```
//! use adelie_profile::{Format, read};
//!
//! let checked = read("profile_name: Macs\nurl: https://mdm.example.org/enroll\n", Format::Yaml)?;
//! assert_eq!(checked.profile.name(), "Macs");
//! assert!(checked.warnings.is_empty());
//!
//! let findings = read("profile_name: Macs\nis_mdm_removable: false\n", Format::Yaml).unwrap_err();
//! assert_eq!(findings.errors().count(), 2); // No `url`, and a lock without supervision.
//! # Ok::<(), adelie_profile::Findings>(())
//! ```
//!
//! [`accounts`] are the local accounts of a Mac, [`commands`] what an MDM server sends to make them, and [`import`]
//! reads the profiles of other systems.
//!
//! What the file says is what Apple gets: nothing is added, `false` is sent when it is set, unset keys are left
//! out, and unknown keys pass through unchanged with a warning (field lesson L31). Only [`accounts`] are kept out of it.

pub mod accounts;
mod certificates;
mod check;
pub mod commands;
mod file;
mod finding;
pub mod import;
mod keys;
mod profile;
pub mod skip_keys;
mod skip_setup_items;
mod spelling;
mod texts;

pub use file::{Format, parse, read};
pub use finding::{Finding, Findings, Position, Rule, Severity};
pub use profile::{Checked, EnrollmentProfile};
