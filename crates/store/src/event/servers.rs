use std::collections::BTreeMap;

use adelie_model::{Counts, SyncKind, Timestamp, TokenState, Trigger};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::NewEvent;

/// Details of what an operator did to an MDM server.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OperatorAction {
    /// Who did it.
    pub by: String,
}

/// Details of changed defaults.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DefaultsChanged {
    /// Who did it.
    pub by: String,
    /// The profile for each device family that was changed, or for `any`; null where there is none any more.
    pub defaults: BTreeMap<String, Option<String>>,
}

/// Details of changed sync settings.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SettingsChanged {
    /// Who did it.
    pub by: String,
    /// All that is set for this MDM server now.
    #[schemars(with = "Map<String, Value>")]
    pub settings: crate::SyncSettings,
}

/// Details of profiles that are defined again.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ProfilesRetried {
    /// Who asked for it.
    pub by: String,
    /// How many profiles.
    pub profiles: u64,
}

/// Details of a sync that has ended.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RunEnded {
    /// `delta` or `full`.
    pub kind: &'static str,
    /// Who or what asked for it: `schedule`, `manual`, `forced` or `recovery`.
    pub trigger: &'static str,
    /// Device records that Apple sent, repeats included.
    pub records: u64,
    /// Devices that were new or came back.
    pub added: u64,
    /// Devices of which a fact changed.
    pub modified: u64,
    /// Devices that left.
    pub removed: u64,
    /// Why it failed, with what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Syncs in a row that had failed before this one.
    pub failures_before: u32,
}

/// Details of a page that was stored.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SyncPage {
    /// `fetch` for a page of the whole list, `sync` for one of changes.
    pub phase: &'static str,
    /// Apple's cursor after this page.
    pub cursor: Option<String>,
    /// Until when Apple's list is told by it.
    pub fetched_until: Option<Timestamp>,
    /// Whether another page follows.
    pub more_to_follow: bool,
    /// The devices of the page.
    pub devices: Vec<PageDevice>,
}

/// A device of a page.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PageDevice {
    /// Its serial number.
    pub serial_number: String,
    /// What Apple says happened to it; absent in a whole list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub op_type: Option<String>,
    /// When that happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub op_date: Option<Timestamp>,
}

/// Details of a position that is lost.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FullSyncRequired {
    /// Why.
    pub reason: String,
}

/// Details of removals that wait for a word.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RemovalsHeld {
    /// How many are absent of how many, and what to do.
    pub reason: String,
}

/// Details of how a token stands now.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TokenChanged {
    /// How it stands: `valid`, `expiring`, `expired`, `rejected`, `superseded` or `terms_not_signed`.
    pub state: &'static str,
    /// How it stood before.
    pub was: &'static str,
    /// Apple's word or the cause.
    pub reason: Option<String>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
}

/// Details of an imported token.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TokenRenewed {
    /// When it expires.
    pub expires_at: Timestamp,
    /// Whether it is for another MDM server of Apple's than the one before.
    pub another_server: bool,
}

/// A run that ends, as its event is worked out from it.
#[derive(Clone, Debug)]
pub struct Ended<'a> {
    /// What kind it was.
    pub kind: SyncKind,
    /// Who asked for it.
    pub trigger: Trigger,
    /// What it counted.
    pub counts: Counts,
    /// Why it failed.
    pub error: Option<&'a str>,
    /// Failed runs in a row before it.
    pub failures_before: u32,
    /// Why the last of those failed.
    pub error_before: Option<&'a str>,
}

/// The event of a run that ends: one that failed by another cause than the one before, and one that ended well and
/// brought news. Nobody wants to hear every quarter of an hour, of each of 2,000 servers, that nothing happened.
#[must_use]
pub fn run_ended(run: &Ended<'_>) -> Option<NewEvent> {
    let counts = &run.counts;
    let kind = match run.error {
        Some(error) if run.error_before == Some(error) && run.failures_before > 0 => return None,
        Some(_) => "sync.failed",
        None if run.failures_before > 0 || run.kind == SyncKind::Full => "sync.completed",
        None if counts.added + counts.modified + counts.removed > 0 => "sync.completed",
        None => return None,
    };
    let details = RunEnded {
        kind: run.kind.as_str(),
        trigger: run.trigger.as_str(),
        records: counts.records,
        added: counts.added,
        modified: counts.modified,
        removed: counts.removed,
        error: run.error.map(str::to_owned),
        failures_before: run.failures_before,
    };
    Some(NewEvent::new(kind, &details))
}

/// The event of a token that stands otherwise than before. That Apple could not be reached is told by the sync that
/// fails.
#[must_use]
pub fn token_changed(
    was: TokenState,
    is: TokenState,
    reason: Option<&str>,
    expires_at: Option<Timestamp>,
) -> Option<NewEvent> {
    use TokenState::{
        Expired, Expiring, None as Nothing, Rejected, Superseded, TermsNotSigned, Unreachable, Valid,
    };
    let kind = match (was, is) {
        (was, is) if was == is => return None,
        (_, Rejected | Superseded) => "token.invalid",
        (_, Expired) => "token.expired",
        (_, TermsNotSigned) => "terms.required",
        (TermsNotSigned, Valid | Expiring) => "terms.accepted",
        (_, Expiring) => "token.expiring",
        (_, Nothing | Valid | Unreachable) => return None,
    };
    let details =
        TokenChanged { state: is.as_str(), was: was.as_str(), reason: reason.map(str::to_owned), expires_at };
    Some(NewEvent::new(kind, &details))
}
