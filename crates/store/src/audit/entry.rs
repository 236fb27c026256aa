use adelie_model::Timestamp;

use super::{AuditAction, Facts};

/// What was done, before it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAudit {
    /// What was done.
    pub action: AuditAction,
    /// To what.
    pub object: AuditObject,
    /// How it was; `None` when it was not there, or does not matter.
    pub before: Option<Facts>,
    /// How it is; `None` when it is gone, or does not matter.
    pub after: Option<Facts>,
}

/// What something was done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditObject {
    /// Its kind, like `server`, `profile`, `device`.
    pub kind: String,
    /// Its name: what people call it, not its number in the database, if it has a name.
    pub name: String,
}

/// An entry as it is stored. All of it is under its hash; see [`chain`](super::chain).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number: one more than that of the entry before it, from 1.
    pub number: i64,
    /// When it was done, to the millisecond.
    pub at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// What was done: a word of [`AuditAction`], or of a newer catalogue.
    pub action: String,
    /// To what.
    pub object: AuditObject,
    /// How it was: the text of a JSON object, as it was hashed.
    pub before: Option<String>,
    /// How it is: the text of a JSON object, as it was hashed.
    pub after: Option<String>,
    /// Why, in their words.
    pub reason: Option<String>,
    /// The run of the command, or the request, that it was part of: a UUID with hyphens, in small letters.
    pub request: String,
    /// The hash of the entry, hex.
    pub hash: String,
}

/// The kinds of objects.
pub const KINDS: [&str; 10] =
    ["server", "profile", "rule", "rules", "device", "bulk", "webhook", "delivery", "key", "backup"];

impl AuditObject {
    /// An object of that kind and name.
    pub fn new(kind: &str, name: impl ToString) -> Self {
        Self { kind: kind.to_owned(), name: name.to_string() }
    }
}

impl std::fmt::Display for AuditObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

impl NewAudit {
    /// An entry without before and after.
    pub fn new(action: AuditAction, object: AuditObject) -> Self {
        Self { action, object, before: None, after: None }
    }

    /// The same with how it was.
    #[must_use]
    pub fn before(self, before: Facts) -> Self {
        Self { before: Some(before), ..self }
    }

    /// The same with how it is.
    #[must_use]
    pub fn after(self, after: Facts) -> Self {
        Self { after: Some(after), ..self }
    }
}
