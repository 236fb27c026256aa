//! What changes at Apple without our doing, and what only seems to.

use super::*;
use serde_json::json;

/// A device that Apple shows with another profile than the one that it showed before, under this mode.
fn drifted(mode: DriftMode) -> (Shelf, Record) {
    let mut shelf = Shelf::new();
    shelf.policy.drift = mode;
    shelf.commit(Source::Whole, &[showing(record("A", None), ProfileStatus::Assigned, "W")]);
    let moved = showing(record("A", None), ProfileStatus::Assigned, "ELSE");
    shelf.commit(Source::Whole, std::slice::from_ref(&moved));
    assert_eq!(shelf.state("A"), AssignState::Drifted);
    (shelf, moved)
}

/// L26: drift that is only to be reported is certain after one look, is told once, and nothing is sent.
#[test]
fn reported_drift_is_looked_at_once() {
    let (mut shelf, moved) = drifted(DriftMode::Report);
    assert_eq!(shelf.device("A").assignment.next_attempt_at, Some(at(shelf.now)));
    let plan = shelf.commit(Source::ReadBack, std::slice::from_ref(&moved));
    let reported = shelf.device("A").assignment.clone();
    assert_eq!((reported.state, reported.next_attempt_at), (AssignState::Drifted, None));
    assert!(reported.reason.contains("ELSE") && reported.reason.contains("reported only"), "{reported:?}");
    let told: Vec<_> = plan.events.iter().map(|event| (event.kind, &event.data["repaired"])).collect();
    assert_eq!(told, [("drift.detected", &json!(false))]);
    for source in [Source::Whole, Source::Changes, Source::ReadBack] {
        let plan = shelf.commit(source, std::slice::from_ref(&moved));
        assert_eq!((&shelf.device("A").assignment, plan.events.len()), (&reported, 0), "{source:?}");
    }
    let device = shelf.device("A").clone();
    assert!(decide_anew(vec![device], &shelf.policy, at(500)).is_empty());
}

/// L24: what Apple shows may change once more, so that reported drift is looked at again, or is over.
#[test]
fn reported_drift_is_looked_at_again_when_it_changes() {
    let (mut shelf, moved) = drifted(DriftMode::Report);
    shelf.commit(Source::ReadBack, &[moved]);
    let third = showing(record("A", None), ProfileStatus::Assigned, "THIRD");
    shelf.commit(Source::Whole, &[third]);
    let assignment = &shelf.device("A").assignment;
    assert_eq!((assignment.state, assignment.next_attempt_at), (AssignState::Drifted, Some(at(shelf.now))));
    shelf.commit(Source::Whole, &[showing(record("A", None), ProfileStatus::Assigned, "W")]);
    assert_eq!(shelf.state("A"), AssignState::Assigned);
}

/// L26: a switch to repairing looks at what was reported again, and then repairs it.
#[test]
fn reported_drift_is_repaired_after_the_switch() {
    let (mut shelf, moved) = drifted(DriftMode::Report);
    shelf.commit(Source::ReadBack, std::slice::from_ref(&moved));
    shelf.policy.drift = DriftMode::Repair;
    let changed = decide_anew(vec![shelf.device("A").clone()], &shelf.policy, at(500));
    assert_eq!(changed.len(), 1);
    let assignment = &changed[0].assignment;
    assert_eq!((assignment.state, assignment.next_attempt_at), (AssignState::Drifted, Some(at(500))));
    assert!(decide_anew(changed.clone(), &shelf.policy, at(600)).is_empty());
    *shelf.device_mut("A") = changed[0].clone();
    let plan = shelf.commit(Source::ReadBack, &[moved]);
    assert_eq!(shelf.state("A"), AssignState::Due);
    let told: Vec<_> = plan.events.iter().map(|event| (event.kind, &event.data["repaired"])).collect();
    assert_eq!(told, [("drift.detected", &json!(true))]);
}

/// Our own assignment, as Apple's answer to it is stored.
pub(super) fn assign(shelf: &mut Shelf) {
    let now = at(shelf.now);
    let device = shelf.device_mut("A");
    device.actual.profile_uuid = uuid("W");
    device.actual.profile_status = Some(ProfileStatus::Assigned);
    device.actual.profile_assign_time = Some(now);
    device.assignment.state = AssignState::Assigned;
    device.assignment.next_attempt_at = None;
}

/// L11: an event that Apple delivers again after our own assignment is older than that: Apple is asked, and nothing is
/// told or sent.
#[test]
fn a_repeated_event_after_our_assignment_changes_nothing() {
    let mut shelf = Shelf::new();
    let page = [record("A", Some((OpType::Added, 5)))];
    shelf.commit(Source::Changes, &page);
    assign(&mut shelf);
    let before = shelf.device("A").clone();
    let plan = shelf.commit(Source::Changes, &page);
    assert!(plan.events.is_empty(), "{plan:?}");
    let doubt = &shelf.device("A").assignment;
    assert_eq!((doubt.state, doubt.next_attempt_at), (AssignState::Drifted, Some(at(shelf.now))));
    let shown = showing(record("A", None), ProfileStatus::Assigned, "W");
    let plan = shelf.commit(Source::ReadBack, &[shown]);
    assert!(plan.events.is_empty(), "{plan:?}");
    assert_eq!(shelf.state("A"), AssignState::Assigned);
    assert_eq!(shelf.device("A").actual.profile_uuid, before.actual.profile_uuid);

    // It might as well have left and come back within that second: then Apple shows no profile.
    shelf.commit(Source::Changes, &page);
    shelf.commit(Source::ReadBack, &[record("A", None)]);
    assert_eq!(shelf.state("A"), AssignState::Due);
    assign(&mut shelf);

    // Apple's dates are whole seconds, so that another event of the same second is news.
    let news = showing(record("A", Some((OpType::Modified, 5))), ProfileStatus::Assigned, "ELSE");
    let plan = shelf.commit(Source::Changes, std::slice::from_ref(&news));
    assert_eq!((plan.counts.modified, shelf.state("A")), (1, AssignState::Drifted));
    let plan = shelf.commit(Source::Changes, &[news]);
    assert!(plan.writes.is_empty() && plan.events.is_empty(), "{plan:?}");
}

/// Apple's own time of our assignment is no news.
#[test]
fn our_own_assignment_comes_back_without_an_event() {
    let mut shelf = Shelf::new();
    shelf.commit(Source::Whole, &[record("A", None)]);
    assign(&mut shelf);
    let mut listed = showing(record("A", None), ProfileStatus::Assigned, "W");
    listed.actual.profile_assign_time = Some(at(99));
    let plan = shelf.commit(Source::Whole, &[listed]);
    assert_eq!((plan.counts.modified, plan.events.len()), (0, 0));
    assert_eq!(shelf.device("A").actual.profile_assign_time, Some(at(99)));
}
