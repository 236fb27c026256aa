use std::collections::BTreeMap;

use adelie_model::{Counts, Device, OpType, SyncKind, Timestamp, Trigger};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::NewEvent;
use crate::PageCommit;

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

/// The event of what waits for an operator after a run, where that is news.
#[must_use]
pub fn attention_changed(before: Option<&str>, after: Option<&str>) -> Option<NewEvent> {
    let reason = after.filter(|after| before != Some(after))?;
    Some(NewEvent::new("removals.held", &RemovalsHeld { reason: reason.to_owned() }))
}

/// The event of a position that is lost.
#[must_use]
pub fn full_sync_required() -> NewEvent {
    let reason = "Apple no longer knows the cursor; the whole list is fetched anew".to_owned();
    NewEvent::new("full_sync.required", &FullSyncRequired { reason })
}

/// The event of a page that was stored.
#[must_use]
pub fn sync_page(page: &PageCommit) -> NewEvent {
    let devices = page.records.iter().map(|record| PageDevice {
        serial_number: record.serial.as_str().to_owned(),
        op_type: record.op_type.as_ref().map(|op_type| OpType::as_str(op_type).to_owned()),
        op_date: record.op_date,
    });
    of_page(page, devices)
}

/// The same of a page whose records have become devices.
pub(crate) fn listed_page<'d>(page: &PageCommit, devices: impl Iterator<Item = &'d Device>) -> NewEvent {
    let listed = |device: &Device| PageDevice {
        serial_number: device.serial.as_str().to_owned(),
        op_type: None,
        op_date: device.op_date,
    };
    of_page(page, devices.map(listed))
}

fn of_page(page: &PageCommit, devices: impl Iterator<Item = PageDevice>) -> NewEvent {
    let details = SyncPage {
        phase: page.phase.as_str(),
        cursor: Some(page.cursor.as_str().to_owned()),
        fetched_until: page.fetched_until,
        more_to_follow: page.more,
        devices: devices.collect(),
    };
    NewEvent::new("sync.page", &details)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta<'a>(error: Option<&'a str>, error_before: Option<&'a str>, added: u64) -> Ended<'a> {
        Ended {
            kind: SyncKind::Delta,
            trigger: Trigger::Schedule,
            counts: Counts { added, ..Counts::default() },
            error,
            failures_before: u32::from(error_before.is_some()),
            error_before,
        }
    }

    fn told(run: &Ended<'_>) -> Option<&'static str> {
        run_ended(run).map(|event| event.kind)
    }

    #[test]
    fn a_failure_is_told_once_for_each_cause() {
        assert_eq!(told(&delta(Some("no route"), None, 0)), Some("sync.failed"));
        assert_eq!(told(&delta(Some("no route"), Some("no route"), 0)), None);
        assert_eq!(told(&delta(Some("refused"), Some("no route"), 0)), Some("sync.failed"));
        assert_eq!(told(&delta(None, Some("refused"), 0)), Some("sync.completed"), "the trouble is over");
        let before_it_went_well =
            Ended { failures_before: 0, ..delta(Some("no route"), Some("no route"), 0) };
        assert_eq!(told(&before_it_went_well), Some("sync.failed"));
    }

    #[test]
    fn a_delta_sync_without_news_is_not_told() {
        assert_eq!(told(&delta(None, None, 0)), None);
        assert_eq!(told(&delta(None, None, 1)), Some("sync.completed"));
        assert_eq!(told(&Ended { kind: SyncKind::Full, ..delta(None, None, 0) }), Some("sync.completed"));
    }

    #[test]
    fn what_waits_for_an_operator_is_told_when_it_is_new() {
        let told = |before, after| attention_changed(before, after).map(|event| event.kind);
        assert_eq!(told(None, Some("3 of 4")), Some("removals.held"));
        assert_eq!(told(Some("3 of 4"), Some("3 of 4")), None);
        assert_eq!(told(Some("3 of 4"), Some("4 of 4")), Some("removals.held"));
        assert_eq!(told(Some("3 of 4"), None), None);
    }
}
