//! What can happen in a world.

use adelie_model::DriftMode;
use adelie_simulator::{Arrival, Departure, SameCursor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a world begins and what happens in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Devices of the two MDM servers at the beginning.
    pub devices: [u8; 2],
    /// Devices in one of Apple's pages.
    pub page: u8,
    /// Whether our own assignments come back as events.
    pub own_changes: bool,
    /// Default profiles at the beginning.
    pub defaults: [Option<u8>; 2],
    /// Whether the first full sync has been done when it begins.
    pub synced: bool,
    pub moves: Vec<Move>,
}

/// Something that happens, and how far everybody goes on after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Move {
    pub what: Operation,
    pub then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// Nobody goes on.
    Nothing,
    /// So many steps of whoever can go on.
    Steps(u8),
    /// Until everybody waits for an answer or for time.
    Rest,
    /// Until so many requests were answered and everybody waits again.
    Answers(u8),
    /// Until everybody has done what there is to do.
    Flow,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Seconds pass, from alarm to alarm; at their end every copy looks for work, or none does.
    Pass { seconds: u32, wake: bool },
    /// A copy looks for work.
    Wake(u8),
    /// Something that is on its way meets its fate.
    Decide { nth: u8, fate: Fate },
    /// SIGKILL; the copy starts again at once.
    Crash(u8),
    /// SIGTERM; the copy starts again at once.
    Quit(u8),
    /// SIGSTOP.
    Stall(u8),
    /// SIGCONT.
    Resume(u8),
    /// A later call of a copy to its store fails.
    Store { copy: u8, skip: u8, fault: StoreFault },
    /// Something in Apple's portal, or on Apple's side.
    Apple { server: u8, what: Apple },
    /// Something that an operator does.
    Operator { server: u8, what: Order },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    Deliver,
    /// No connection: it did not leave.
    Refuse,
    /// It is lost before Apple has it.
    LoseRequest,
    /// It takes effect, and the answer is lost.
    LoseAnswer,
    /// It takes effect, and the answer takes its time.
    HoldAnswer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreFault {
    /// It fails and has done nothing.
    Before,
    /// It has done it and says that it failed.
    After,
    /// The copy crashes in the middle of it, after so many waits for the database.
    Torn(u8),
    /// The copy is stopped while what it writes under its lease is on its way to the database, and it arrives once the copy
    /// goes on.
    Late,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Apple {
    Add {
        count: u8,
        arrival: Arrival,
    },
    /// A device that had left comes back.
    Return {
        which: u8,
        arrival: Arrival,
    },
    /// To the other MDM server.
    Move {
        which: u8,
        count: u8,
        arrival: Arrival,
        departure: Departure,
    },
    Leave {
        which: u8,
        count: u8,
        departure: Departure,
    },
    /// Somebody takes the profile away or gives another one.
    Drift {
        which: u8,
        how: Drift,
        silent: bool,
    },
    Tag {
        which: u8,
        silent: bool,
    },
    /// The device is switched on and fetches its profile.
    SwitchOn {
        which: u8,
    },
    Throttle {
        which: u8,
        count: u8,
        hours: u8,
    },
    Fail {
        which: u8,
        count: u8,
        times: u8,
    },
    /// Its events of the next hours are never reported.
    Withhold {
        which: u8,
        hours: u8,
    },
    SpoilCursors {
        invalid: bool,
    },
    EndSessions {
        forget: bool,
    },
    Fault(Trouble),
    Lie(Lie),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    Empty,
    Removed,
    Foreign,
}

/// What the next requests of a kind meet with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trouble {
    pub path: Path,
    pub skip: u8,
    pub times: u8,
    pub what: Mishap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    Any,
    Fetch,
    Sync,
    Details,
    Assign,
    Define,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mishap {
    Busy {
        minutes: u8,
    },
    Failed {
        effect: bool,
    },
    Empty,
    Malformed,
    Cut {
        effect: bool,
    },
    Truncated,
    SameCursor(SameCursor),
    Repeat(u8),
    Redeliver(u8),
    /// The cursor is refused, as expired or as invalid.
    Cursor {
        invalid: bool,
    },
}

/// A good answer that is not true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lie {
    /// A listing ends early and looks complete.
    ShortListing { keep: u8 },
    /// The last page of a listing says that there is more; then Apple says that the cursor is exhausted.
    MoreToFollow,
    /// The answer to an assignment does not mention some devices.
    LeaveOut { keep: u8 },
    /// The answer to device details does not mention some devices.
    Forget { keep: u8 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    Default(Option<u8>),
    Hold {
        which: u8,
    },
    Unhold {
        which: u8,
    },
    Retry {
        which: u8,
        count: u8,
        force: bool,
    },
    Archive {
        which: u8,
    },
    Sync {
        copy: u8,
        full: bool,
        accept_removals: bool,
    },
    Refresh {
        copy: u8,
        which: u8,
        add: bool,
    },
    Pause,
    Resume,
    Drift(DriftMode),
    RetryProfiles,
    /// A new revision of a profile, for so many percent of its devices; 100 puts it in force.
    Revise {
        profile: u8,
        percent: u8,
    },
    /// A step of the roll-out of a revision, if there is one under way.
    RollOut {
        profile: u8,
        step: Step,
    },
    /// The rule that gives a profile to devices with a tag comes, or goes when it is there.
    Rule {
        profile: u8,
        limited: bool,
    },
    /// Devices get that tag, or lose it.
    Mark {
        which: u8,
        count: u8,
        on: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Percent(u8),
    Pause,
    Continue,
    Abort,
}

impl Path {
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::Fetch => Some("/server/devices"),
            Self::Sync => Some("/devices/sync"),
            Self::Details => Some("/devices"),
            Self::Assign => Some("/profile/devices"),
            Self::Define => Some("/profile"),
        }
    }
}

impl Lie {
    /// To which requests it is told.
    pub fn path(self) -> &'static str {
        match self {
            Self::ShortListing { .. } | Self::MoreToFollow => "/server/devices",
            Self::LeaveOut { .. } => "/profile/devices",
            Self::Forget { .. } => "/devices",
        }
    }

    /// What becomes of an answer; `None` when nothing does.
    pub fn tell(self, body: &[u8]) -> Option<Vec<u8>> {
        let mut answer: Value = serde_json::from_slice(body).ok()?;
        match self {
            Self::ShortListing { keep } => {
                answer["devices"].as_array_mut()?.truncate(keep.into());
                answer["more_to_follow"] = false.into();
            }
            Self::MoreToFollow => {
                if answer["more_to_follow"] == Value::Bool(true) {
                    return None;
                }
                answer["more_to_follow"] = true.into();
            }
            Self::LeaveOut { keep } | Self::Forget { keep } => {
                let devices = answer["devices"].as_object_mut()?;
                let kept =
                    devices.iter().take(keep.into()).map(|(name, value)| (name.clone(), value.clone()));
                *devices = kept.collect();
            }
        }
        serde_json::to_vec(&answer).ok()
    }
}
