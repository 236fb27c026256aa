//! What pages make of devices. Each case plays pages against devices kept in a map, as a driver would.

use serde_json::json;
use std::collections::HashMap;

use adelie_model::{
    Actual, AssignState, Assignment, Counts, Device, DeviceFamily, DriftMode, OpType, ProfileStatus,
    ProfileUuid, RevisionId, RunId, SerialNumber, ServerId, Timestamp,
};
use adelie_rules::{Defaults, Scope};

use super::*;

mod drift;
mod operate;
mod properties;

const WANTED: RevisionId = RevisionId(1);
const OTHER: RevisionId = RevisionId(2);

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds)
}

fn serial(text: &str) -> SerialNumber {
    SerialNumber::from_apple(text.to_owned())
}

fn uuid(text: &str) -> Option<ProfileUuid> {
    Some(ProfileUuid(text.to_owned()))
}

/// Revision 1 for every device, known to Apple as `W`; revision 2 is `O`.
fn policy(wanted: Option<RevisionId>) -> Policy {
    let defaults = Defaults::new(wanted.map(|revision| (Scope::Any, revision)));
    let published = [(WANTED, ProfileUuid("W".to_owned())), (OTHER, ProfileUuid("O".to_owned()))];
    Policy::of_defaults(defaults, published.into(), DriftMode::Repair)
}

fn record(text: &str, op: Option<(OpType, i64)>) -> Record {
    Record {
        serial: serial(text),
        actual: Actual {
            model: Some("iPad".to_owned()),
            device_family: Some(DeviceFamily::IPad),
            profile_status: Some(ProfileStatus::Empty),
            ..Actual::default()
        },
        op_date: op.as_ref().map(|(_, seconds)| at(*seconds)),
        op_type: op.map(|(op_type, _)| op_type),
    }
}

fn showing(record: Record, status: ProfileStatus, profile: &str) -> Record {
    let actual = Actual { profile_status: Some(status), profile_uuid: uuid(profile), ..record.actual };
    Record { actual, ..record }
}

/// Devices as a driver stores them.
struct Shelf {
    devices: HashMap<SerialNumber, Device>,
    policy: Policy,
    now: i64,
}

impl Shelf {
    fn new() -> Self {
        Self { devices: HashMap::new(), policy: policy(Some(WANTED)), now: 100 }
    }

    fn commit(&mut self, source: Source, records: &[Record]) -> PagePlan {
        self.now += 1;
        let context = PageContext {
            server: ServerId(1),
            seen_run: RunId(self.now),
            now: at(self.now),
            source,
            first_import: false,
        };
        let plan = plan(&context, records, self.devices.clone(), &self.policy);
        for device in plan.writes.iter() {
            self.devices.insert(device.serial.clone(), device.clone());
        }
        plan
    }

    /// A listing of one device, and then this assignment, as after a claim or a settlement.
    fn with(state: AssignState, wanted: RevisionId) -> Self {
        let mut shelf = Self::new();
        shelf.commit(Source::Whole, &[record("A", None)]);
        let device = shelf.device_mut("A");
        device.assignment = Assignment {
            state,
            reason: "as set".to_owned(),
            attempts: 2,
            next_attempt_at: Some(at(5000)),
            wanted: Some(wanted),
            rule: None,
        };
        shelf
    }

    fn device(&self, text: &str) -> &Device {
        &self.devices[&serial(text)]
    }

    fn device_mut(&mut self, text: &str) -> &mut Device {
        self.devices.get_mut(&serial(text)).expect("it was committed")
    }

    fn state(&self, text: &str) -> AssignState {
        self.device(text).assignment.state
    }
}

fn folded(page: &[Record]) -> Vec<Record> {
    fold(page).into_iter().map(|folded| folded.record.into_owned()).collect()
}

/// L4: a page has each serial once, with the newest `op_date` in front, whatever the op types.
#[test]
fn the_newest_op_date_wins_over_all_op_types() {
    let mut tagged = record("A", Some((OpType::Added, 10)));
    tagged.actual.asset_tag = Some("old".to_owned());
    let mut bare = record("A", Some((OpType::Modified, 20)));
    bare.actual = Actual { color: Some("RED".to_owned()), ..Actual::default() };
    for page in [[tagged.clone(), bare.clone()], [bare, tagged]] {
        let folded = folded(&page);
        assert_eq!(folded.len(), 1);
        assert_eq!((folded[0].op_type.clone(), folded[0].op_date), (Some(OpType::Modified), Some(at(20))));
        assert_eq!(folded[0].actual.color.as_deref(), Some("RED"));
        assert_eq!(folded[0].actual.asset_tag.as_deref(), Some("old"), "only the older record has it");
    }
}

/// L4: Apple's dates are whole seconds, so that ties are usual.
#[test]
fn on_a_tie_the_later_in_the_page_wins() {
    let added = record("A", Some((OpType::Added, 10)));
    let deleted = record("A", Some((OpType::Deleted, 10)));
    assert_eq!(folded(&[added.clone(), deleted.clone()])[0].op_type, Some(OpType::Deleted));
    assert_eq!(folded(&[deleted, added])[0].op_type, Some(OpType::Added));
}

/// What was known before a deletion belongs to the former stay.
#[test]
fn a_deletion_ends_what_was_known() {
    let mut before = record("A", Some((OpType::Modified, 10)));
    before.actual.asset_tag = Some("former".to_owned());
    let page = [before, record("A", Some((OpType::Deleted, 20))), record("A", Some((OpType::Added, 30)))];
    let folded = folded(&page);
    assert_eq!(folded[0].op_type, Some(OpType::Added));
    assert_eq!(folded[0].actual.asset_tag, None);
}

#[test]
fn records_without_a_date_keep_their_place_and_serials_their_order() {
    let mut first = record("B", Some((OpType::Modified, 10)));
    first.actual.color = Some("RED".to_owned());
    let mut undated = record("B", None);
    undated.actual.color = Some("BLUE".to_owned());
    let page = [first, record("A", None), undated];
    let folded = folded(&page);
    let order: Vec<_> = folded.iter().map(|record| record.serial.as_str()).collect();
    assert_eq!(order, ["B", "A"]);
    assert_eq!(folded[0].actual.color.as_deref(), Some("BLUE"));
    assert_eq!(folded[0].op_date, Some(at(10)));
    assert_eq!(
        serials(&[record("B", None), record("A", None), record("B", None)]),
        [&serial("B"), &serial("A")]
    );
}

/// L6: moved devices arrive as `modified` only; an unknown op type is no reason to lose a device (L12).
#[test]
fn a_device_is_new_whatever_the_op_type_says() {
    for op in [OpType::Added, OpType::Modified, OpType::Other("teleported".to_owned())] {
        let mut shelf = Shelf::new();
        let plan = shelf.commit(Source::Changes, &[record("A", Some((op, 5)))]);
        assert_eq!(plan.counts, Counts { pages: 1, records: 1, added: 1, ..Counts::default() });
        assert_eq!(plan.events[0].kind, "device.added");
        assert_eq!(shelf.state("A"), AssignState::Due);
    }
}

/// L5: the UUID that we want under the status `removed` or `empty` is no profile.
#[test]
fn a_removed_profile_is_needed_again_whatever_its_uuid() {
    for status in [ProfileStatus::Removed, ProfileStatus::Empty, ProfileStatus::Other("burnt".to_owned())] {
        let mut shelf = Shelf::new();
        shelf.commit(Source::Changes, &[showing(record("A", None), status.clone(), "W")]);
        assert_eq!(shelf.state("A"), AssignState::Due, "{status}");
    }
}

/// L24: what Apple shows as wanted is not assigned again.
#[test]
fn a_device_that_has_its_profile_is_left_alone() {
    for (status, state) in
        [(ProfileStatus::Assigned, AssignState::Assigned), (ProfileStatus::Pushed, AssignState::Pushed)]
    {
        let mut shelf = Shelf::new();
        let listed = showing(record("A", None), status, "W");
        shelf.commit(Source::Whole, std::slice::from_ref(&listed));
        assert_eq!(shelf.state("A"), state);
        assert_eq!(shelf.device("A").assignment.next_attempt_at, None);
        let again = shelf.commit(Source::Whole, &[listed]);
        assert_eq!((again.writes.iter().count(), again.seen.len(), again.events.len()), (0, 1, 0));
    }
}

/// L24, L26: what changes without us is read back before it is repaired, and says so until then.
#[test]
fn drift_is_looked_at_before_it_is_repaired() {
    let mut shelf = Shelf::new();
    shelf.commit(Source::Whole, &[showing(record("A", None), ProfileStatus::Assigned, "W")]);
    let moved = showing(record("A", None), ProfileStatus::Assigned, "ELSE");
    shelf.commit(Source::Whole, std::slice::from_ref(&moved));
    let drifted = shelf.device("A").assignment.clone();
    assert_eq!((drifted.state, drifted.next_attempt_at), (AssignState::Drifted, Some(at(shelf.now))));
    assert!(drifted.reason.contains("ELSE"), "{}", drifted.reason);
    shelf.commit(Source::Whole, std::slice::from_ref(&moved));
    assert_eq!(shelf.device("A").assignment, drifted);
    shelf.commit(Source::ReadBack, &[moved]);
    let repaired = &shelf.device("A").assignment;
    assert_eq!((repaired.state, &repaired.reason), (AssignState::Due, &drifted.reason));
    shelf.commit(Source::ReadBack, &[showing(record("A", None), ProfileStatus::Assigned, "W")]);
    assert_eq!(shelf.state("A"), AssignState::Assigned);
}

/// L29: only a read-back settles what was sent; news on a page may be older than the request.
#[test]
fn a_sent_device_is_settled_by_what_apple_shows_after_it() {
    let mut shelf = Shelf::with(AssignState::Sent, WANTED);
    let mut news = record("A", None);
    news.actual.color = Some("RED".to_owned());
    let sent = shelf.device("A").assignment.clone();
    shelf.commit(Source::Changes, std::slice::from_ref(&news));
    assert_eq!(shelf.device("A").assignment, sent);
    shelf.commit(Source::ReadBack, &[news]);
    let due = &shelf.device("A").assignment;
    // The second attempt without a clear answer waits a minute.
    let waits = Some(at(shelf.now + 60));
    assert_eq!((due.state, due.attempts, due.next_attempt_at), (AssignState::Due, 2, waits));
    let mut shelf = Shelf::with(AssignState::Sent, WANTED);
    shelf.commit(Source::Changes, &[showing(record("A", None), ProfileStatus::Assigned, "W")]);
    assert_eq!(shelf.state("A"), AssignState::Assigned, "Apple already shows it");
}

/// L21: neither news nor a read-back shortens a cool-down; a changed wish waits for it as well.
#[test]
fn a_cool_down_is_never_shortened() {
    for state in [AssignState::Throttled, AssignState::Failed] {
        let mut shelf = Shelf::with(state, WANTED);
        for source in [Source::Changes, Source::Whole, Source::ReadBack] {
            let mut news = record("A", None);
            news.actual.color = Some(format!("{source:?}"));
            shelf.commit(source, &[news]);
            let assignment = &shelf.device("A").assignment;
            assert_eq!((assignment.state, assignment.next_attempt_at), (state, Some(at(5000))));
        }
    }
    let throttled = Shelf::with(AssignState::Throttled, OTHER).device("A").clone();
    let changed = decide(&throttled, &policy(Some(WANTED)), Known::Before, at(200));
    assert_eq!((changed.state, changed.wanted), (AssignState::Throttled, Some(WANTED)));
    assert_eq!(changed.next_attempt_at, Some(at(5000)));
    let over = Device { assignment: changed, ..throttled };
    let over = |known| decide(&over, &policy(Some(WANTED)), known, at(5000)).state;
    assert_eq!((over(Known::Before), over(Known::ReadBack)), (AssignState::Throttled, AssignState::Due));
}

/// L24: once its time has come, Apple is asked what it shows; only then it is due, or as wanted already.
#[test]
fn what_was_refused_is_read_back_before_it_is_due() {
    for state in [AssignState::Throttled, AssignState::Failed] {
        let shows = |known, shown: Option<&str>| {
            let mut device = Shelf::with(state, WANTED).device("A").clone();
            if let Some(uuid) = shown {
                device.actual = showing(record("A", None), ProfileStatus::Assigned, uuid).actual;
            }
            let decided = decide(&device, &policy(Some(WANTED)), known, at(5000));
            (decided.state, decided.attempts, decided.next_attempt_at)
        };
        let before = Shelf::with(state, WANTED).device("A").assignment.attempts;
        assert_eq!(shows(Known::Before, None), (state, before, Some(at(5000))));
        assert_eq!(shows(Known::ReadBack, None), (AssignState::Due, before, Some(at(5000))));
        assert_eq!(shows(Known::ReadBack, Some("W")), (AssignState::Assigned, 0, None));
    }
}

/// L28: a device that Apple would not let us assign waits for its read-back.
#[test]
fn a_device_out_of_reach_waits_for_its_read_back() {
    let mut shelf = Shelf::with(AssignState::NotAccessible, WANTED);
    shelf.commit(Source::Whole, &[record("A", None)]);
    assert_eq!(shelf.state("A"), AssignState::NotAccessible);
    shelf.commit(Source::ReadBack, &[record("A", None)]);
    assert_eq!(shelf.state("A"), AssignState::Due);
}

/// L25: a changed wish is due at once, also for devices that were as wanted.
#[test]
fn a_changed_wish_is_due_at_once() {
    for state in [AssignState::Assigned, AssignState::Pushed, AssignState::Due] {
        let shelf = Shelf::with(state, WANTED);
        let devices: Vec<_> = shelf.devices.into_values().collect();
        let changed = decide_anew(devices.clone(), &policy(Some(OTHER)), at(300));
        assert_eq!(changed.len(), 1, "{state}");
        let assignment = &changed[0].assignment;
        assert_eq!((assignment.state, assignment.attempts), (AssignState::Due, 0), "{state}");
        assert_eq!((assignment.wanted, assignment.next_attempt_at), (Some(OTHER), Some(at(300))));
        let none = decide_anew(devices, &policy(None), at(300));
        assert_eq!((none[0].assignment.state, none[0].assignment.wanted), (AssignState::Unmatched, None));
    }
}

/// L24, L29: while it is open what Apple shows, a changed wish is asked about first, at once unless an answer is on its way;
/// also when the former wish comes back, and when a hold or no wish at all was between.
#[test]
fn a_changed_wish_does_not_close_what_is_open() {
    let states = [AssignState::Sent, AssignState::Failed, AssignState::NotAccessible, AssignState::Drifted];
    for state in states {
        let device = Shelf::with(state, WANTED).device("A").clone();
        let decided = |device: &Device, wish, known| Device {
            assignment: decide(device, &policy(wish), known, at(300)),
            ..device.clone()
        };
        let facts = |device: &Device| {
            let assignment = &device.assignment;
            (assignment.state, assignment.wanted, assignment.attempts, assignment.next_attempt_at)
        };
        let asked_at = Some(at(if state == AssignState::Sent { 5000 } else { 300 }));
        let changed = decided(&device, Some(OTHER), Known::Before);
        assert_eq!(facts(&changed), (AssignState::Sent, Some(OTHER), 0, asked_at), "{state}");
        assert_eq!(decided(&changed, Some(OTHER), Known::Before), changed, "{state}: until Apple was asked");
        let back = decided(&changed, Some(WANTED), Known::Before);
        assert_eq!(facts(&back), (AssignState::Sent, Some(WANTED), 0, asked_at), "{state}");
        let known = decided(&back, Some(WANTED), Known::ReadBack);
        assert_eq!(facts(&known), (AssignState::Due, Some(WANTED), 0, Some(at(300))), "{state}");

        let between = decided(&device, None, Known::Before);
        assert_eq!(facts(&between), (AssignState::Unmatched, None, 1, None), "{state}");
        let between = decided(&between, None, Known::Before);
        let back = decided(&between, Some(WANTED), Known::Before);
        assert_eq!(facts(&back), (AssignState::Sent, Some(WANTED), 0, Some(at(300))), "{state}");
        let known = decided(&between, None, Known::ReadBack);
        assert_eq!(
            decided(&known, Some(WANTED), Known::Before).assignment.state,
            AssignState::Due,
            "{state}"
        );
    }
    // What was held is asked about as well, if it was open what Apple shows; `sent` is heard of before it is held.
    for (state, after) in [
        (AssignState::Failed, AssignState::Sent),
        (AssignState::Assigned, AssignState::Due),
        (AssignState::Due, AssignState::Due),
    ] {
        let mut device = Shelf::with(state, WANTED).device("A").clone();
        device.hold = Some("held by anna".to_owned());
        device.assignment = decide(&device, &policy(Some(WANTED)), Known::Before, at(300));
        assert_eq!(device.assignment.state, AssignState::Held);
        device.hold = None;
        let free = decide(&device, &policy(Some(WANTED)), Known::Before, at(300));
        assert_eq!(free.state, after, "{state}");
    }
}

/// What a device shows by news is no sign that a new wish has come true, while it is open what was sent.
#[test]
fn a_wish_that_comes_back_is_not_believed_to_be_fulfilled() {
    let mut shelf = Shelf::with(AssignState::Failed, OTHER);
    shelf.device_mut("A").actual = showing(record("A", None), ProfileStatus::Assigned, "W").actual;
    let decided = decide(shelf.device("A"), &policy(Some(WANTED)), Known::Before, at(300));
    assert_eq!((decided.state, decided.wanted), (AssignState::Sent, Some(WANTED)));
    shelf.device_mut("A").assignment = decided;
    let known = |known| decide(shelf.device("A"), &policy(Some(WANTED)), known, at(301)).state;
    assert_eq!((known(Known::Before), known(Known::ReadBack)), (AssignState::Sent, AssignState::Assigned));
}

/// L24: news of drift may be old, so that a new wish is not taken for come true by them.
#[test]
fn a_wish_that_news_of_drift_would_fulfil_is_asked_about() {
    let mut shelf = Shelf::new();
    shelf.commit(Source::Whole, &[showing(record("A", None), ProfileStatus::Assigned, "W")]);
    let old = showing(record("A", Some((OpType::Modified, 5))), ProfileStatus::Assigned, "ELSE");
    shelf.commit(Source::Changes, &[old]);
    assert_eq!(shelf.state("A"), AssignState::Drifted);
    let mut other = policy(Some(OTHER));
    other.published.insert(OTHER, uuid("ELSE").expect("a UUID"));
    let changed = decide_anew(vec![shelf.device("A").clone()], &other, at(300)).remove(0);
    let assignment = &changed.assignment;
    assert_eq!((assignment.state, assignment.wanted), (AssignState::Sent, Some(OTHER)));
    assert_eq!(assignment.next_attempt_at, Some(at(300)));
    assert_eq!(decide(&changed, &other, Known::Before, at(301)), *assignment, "until Apple was asked");
    assert_eq!(decide(&changed, &other, Known::ReadBack, at(301)).state, AssignState::Assigned);
}

/// L10: whatever was remembered of a device that has left is forgotten when it is back.
#[test]
fn a_device_that_is_back_is_assigned_again() {
    let mut shelf = Shelf::new();
    shelf.commit(
        Source::Changes,
        &[showing(record("A", Some((OpType::Added, 5))), ProfileStatus::Pushed, "W")],
    );
    let first_seen = shelf.device("A").first_seen_at;
    let gone = shelf.commit(Source::Changes, &[record("A", Some((OpType::Deleted, 6)))]);
    assert_eq!((gone.counts.removed, gone.events[0].kind), (1, "device.removed"));
    assert_eq!(gone.events[0].data["was"], "pushed");
    let tombstone = shelf.device("A").clone();
    assert_eq!((tombstone.assignment.state, tombstone.assignment.wanted), (AssignState::Removed, None));
    assert!(decide_anew(vec![tombstone.clone()], &shelf.policy, at(1)).is_empty());
    assert_eq!(remove(tombstone.clone(), "again", at(9999)).removed_at, tombstone.removed_at);
    let again = shelf.commit(Source::Changes, &[record("A", Some((OpType::Deleted, 6)))]);
    assert!(again.writes.is_empty() && again.events.is_empty(), "it leaves once");

    let back = shelf.commit(Source::Changes, &[record("A", Some((OpType::Modified, 7)))]);
    assert_eq!((back.counts.added, back.events[0].kind), (1, "device.added"));
    let device = shelf.device("A");
    assert_eq!((device.assignment.state, device.assignment.attempts), (AssignState::Due, 0));
    assert_eq!((device.removed_at, device.first_seen_at), (None, first_seen));
    assert_eq!(device.actual.profile_uuid, None);
}

/// L11: a device that left and came back within a second stays when its deletion is delivered again; Apple is asked.
#[test]
fn a_deletion_that_comes_again_takes_no_device_away() {
    let deleted = || record("A", Some((OpType::Deleted, 6)));
    let added = || record("A", Some((OpType::Added, 6)));
    for pages in [vec![vec![deleted(), added()]], vec![vec![deleted()], vec![added()]]] {
        let mut shelf = Shelf::new();
        shelf.commit(Source::Changes, &[record("A", Some((OpType::Added, 5)))]);
        for page in &pages {
            shelf.commit(Source::Changes, page);
        }
        assert_eq!(shelf.state("A"), AssignState::Due);
        let again = shelf.commit(Source::Changes, &[deleted()]);
        assert_eq!((again.counts.removed, again.events.len(), shelf.state("A")), (0, 0, AssignState::Due));
        drift::assign(&mut shelf);
        let again = shelf.commit(Source::Changes, &[deleted()]);
        assert_eq!((again.counts.removed, again.events.len()), (0, 0));
        let doubt = &shelf.device("A").assignment;
        assert_eq!((doubt.state, doubt.next_attempt_at), (AssignState::Drifted, Some(at(shelf.now))));
    }
    // One that is the first of its second is believed.
    let mut shelf = Shelf::new();
    shelf.commit(Source::Changes, &[added()]);
    assert_eq!(shelf.commit(Source::Changes, &[deleted()]).counts.removed, 1);
}

#[test]
fn the_deletion_of_an_unknown_device_is_nothing() {
    let plan = Shelf::new().commit(Source::Changes, &[record("A", Some((OpType::Deleted, 5)))]);
    assert_eq!(plan.counts, Counts { pages: 1, records: 1, ..Counts::default() });
    assert!(plan.writes.is_empty() && plan.seen.is_empty() && plan.events.is_empty());
}

/// L12: a sync page leaves out what has not changed; `empty` takes the profile with it.
#[test]
fn an_absent_fact_stays_known_but_for_a_profile_that_is_gone() {
    let mut shelf = Shelf::new();
    let mut known = showing(record("A", None), ProfileStatus::Pushed, "W");
    known.actual.profile_push_time = Some(at(3));
    known.actual.extra = [("imei".to_owned(), "35".into())].into_iter().collect();
    shelf.commit(Source::Whole, &[known]);
    let news = |actual| [Record { actual, ..record("A", Some((OpType::Modified, 9))) }];
    shelf.commit(Source::Changes, &news(Actual { os: Some("iPadOS".to_owned()), ..Actual::default() }));
    let actual = &shelf.device("A").actual;
    assert_eq!((actual.model.as_deref(), actual.os.as_deref()), (Some("iPad"), Some("iPadOS")));
    assert_eq!(
        (actual.profile_uuid.clone(), actual.extra.get("imei").and_then(serde_json::Value::as_str)),
        (uuid("W"), Some("35"))
    );
    let empty = Actual { profile_status: Some(ProfileStatus::Empty), ..Actual::default() };
    shelf.commit(Source::Changes, &news(empty));
    let actual = &shelf.device("A").actual;
    assert_eq!((actual.profile_uuid.clone(), actual.profile_push_time), (None, None));
    assert_eq!(shelf.state("A"), AssignState::Drifted);
    shelf.commit(Source::Whole, &news(Actual::default()));
    assert_eq!(shelf.device("A").actual, Actual::default(), "a listing shows all there is");
}

#[test]
fn a_first_import_is_announced_once_but_what_leaves_is_named() {
    let context = PageContext {
        server: ServerId(1),
        seen_run: RunId(1),
        now: at(1),
        source: Source::Whole,
        first_import: true,
    };
    let page = [record("A", None), record("B", None)];
    let plan = plan(&context, &page, HashMap::new(), &policy(None));
    assert_eq!(plan.events.len(), 1);
    assert_eq!(plan.events[0].kind, "devices.imported");
    assert_eq!(plan.events[0].data, json!({ "serial_numbers": ["A", "B"] }));
    assert!(plan.writes.iter().all(|device| device.assignment.state == AssignState::Unmatched));
}
