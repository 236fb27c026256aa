//! Enrollment profiles: files, validation, skip keys, and what Apple receives. No I/O.
//!
//! A file in TOML, YAML or JSON is in one of two forms. Ours has a `name`, and what administrators decide: user
//! affinity, awaiting configuration, a lock, panes, accounts. Apple's has a `profile_name` and Apple's own keys
//! (protocol section 5.1). [`read_document`] turns the text of either into a checked [`ProfileDocument`], or tells
//! everything that is wrong with it at once:
//!
//! ```
//! use adelie_profile::{Format, Outside, read_document};
//!
//! let outside = Outside::without_files(chrono::DateTime::UNIX_EPOCH);
//! let file = "name = 'Macs'\nurl = 'https://mdm.example.org/enroll'\nlocked = true\n";
//! let macs = read_document(file, Format::Toml, &outside)?.document;
//! assert_eq!(macs.apple()["is_mdm_removable"], false);
//! assert!(macs.profile().awaits_configuration());
//!
//! let findings = read_document("profile_name: Macs\nis_mdm_removable: false\n", Format::Yaml, &outside).unwrap_err();
//! assert_eq!(findings.errors().count(), 2); // No `url`, and a lock without supervision.
//! # Ok::<(), adelie_profile::Findings>(())
//! ```
//!
//! [`accounts`] are the local accounts of a Mac, [`commands`] what an MDM server sends to make them, and [`import`]
//! reads the profiles of other systems. [`schema`] is our form for editors.
//!
//! What a file in Apple's form says is what Apple gets: nothing is added, `false` is sent when it is set, unset keys
//! are left out, and unknown keys pass through unchanged with a warning (field lesson L31). Our form awaits configuration
//! and supervises unless it is told otherwise. [`accounts`] never reach Apple.

pub mod accounts;
mod certificates;
mod check;
pub mod commands;
mod difference;
mod document;
mod file;
mod finding;
mod form;
pub mod import;
mod keys;
mod os_version;
mod profile;
mod schema;
pub mod skip_keys;
mod skip_setup_items;
mod spelling;
mod target;
mod texts;

pub use difference::{KeyChange, difference};
pub use document::{
    CheckedDocument, NoStoredSecrets, Outside, ProfileDocument, StoredDocumentError, WriteError,
    read_document, write,
};
pub use file::{Format, parse, read};
pub use finding::{Finding, Findings, Position, Rule, Severity};
pub use form::Form;
pub use os_version::{NoVersion, OsVersion};
pub use profile::{Checked, EnrollmentProfile};
pub use schema::{SCHEMA_URL, schema};
pub use target::{Target, TargetError};
