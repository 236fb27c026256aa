use adelie_model::{Actual, Assignment, DeviceFamily, RunId, SerialNumber};
use adelie_rules::Scope;
use chrono::DateTime;

use super::*;
use crate::configuration::{Head, RevisionRef, StoredRule};

fn reference(id: i64, number: u32) -> RevisionRef {
    RevisionRef { id: RevisionId(id), number, hash: String::new() }
}

/// Profiles `a` (revision 11, staged 12) and `b` (21); the rule `labs` gives `a` to devices tagged `lab`.
fn configuration(staged: Option<(u8, bool)>) -> Configuration {
    let head = |id: i64, name: &str, in_force, staged| Head {
        id: ProfileId(id),
        name: name.parse().expect("a good name"),
        newest: 2,
        in_force,
        staged,
    };
    let staged = staged.map(|(percent, paused)| Staged { revision: reference(12, 2), percent, paused });
    Configuration {
        version: Version(3),
        profiles: vec![head(1, "a", reference(11, 1), staged), head(2, "b", reference(21, 1), None)],
        removed: Vec::new(),
        rules: vec![StoredRule {
            id: RuleId(7),
            name: "labs".parse().expect("a good name"),
            only: None,
            conditions: vec!["tag=lab".parse().expect("a good condition")],
            profile: "a".parse().expect("a good name"),
        }],
        servers: Vec::new(),
    }
}

fn policy(configuration: &Configuration) -> Policy {
    let defaults = Defaults::new([(Scope::Any, RevisionId(21))]);
    let published = [(RevisionId(11), ProfileUuid("A".to_owned()))].into();
    let name = "School".parse().expect("a good name");
    RuleBook::new(configuration).policy(name, defaults, published, DriftMode::Repair)
}

fn device(serial: &str, tags: &[&str], wanted: Option<i64>, state: AssignState) -> Device {
    let now = DateTime::from_timestamp(1_770_000_000, 0).expect("a moment");
    Device {
        server: ServerId(1),
        serial: SerialNumber::from_apple(serial.to_owned()),
        actual: Actual { device_family: Some(DeviceFamily::Mac), ..Actual::default() },
        op_date: None,
        op_digest: None,
        first_seen_at: now,
        last_seen_at: now,
        seen_run: RunId(1),
        removed_at: None,
        hold: None,
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        assignment: Assignment {
            state,
            reason: String::new(),
            attempts: 0,
            next_attempt_at: None,
            wanted: wanted.map(RevisionId),
            rule: None,
        },
    }
}

#[test]
fn rules_go_before_defaults() {
    let policy = policy(&configuration(None));
    let tagged = device("S", &["lab"], None, AssignState::Due);
    let wanted = policy.wanted(&tagged);
    assert_eq!((wanted.revision, wanted.rule), (Some(RevisionId(11)), Some(RuleId(7))));
    assert_eq!((wanted.because.as_ref(), wanted.uuid.is_some()), ("rule \"labs\"", true));
    let other = device("S", &[], None, AssignState::Due);
    let wanted = policy.wanted(&other);
    assert_eq!((wanted.revision, wanted.rule, wanted.uuid), (Some(RevisionId(21)), None, None));
}

#[test]
fn a_staged_revision_goes_to_its_share_of_the_devices() {
    let policy = policy(&configuration(Some((30, false))));
    let mut new = 0;
    for n in 0..1000 {
        let device = device(&format!("S{n}"), &["lab"], None, AssignState::Due);
        let wanted = policy.wanted(&device);
        if wanted.revision == Some(RevisionId(12)) {
            assert_eq!(wanted.because, "rule \"labs\", among the 30 % that get revision 2");
            new += 1;
        } else {
            assert_eq!(wanted.revision, Some(RevisionId(11)));
        }
    }
    assert!((240..=360).contains(&new), "{new} of 1000");
}

#[test]
fn in_a_pause_nobody_else_gets_it_and_nobody_loses_it() {
    let serial = (0..)
        .map(|n| format!("S{n}"))
        .find(|serial| is_among(&SerialNumber::from_apple(serial.clone()), ProfileId(1), 30));
    let serial = serial.expect("one in three");
    let paused = policy(&configuration(Some((30, true))));
    let revision = |state, had| paused.wanted(&device(&serial, &["lab"], Some(had), state)).revision;
    assert_eq!(revision(AssignState::Assigned, 12), Some(RevisionId(12)));
    assert_eq!(revision(AssignState::Sent, 12), Some(RevisionId(12)), "it may have it");
    assert_eq!(revision(AssignState::Due, 12), Some(RevisionId(11)));
    assert_eq!(revision(AssignState::Assigned, 11), Some(RevisionId(11)));
    let mut asked = device(&serial, &["lab"], Some(12), AssignState::Sent);
    asked.assignment.reason = page::ASKED_FIRST.to_owned();
    assert_eq!(paused.wanted(&asked).revision, Some(RevisionId(11)), "it was not sent for it");
}

#[test]
fn a_policy_is_compared_by_its_version_and_defaults() {
    let one = policy(&configuration(None));
    assert!(one.decides_like(&policy(&configuration(None))));
    let newer = Configuration { version: Version(4), ..configuration(None) };
    assert!(!one.decides_like(&policy(&newer)));
    let reported = Policy { drift: DriftMode::Report, ..one.clone() };
    assert!(!one.decides_like(&reported));
}
