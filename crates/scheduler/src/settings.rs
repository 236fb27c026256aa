use std::time::Duration;

use adelie_model::Timestamp;
use adelie_store::{Retention, SyncSettings};
use chrono::TimeDelta;

/// How the engine works. The defaults are those of the design, section 4.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Between delta syncs of one MDM server.
    pub delta_interval: TimeDelta,
    /// Between full syncs of one MDM server.
    pub full_interval: TimeDelta,
    /// Between syncs that an operator asks for.
    pub manual_interval: TimeDelta,
    /// Between full syncs that an operator asks for.
    pub manual_full_interval: TimeDelta,
    /// A run ends when nothing has moved for so long.
    pub progress_deadline: Duration,
    /// Percent of a server's devices that a full sync may remove without an operator's word (field lesson L9).
    pub removal_percent: u64,
    /// Days after which a removed device is deleted; until then it comes back with its history.
    pub tombstone_days: u32,
    /// Days after which events are deleted.
    pub event_days: u32,
    /// Runs that are kept of each MDM server.
    pub runs_kept: u32,
    /// So many removals never need an operator's word, unless they are all that there is.
    pub removal_floor: u64,
    /// How long a lease lasts when its holder dies.
    pub lease_ttl: Duration,
    /// Assign requests of one MDM server under way at once.
    pub assigns_in_flight: usize,
    /// When so many pages of a first import wait to be stored, their assignments are sent first. Then storing is what the
    /// import waits for; otherwise Apple is, and pages are stored sooner without.
    pub sends_first_from: usize,
    /// MDM servers worked on at once by one process.
    pub servers_at_once: usize,
    /// Between two tries of a token whose organization has not accepted Apple's terms.
    pub terms_interval: TimeDelta,
    /// Between two tries of a token that Apple refuses for another reason.
    pub token_interval: TimeDelta,
    /// After so long without an answer a sent assignment is read back.
    pub verify_after: TimeDelta,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            delta_interval: TimeDelta::minutes(15),
            full_interval: TimeDelta::days(7),
            manual_interval: TimeDelta::minutes(15),
            manual_full_interval: TimeDelta::days(7),
            progress_deadline: Duration::from_secs(15 * 60),
            removal_percent: 10,
            tombstone_days: 45,
            event_days: 400,
            runs_kept: 1000,
            removal_floor: 5,
            lease_ttl: Duration::from_secs(20),
            assigns_in_flight: 3,
            sends_first_from: 3,
            servers_at_once: 8,
            terms_interval: TimeDelta::hours(1),
            token_interval: TimeDelta::hours(6),
            verify_after: TimeDelta::minutes(5),
        }
    }
}

impl Settings {
    /// What is kept of an MDM server's past at `now`.
    #[must_use]
    pub fn retention(&self, now: Timestamp) -> Retention {
        Retention {
            tombstones_before: now - TimeDelta::days(self.tombstone_days.into()),
            events_before: now - TimeDelta::days(self.event_days.into()),
            runs: self.runs_kept,
        }
    }

    /// These settings with those of one MDM server laid over them.
    #[must_use]
    pub fn of_server(&self, own: &SyncSettings) -> Self {
        let seconds = |set: Option<u32>, default| set.map_or(default, |s| TimeDelta::seconds(i64::from(s)));
        Self {
            delta_interval: seconds(own.delta_interval_s, self.delta_interval),
            full_interval: seconds(own.full_interval_s, self.full_interval),
            manual_interval: seconds(own.manual_interval_s, self.manual_interval),
            manual_full_interval: seconds(own.manual_full_interval_s, self.manual_full_interval),
            progress_deadline: own
                .progress_deadline_s
                .map_or(self.progress_deadline, |s| Duration::from_secs(s.into())),
            removal_percent: own.removal_percent.map_or(self.removal_percent, u64::from),
            tombstone_days: own.tombstone_days.unwrap_or(self.tombstone_days),
            ..self.clone()
        }
    }
}
