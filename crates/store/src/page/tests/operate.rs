//! What an operator does by hand, for every state that a device can be in.

use super::*;
use crate::Operator;
use crate::page::{Action, Outcome};
use serde_json::json;

fn by(seconds: i64) -> Operator {
    Operator::new("kim", at(seconds))
}

fn hold(reason: &str) -> Action {
    Action::Hold { reason: reason.to_owned() }
}

/// A device in this state; one that waits does so until 5000.
fn in_state(state: AssignState) -> Device {
    let device = Shelf::with(state, WANTED).device("A").clone();
    match state {
        AssignState::Removed => remove(device, "gone", at(150)),
        AssignState::Held => {
            let hold = Some("held by kim: repair".to_owned());
            let assignment = Assignment { next_attempt_at: None, ..device.assignment };
            Device { hold, assignment, ..device }
        }
        AssignState::Unmatched => {
            let assignment = Assignment { next_attempt_at: None, wanted: None, ..device.assignment };
            Device { assignment, ..device }
        }
        _ => device,
    }
}

/// What comes of it, in a word: the new state when it is done.
fn word(device: &Device, policy: &Policy, action: &Action) -> &'static str {
    match operate(device, policy, action, &by(200)) {
        (Outcome::Done, Some((after, event))) => {
            assert_eq!(event.serial.as_ref(), Some(&device.serial));
            assert_eq!(event.data["by"], "kim", "{action:?}");
            assert_ne!(&after, device, "{action:?} is done");
            after.assignment.state.as_str()
        }
        (Outcome::Unchanged(why), None) if !why.is_empty() => "unchanged",
        (Outcome::Refused(why), None) if !why.is_empty() => "refused",
        other => panic!("{action:?} gave {other:?}"),
    }
}

/// L32: every action in every state does one thing, says why it does not, or says what to do instead.
#[test]
fn every_action_has_an_answer_in_every_state() {
    use AssignState::*;
    let actions = [
        hold("lost"),
        Action::Unhold,
        Action::Retry { throttled_too: false },
        Action::Retry { throttled_too: true },
        Action::Archive,
    ];
    let table = [
        (Unmatched, ["held", "unchanged", "refused", "refused", "removed"]),
        // Held while it was open what Apple shows.
        (Held, ["held", "sent", "refused", "refused", "removed"]),
        (Due, ["held", "unchanged", "due", "due", "removed"]),
        (Sent, ["sent", "unchanged", "unchanged", "unchanged", "removed"]),
        (Assigned, ["held", "unchanged", "unchanged", "unchanged", "removed"]),
        (Pushed, ["held", "unchanged", "unchanged", "unchanged", "removed"]),
        (Throttled, ["held", "unchanged", "refused", "throttled", "removed"]),
        (Failed, ["held", "unchanged", "failed", "failed", "removed"]),
        (NotAccessible, ["held", "unchanged", "not_accessible", "not_accessible", "removed"]),
        (Drifted, ["held", "unchanged", "drifted", "drifted", "removed"]),
        (Removed, ["refused", "refused", "refused", "refused", "refused"]),
    ];
    assert_eq!(table.map(|(state, _)| state), AssignState::ALL);
    for (state, expected) in table {
        let device = in_state(state);
        let found = actions.each_ref().map(|action| word(&device, &policy(Some(WANTED)), action));
        assert_eq!(found, expected, "{state}");
    }
}

/// What is tried again is worked on now, not when its time has come.
#[test]
fn a_retry_is_due_now() {
    let retry = Action::Retry { throttled_too: true };
    for state in [AssignState::Failed, AssignState::Throttled, AssignState::NotAccessible] {
        let (_, done) = operate(&in_state(state), &policy(Some(WANTED)), &retry, &by(200));
        let assignment = done.expect("it is done").0.assignment;
        assert_eq!((assignment.next_attempt_at, assignment.attempts), (Some(at(200)), 2), "{state}");
    }
    let mut report = policy(Some(WANTED));
    report.drift = DriftMode::Report;
    assert_eq!(word(&in_state(AssignState::Drifted), &report, &retry), "drifted", "it is not certain yet");
    let mut certain = in_state(AssignState::Drifted);
    certain.assignment.next_attempt_at = None;
    assert_eq!(word(&certain, &report, &retry), "due", "the word that was waited for");
}

fn done(device: &Device, action: &Action, seconds: i64) -> Device {
    match operate(device, &policy(Some(WANTED)), action, &by(seconds)) {
        (Outcome::Done, Some((device, _))) => device,
        other => panic!("{action:?} gave {other:?}"),
    }
}

/// L21: Apple counts by device, so that a cool-down goes on while an operator holds it.
#[test]
fn a_cool_down_outlasts_a_hold() {
    let held = done(&in_state(AssignState::Throttled), &hold(""), 200);
    assert_eq!(held.hold.as_deref(), Some("held by kim"));
    assert_eq!(held.assignment.next_attempt_at, Some(at(5000)));
    let free = done(&held, &Action::Unhold, 300);
    assert_eq!((free.assignment.state, free.hold.as_ref()), (AssignState::Throttled, None));
    assert_eq!(free.assignment.next_attempt_at, Some(at(5000)));
    let free = done(&held, &Action::Unhold, 5000);
    assert_eq!((free.assignment.state, free.assignment.next_attempt_at), (AssignState::Sent, Some(at(5000))));
}

/// A hold keeps whatever news, default or read-back there is from assigning the device.
#[test]
fn a_held_device_stays_held_until_it_is_let_go() {
    let mut shelf = Shelf::with(AssignState::Assigned, WANTED);
    let held = done(shelf.device("A"), &hold("in repair"), 200);
    let again = operate(&held, &policy(Some(WANTED)), &hold("in repair"), &by(201));
    assert!(matches!(again, (Outcome::Unchanged(_), None)), "{again:?}");
    for wish in [None, Some(OTHER)] {
        let changed = decide_anew(vec![held.clone()], &policy(wish), at(300));
        let assignment = &changed[0].assignment;
        assert_eq!((assignment.state, assignment.wanted), (AssignState::Held, wish));
    }
    *shelf.device_mut("A") = held;
    for source in [Source::Changes, Source::Whole, Source::ReadBack] {
        let mut news = record("A", None);
        news.actual.color = Some(format!("{source:?}"));
        shelf.commit(source, &[news]);
        let assignment = &shelf.device("A").assignment;
        assert_eq!((assignment.state, assignment.next_attempt_at), (AssignState::Held, None));
        assert_eq!(assignment.reason, "held by kim: in repair");
    }
    shelf.commit(Source::Changes, &[record("A", Some((OpType::Deleted, 50)))]);
    assert_eq!(shelf.state("A"), AssignState::Removed);
    shelf.commit(Source::Changes, &[record("A", Some((OpType::Added, 60)))]);
    assert_eq!(shelf.state("A"), AssignState::Held, "a hold is about the serial number");
    assert_eq!(done(shelf.device("A"), &Action::Unhold, 400).assignment.state, AssignState::Due);
}

/// L20, L29: what has been sent is heard of first, and then it is held.
#[test]
fn a_sent_device_is_held_once_it_is_heard_of() {
    let mut shelf = Shelf::with(AssignState::Sent, WANTED);
    let held = done(shelf.device("A"), &hold(""), 200);
    let free = done(&held, &Action::Unhold, 201);
    assert_eq!(free.assignment, shelf.device("A").assignment);
    *shelf.device_mut("A") = held;
    shelf.commit(Source::Whole, &[record("A", None)]);
    assert_eq!(shelf.state("A"), AssignState::Sent);
    shelf.commit(Source::ReadBack, &[record("A", None)]);
    assert_eq!(shelf.state("A"), AssignState::Held);
}

/// Tags stay sorted, each once; what they change for the profile is decided at once, also in a tombstone's absence.
#[test]
fn tags_come_and_go_one_by_one() {
    let tags = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a good tag")).collect();
    let tag = |add: &[&str], remove: &[&str]| Action::Tag { add: tags(add), remove: tags(remove) };
    for state in AssignState::ALL {
        let device = in_state(state);
        let (outcome, done) =
            operate(&device, &policy(Some(WANTED)), &tag(&["lab", "a", "lab"], &["x"]), &by(200));
        let (tagged, event) = done.expect("it is done");
        assert_eq!((outcome, &*tagged.tags), (Outcome::Done, &["a".to_owned(), "lab".to_owned()][..]));
        assert_eq!((event.kind, &event.data["was"]), ("device.tagged", &json!([])));
        assert_eq!(
            tagged.assignment.wanted,
            device.assignment.wanted.or((state == AssignState::Unmatched).then_some(WANTED))
        );
        let (outcome, _) = operate(&tagged, &policy(Some(WANTED)), &tag(&["a"], &["b"]), &by(201));
        assert!(matches!(outcome, Outcome::Unchanged(_)));
        let (_, done) = operate(&tagged, &policy(Some(WANTED)), &tag(&[], &["a", "lab"]), &by(202));
        assert_eq!(done.expect("it is done").0.tags, [""; 0]);
    }
}

/// Deleting a device by hand is about now: only what Apple tells of later, or a listing, brings it back.
#[test]
fn what_was_put_away_comes_back_by_newer_news_or_a_listing() {
    let policy = policy(Some(WANTED));
    let assigned = in_state(AssignState::Assigned);
    let (_, done) = operate(&assigned, &policy, &Action::Archive, &by(200));
    let (away, _) = done.expect("it is done");
    let after = |op, source| {
        let (server, seen_run, now) = (away.server, RunId(9), at(300));
        let context = PageContext { server, seen_run, now, source, first_import: false };
        let existing = [(away.serial.clone(), away.clone())].into();
        plan(&context, &[record("A", op)], existing, &policy)
    };
    for op in [OpType::Added, OpType::Modified] {
        let older = after(Some((op.clone(), 199)), Source::Changes);
        assert_eq!((older.counts.added, older.writes.is_empty()), (0, true), "{op:?}");
        assert_eq!(after(Some((op, 201)), Source::Changes).counts.added, 1);
    }
    assert_eq!(after(None, Source::Whole).counts.added, 1);
}
