use adelie_model::to_millis;
use openssl::sha::sha256;
use serde_json::json;

use super::{AuditEntry, NewAudit, facts};
use crate::Operator;

/// What stands for the hash before the first entry: 64 zeros.
pub const ORIGIN: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The end of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// The number of the last entry; 0 when there is none.
    pub number: i64,
    /// Its hash, hex; [`ORIGIN`] when there is none.
    pub hash: String,
}

impl Default for AuditHead {
    fn default() -> Self {
        Self { number: 0, hash: ORIGIN.to_owned() }
    }
}

impl std::fmt::Display for AuditHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.number, self.hash)
    }
}

impl AuditEntry {
    /// The end of a chain that ends with this entry.
    #[must_use]
    pub fn head(&self) -> AuditHead {
        AuditHead { number: self.number, hash: self.hash.clone() }
    }
}

/// The hash of an entry behind another one: SHA-256, hex, of this JSON array in UTF-8, without blanks between its parts:
///
/// ```text
/// [previous, number, at, actor, action, object kind, object name, before, after, reason, request]
/// ```
///
/// `at` is in milliseconds since 1970. `before` and `after` are the texts as stored, as JSON strings, or null. A string
/// has backslashes before quotation marks and backslashes, `\b \f \n \r \t` and else `\u00xx` for control characters, and
/// every other character as it is. docs/audit.md says how to do it in Python; so this must never change.
#[must_use]
pub fn chain(previous: &str, entry: &AuditEntry) -> String {
    let form = json!([
        previous,
        entry.number,
        entry.at.timestamp_millis(),
        entry.actor,
        entry.action,
        entry.object.kind,
        entry.object.name,
        entry.before,
        entry.after,
        entry.reason,
        entry.request,
    ]);
    hex::encode(sha256(form.to_string().as_bytes()))
}

/// Makes entries of what somebody did, behind the end of the chain.
#[must_use]
pub fn link(head: &AuditHead, by: &Operator, new: &[NewAudit]) -> Vec<AuditEntry> {
    let mut head = head.clone();
    let mut entries = Vec::with_capacity(new.len());
    for new in new {
        let mut entry = AuditEntry {
            number: head.number + 1,
            at: to_millis(by.now),
            actor: facts::storable(&by.name),
            action: new.action.as_str().to_owned(),
            object: super::AuditObject {
                kind: facts::storable(&new.object.kind),
                name: facts::without_secrets(&new.object.name),
            },
            before: new.before.as_ref().map(ToString::to_string),
            after: new.after.as_ref().map(ToString::to_string),
            reason: by.reason.as_deref().map(facts::storable),
            request: by.request.to_string(),
            hash: String::new(),
        };
        entry.hash = chain(&head.hash, &entry);
        head = entry.head();
        entries.push(entry);
    }
    entries
}
