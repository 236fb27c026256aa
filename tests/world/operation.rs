//! What can happen in a world.

use adelie_model::DriftMode;
use adelie_simulator::{Arrival, Departure, SameCursor};
use proptest::prelude::*;
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
    Hold { which: u8 },
    Unhold { which: u8 },
    Retry { which: u8, count: u8, force: bool },
    Archive { which: u8 },
    Sync { copy: u8, full: bool, accept_removals: bool },
    Refresh { copy: u8, which: u8, add: bool },
    Pause,
    Resume,
    Drift(DriftMode),
    RetryProfiles,
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

/// Worlds in which up to so many things happen.
pub fn cases(length: usize) -> impl Strategy<Value = Case> {
    let first = prop_oneof![1 => Just(None), 4 => Just(Some(0)), 1 => Just(Some(1))];
    (
        [0u8..25, 0u8..12],
        3u8..9,
        prop::bool::weighted(0.8),
        [first.clone(), first],
        prop::bool::weighted(0.7),
        prop::collection::vec(scenes(), 1..length),
    )
        .prop_map(|(devices, page, own_changes, defaults, synced, scenes)| Case {
            devices,
            page,
            own_changes,
            defaults,
            synced,
            moves: scenes.into_iter().flatten().collect(),
        })
}

/// What happens in one go: a single thing, or things that mean something together only.
fn scenes() -> impl Strategy<Value = Vec<Move>> {
    prop_oneof![
        6 => moves().prop_map(|one| vec![one]),
        4 => (moves_at_apple(), syncs()).prop_map(|(portal, sync)| vec![portal, sync]),
        2 => (hard_moves(), new_wishes()).prop_map(|(hard, wish)| [vec![hard], wish].concat()),
        2 => takeovers(),
    ]
}

/// An operator's sync at once, so that what was done at Apple is met with.
fn syncs() -> impl Strategy<Value = Move> {
    let order = (0u8..3, prop::bool::weighted(0.4), prop::bool::weighted(0.1))
        .prop_map(|(copy, full, accept_removals)| Order::Sync { copy, full, accept_removals });
    (0u8..2, order, thens())
        .prop_map(|(server, what, then)| Move { what: Operation::Operator { server, what }, then })
}

fn moves_at_apple() -> impl Strategy<Value = Move> {
    (0u8..2, apple())
        .prop_map(|(server, what)| Move { what: Operation::Apple { server, what }, then: Then::Nothing })
}

/// What makes assignments go wrong.
fn hard_moves() -> impl Strategy<Value = Move> {
    let which = any::<u8>;
    let what = prop_oneof![
        3 => (which(), 1u8..20, 1u8..60)
            .prop_map(|(which, count, hours)| Apple::Throttle { which, count, hours }),
        2 => (which(), 1u8..20, 1u8..5).prop_map(|(which, count, times)| Apple::Fail { which, count, times }),
        2 => (0u8..4).prop_map(|keep| Apple::Lie(Lie::LeaveOut { keep })),
        2 => mishaps().prop_map(|what| Apple::Fault(Trouble { path: Path::Assign, skip: 0, times: 1, what })),
    ];
    (0u8..2, what)
        .prop_map(|(server, what)| Move { what: Operation::Apple { server, what }, then: Then::Nothing })
}

/// Another default, and somebody who works on it.
fn new_wishes() -> impl Strategy<Value = Vec<Move>> {
    (0u8..2, 0u8..2, 0u8..3, thens()).prop_map(|(server, profile, copy, then)| {
        let what = Operation::Operator { server, what: Order::Default(Some(profile)) };
        vec![Move { what, then: Then::Nothing }, Move { what: Operation::Wake(copy), then }]
    })
}

/// A copy is stopped or killed in the middle of its work, and another one takes over.
fn takeovers() -> impl Strategy<Value = Vec<Move>> {
    let wished = (0u8..2, 0u8..2)
        .prop_map(|(server, profile)| Operation::Operator { server, what: Order::Default(Some(profile)) });
    let begun = prop_oneof![
        2 => syncs().prop_map(|sync| vec![sync.what]),
        1 => (wished, 0u8..3).prop_map(|(wish, copy)| vec![wish, Operation::Wake(copy)]),
    ];
    let fate = prop_oneof![Just(None), fates().prop_map(Some)];
    (begun, 0u8..60, 0u8..8, fate, any::<bool>(), 0u8..3, 1u32..90, thens()).prop_map(
        |(begun, steps, answers, fate, kill, other, seconds, then)| {
            let copy = begun.iter().find_map(copy_in).unwrap_or_default();
            let quiet = |what| Move { what, then: Then::Nothing };
            let mut moves: Vec<Move> = begun.into_iter().map(quiet).collect();
            if let Some(last) = moves.last_mut() {
                last.then = if answers > 0 { Then::Answers(answers) } else { Then::Steps(steps) };
            }
            moves.extend(fate.map(|fate| quiet(Operation::Decide { nth: 0, fate })));
            moves.push(quiet(if kill { Operation::Crash(copy) } else { Operation::Stall(copy) }));
            moves.push(quiet(Operation::Pass { seconds, wake: false }));
            moves.push(Move { what: Operation::Wake(other), then });
            moves.push(Move { what: Operation::Resume(copy), then: Then::Flow });
            moves
        },
    )
}

/// The copy that is to work.
fn copy_in(operation: &Operation) -> Option<u8> {
    match operation {
        Operation::Wake(copy) | Operation::Operator { what: Order::Sync { copy, .. }, .. } => Some(*copy),
        _ => None,
    }
}

fn moves() -> impl Strategy<Value = Move> {
    (operations(), thens()).prop_map(|(what, then)| Move { what, then })
}

fn thens() -> impl Strategy<Value = Then> {
    prop_oneof![
        6 => Just(Then::Flow),
        2 => (1u8..6).prop_map(Then::Answers),
        2 => Just(Then::Rest),
        2 => (0u8..40).prop_map(Then::Steps),
        1 => Just(Then::Nothing),
    ]
}

fn operations() -> impl Strategy<Value = Operation> {
    let copy = || 0u8..3;
    let store_fault = prop_oneof![
        2 => Just(StoreFault::Before),
        2 => Just(StoreFault::After),
        2 => (0u8..12).prop_map(StoreFault::Torn),
    ];
    prop_oneof![
        8 => (seconds(), prop::bool::weighted(0.7))
            .prop_map(|(seconds, wake)| Operation::Pass { seconds, wake }),
        10 => copy().prop_map(Operation::Wake),
        5 => (0u8..4, fates()).prop_map(|(nth, fate)| Operation::Decide { nth, fate }),
        3 => copy().prop_map(Operation::Crash),
        1 => copy().prop_map(Operation::Quit),
        3 => copy().prop_map(Operation::Stall),
        3 => copy().prop_map(Operation::Resume),
        3 => (copy(), 0u8..12, store_fault)
            .prop_map(|(copy, skip, fault)| Operation::Store { copy, skip, fault }),
        12 => (0u8..2, apple()).prop_map(|(server, what)| Operation::Apple { server, what }),
        8 => (0u8..2, orders()).prop_map(|(server, what)| Operation::Operator { server, what }),
    ]
}

fn seconds() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 1u32..60, 3 => 60u32..3600, 2 => 3600u32..86_400]
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        2 => Just(Fate::Deliver),
        1 => Just(Fate::Refuse),
        2 => Just(Fate::LoseRequest),
        3 => Just(Fate::LoseAnswer),
        3 => Just(Fate::HoldAnswer),
    ]
}

fn arrivals() -> impl Strategy<Value = Arrival> {
    prop_oneof![3 => Just(Arrival::Added), 2 => Just(Arrival::Modified), 1 => Just(Arrival::Silent)]
}

fn departures() -> impl Strategy<Value = Departure> {
    prop_oneof![2 => Just(Departure::Deleted), 1 => Just(Departure::Silent)]
}

fn apple() -> impl Strategy<Value = Apple> {
    let which = any::<u8>;
    let drift = prop_oneof![Just(Drift::Empty), Just(Drift::Removed), Just(Drift::Foreign)];
    prop_oneof![
        4 => (1u8..6, arrivals()).prop_map(|(count, arrival)| Apple::Add { count, arrival }),
        4 => (which(), arrivals()).prop_map(|(which, arrival)| Apple::Return { which, arrival }),
        4 => (which(), 1u8..4, arrivals(), departures()).prop_map(|(which, count, arrival, departure)| {
            Apple::Move { which, count, arrival, departure }
        }),
        4 => (which(), 1u8..9, departures())
            .prop_map(|(which, count, departure)| Apple::Leave { which, count, departure }),
        4 => (which(), drift, any::<bool>())
            .prop_map(|(which, how, silent)| Apple::Drift { which, how, silent }),
        3 => (which(), prop::bool::weighted(0.2)).prop_map(|(which, silent)| Apple::Tag { which, silent }),
        2 => which().prop_map(|which| Apple::SwitchOn { which }),
        4 => (which(), 1u8..8, 1u8..60)
            .prop_map(|(which, count, hours)| Apple::Throttle { which, count, hours }),
        3 => (which(), 1u8..8, 1u8..5).prop_map(|(which, count, times)| Apple::Fail { which, count, times }),
        1 => (which(), 1u8..40).prop_map(|(which, hours)| Apple::Withhold { which, hours }),
        2 => any::<bool>().prop_map(|invalid| Apple::SpoilCursors { invalid }),
        1 => any::<bool>().prop_map(|forget| Apple::EndSessions { forget }),
        10 => troubles().prop_map(Apple::Fault),
        6 => lies().prop_map(Apple::Lie),
    ]
}

fn troubles() -> impl Strategy<Value = Trouble> {
    let path = prop_oneof![
        1 => Just(Path::Any),
        2 => Just(Path::Fetch),
        3 => Just(Path::Sync),
        1 => Just(Path::Details),
        4 => Just(Path::Assign),
        1 => Just(Path::Define),
    ];
    let lists = prop_oneof![Just(Path::Fetch), Just(Path::Sync), Just(Path::Sync)];
    let of_lists = prop_oneof![
        1 => Just(Mishap::SameCursor(SameCursor::WithDevices)),
        1 => Just(Mishap::SameCursor(SameCursor::WithoutDevices)),
        1 => (1u8..4).prop_map(Mishap::Repeat),
        4 => (1u8..9).prop_map(Mishap::Redeliver),
        2 => any::<bool>().prop_map(|invalid| Mishap::Cursor { invalid }),
    ];
    let pair = prop_oneof![(path, mishaps()), (lists, of_lists)];
    (pair, 0u8..3, 1u8..4).prop_map(|((path, what), skip, times)| Trouble { path, skip, times, what })
}

/// What any request can meet with.
fn mishaps() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        4 => (2u8..120).prop_map(|minutes| Mishap::Busy { minutes }),
        2 => any::<bool>().prop_map(|effect| Mishap::Failed { effect }),
        1 => Just(Mishap::Empty),
        1 => Just(Mishap::Malformed),
        2 => any::<bool>().prop_map(|effect| Mishap::Cut { effect }),
        1 => Just(Mishap::Truncated),
    ]
}

fn lies() -> impl Strategy<Value = Lie> {
    prop_oneof![
        2 => (0u8..6).prop_map(|keep| Lie::ShortListing { keep }),
        2 => Just(Lie::MoreToFollow),
        2 => (0u8..4).prop_map(|keep| Lie::LeaveOut { keep }),
        1 => (0u8..4).prop_map(|keep| Lie::Forget { keep }),
    ]
}

fn orders() -> impl Strategy<Value = Order> {
    let which = any::<u8>;
    let default = prop_oneof![1 => Just(None), 3 => Just(Some(0)), 3 => Just(Some(1))];
    let drift = prop_oneof![Just(DriftMode::Repair), Just(DriftMode::Report)];
    prop_oneof![
        4 => default.prop_map(Order::Default),
        2 => which().prop_map(|which| Order::Hold { which }),
        2 => which().prop_map(|which| Order::Unhold { which }),
        3 => (which(), 1u8..9, any::<bool>())
            .prop_map(|(which, count, force)| Order::Retry { which, count, force }),
        1 => which().prop_map(|which| Order::Archive { which }),
        5 => (0u8..3, any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(copy, full, accept_removals)| Order::Sync { copy, full, accept_removals }),
        2 => (0u8..3, which(), any::<bool>()).prop_map(|(copy, which, add)| Order::Refresh { copy, which, add }),
        1 => Just(Order::Pause),
        1 => Just(Order::Resume),
        1 => drift.prop_map(Order::Drift),
        1 => Just(Order::RetryProfiles),
    ]
}
