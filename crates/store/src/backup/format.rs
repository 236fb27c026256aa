use std::borrow::Cow;
use std::collections::BTreeMap;

use adelie_model::Timestamp;
use serde::{Deserialize, Serialize};

/// The word by which a backup is known.
pub(super) const FORMAT: &str = "adelie-backup";
/// The version of the form of the file. What is in it has a version of its own.
pub(super) const NUMBER: u32 = 1;

/// Where and when a backup is made.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The version of the program.
    pub adelie: String,
    /// The moment.
    pub made_at: Timestamp,
}

/// The first line of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub(super) format: String,
    pub(super) number: u32,
    /// The version of the program that made it.
    pub adelie: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// The database that it was made of, like `sqlite`.
    pub database: String,
    /// The name of the installation that it was made of: 32 hex digits.
    pub installation: String,
    /// The version of the catalogue of tables and columns.
    pub schema: u32,
    /// The ids of the master keys that its data keys are sealed under.
    pub master_keys: Vec<String>,
    /// How many rows it has in all.
    pub rows: u64,
}

/// What tells a backup, and whether it can be read: this much is the same in all versions.
#[derive(Deserialize)]
pub(super) struct Recognized {
    pub(super) format: String,
    pub(super) number: u32,
}

/// The line in front of a table's rows.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Opening<'a> {
    #[serde(borrow)]
    pub(super) table: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) columns: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_number: Option<i64>,
}

/// The last line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    pub(super) end: BTreeMap<String, u64>,
    pub(super) sha256: String,
}

/// What the last line begins with, and no other.
pub(super) const END: &str = r#"{"end":"#;
