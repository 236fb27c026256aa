use serde::{Deserialize, Serialize};

use crate::{RunId, ServerId, Timestamp};

/// What a sync asks Apple for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncKind {
    /// What has changed since the stored cursor.
    Delta,
    /// The whole list, then what has changed since.
    Full,
}

/// Who or what asked for a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The policy's interval had passed.
    Schedule,
    /// An operator asked, within the policy.
    Manual,
    /// An operator asked in spite of the policy.
    Forced,
    /// The cursor was lost, so the whole list is fetched whatever the policy says.
    Recovery,
}

/// Where in Apple's two-phase list a cursor stands (protocol section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncPhase {
    /// In the middle of a full listing: goes on with `POST /server/devices`.
    Fetch,
    /// Past the listing: goes on with `POST /devices/sync`.
    Sync,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// Not ended; or its process was killed, and the next run goes on from its last page.
    Running,
    /// Everything that Apple had was stored.
    Done,
    /// Stopped before the end; `error` says why.
    Failed,
}

macro_rules! words {
    ($name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        impl $name {
            /// The name that stores, JSON and tables use.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The value with that name.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words!(SyncKind { Delta = "delta", Full = "full" });
words!(Trigger { Schedule = "schedule", Manual = "manual", Forced = "forced", Recovery = "recovery" });
words!(SyncPhase { Fetch = "fetch", Sync = "sync" });
words!(RunOutcome { Running = "running", Done = "done", Failed = "failed" });

/// What is done about drift: a device of which Apple shows another profile without our doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftMode {
    /// The wanted profile is assigned again.
    #[default]
    Repair,
    /// It is shown, and nothing is sent until an operator says so.
    Report,
}

words!(DriftMode { Repair = "repair", Report = "report" });

/// What a run has counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Pages stored.
    pub pages: u64,
    /// Device records in those pages, repeats included.
    pub records: u64,
    /// Devices that were new or came back.
    pub added: u64,
    /// Devices of which a fact changed.
    pub modified: u64,
    /// Devices that left.
    pub removed: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.pages += other.pages;
        self.records += other.records;
        self.added += other.added;
        self.modified += other.modified;
        self.removed += other.removed;
    }
}

/// One run of a sync, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncRun {
    /// Its number; full syncs stamp it on the devices they see.
    pub id: RunId,
    /// Of which MDM server.
    pub server: ServerId,
    /// What was asked for.
    pub kind: SyncKind,
    /// Who or what asked.
    pub trigger: Trigger,
    /// The operator who asked; `None` when it was the schedule.
    pub requested_by: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; `None` while it runs, or when its process was killed.
    pub finished_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: RunOutcome,
    /// What went wrong and what to do, when it failed.
    pub error: Option<String>,
    /// What it did.
    pub counts: Counts,
}
