use adelie_model::{ProfileId, ProfileName, RevisionId, RuleId, RuleName, ServerId};
use adelie_rules::{Condition, Scope};

use super::*;
use crate::{ConfigurationError, StoreError};

fn profile(name: &str) -> ProfileName {
    name.parse().expect("a good name")
}

fn rule(name: &str) -> RuleName {
    name.parse().expect("a good name")
}

fn conditions(texts: &[&str]) -> Vec<Condition> {
    texts.iter().map(|text| text.parse().expect("a good condition")).collect()
}

fn says(text: &str) -> NewRevision {
    NewRevision { content_hash: text.to_owned(), ..NewRevision::default() }
}

fn reference(id: i64, number: u32, text: &str) -> RevisionRef {
    RevisionRef { id: RevisionId(id), number, hash: says(text).hash() }
}

fn stored_rule(id: i64, name: &str, only: Option<i64>, gives: &str) -> StoredRule {
    StoredRule {
        id: RuleId(id),
        name: rule(name),
        only: only.map(|id| (ServerId(id), format!("server {id}").parse().expect("a good name"))),
        conditions: conditions(&["serial=C02*,DMP*"]),
        profile: profile(gives),
    }
}

/// Profiles `a` and `b`, rules `one` (all servers, gives a), `two` and `three` (server 1, give b), server 1 and 2.
fn sample() -> Configuration {
    let head = |id: i64, name: &str| Head {
        id: ProfileId(id),
        name: profile(name),
        newest: 3,
        in_force: reference(id * 10, 3, "old"),
        staged: None,
    };
    let server = |id: i64| ServerConfiguration {
        id: ServerId(id),
        name: format!("server {id}").parse().expect("a good name"),
        defaults: Vec::new(),
        settings: SyncSettings::default(),
    };
    Configuration {
        version: Version(5),
        profiles: vec![head(1, "a"), head(2, "b")],
        removed: vec![(profile("gone"), 4)],
        rules: vec![
            stored_rule(1, "one", None, "a"),
            stored_rule(2, "two", Some(1), "b"),
            stored_rule(3, "three", Some(1), "b"),
        ],
        servers: vec![server(1), server(2)],
    }
}

fn made(changes: &[Change]) -> Edits {
    edits(&sample(), changes).expect("it can be done")
}

fn refused(changes: &[Change]) -> String {
    edits(&sample(), changes).expect_err("it cannot be done").to_string()
}

fn order(edits: &Edits) -> Vec<&str> {
    edits.after.rules.iter().map(|rule| rule.name.as_str()).collect()
}

#[test]
fn a_removed_profile_comes_back_with_its_history() {
    let edits = made(&[Change::AddProfile { name: profile("gone"), revision: says("new") }]);
    assert_eq!((edits.revisions[0].number, edits.after.removed.len()), (5, 0));
    assert_eq!(edits.heads, [HeadEdit { profile: profile("gone"), in_force: Some(5), staged: None }]);
    assert_eq!(edits.affected, Affected::default(), "nobody has it yet");
    let again = refused(&[Change::AddProfile { name: profile("a"), revision: says("new") }]);
    assert!(again.contains("profile \"a\" already exists"), "{again}");
}

#[test]
fn a_revision_is_in_force_at_once_or_step_by_step() {
    let revise =
        |percent| Change::Revise { profile: profile("a"), seen: Some(3), revision: says("new"), percent };
    let edits = made(&[revise(100)]);
    assert_eq!(edits.heads, [HeadEdit { profile: profile("a"), in_force: Some(4), staged: None }]);
    assert!(edits.affected.all, "a rule for all servers gives it");
    assert_eq!(edits.affected.with_default.len(), 1);

    let step = |step| Change::RollOut { profile: profile("a"), step };
    let edits = made(&[revise(10), step(RollOut::Percent(30)), step(RollOut::Pause)]);
    let head = HeadEdit { profile: profile("a"), in_force: Some(3), staged: Some((4, 30, true)) };
    assert_eq!(edits.heads, [head]);
    let edits = made(&[revise(10), step(RollOut::Abort)]);
    assert_eq!((edits.heads[0].in_force, edits.heads[0].staged), (Some(3), None));
    assert_eq!(edits.after.profiles[0].newest, 4, "what was aborted stays in the history");
    let edits = made(&[revise(10), step(RollOut::Percent(100))]);
    assert_eq!((edits.heads[0].in_force, edits.heads[0].staged), (Some(4), None));
    assert!(refused(&[step(RollOut::Pause)]).contains("no revision of profile a is being rolled out"));
    assert!(refused(&[revise(0)]).contains("0 % is no share"));
}

#[test]
fn nobody_overwrites_what_they_have_not_seen() {
    let revise = Change::Revise { profile: profile("a"), seen: Some(2), revision: says("new"), percent: 100 };
    assert_eq!(
        refused(&[revise]),
        "profile a has revision 3 by now, and this change was made from revision 2"
    );
}

#[test]
fn what_changes_nothing_is_nothing() {
    let edits = made(&[
        Change::Revise { profile: profile("a"), seen: None, revision: says("old"), percent: 100 },
        Change::SetDefault { server: ServerId(1), scope: Scope::Any, profile: None },
        Change::SetSettings { server: ServerId(2), settings: SyncSettings::default() },
        Change::SetRule {
            name: rule("one"),
            patch: RulePatch { profile: Some(profile("a")), ..RulePatch::default() },
        },
        Change::MoveRule { name: rule("one"), before: Some(rule("two")) },
        Change::MoveRule { name: rule("three"), before: None },
    ]);
    assert!(edits.is_empty() && edits.lines.is_empty(), "{edits:?}");
    assert_eq!((edits.affected, edits.after), (Affected::default(), sample()));
}

#[test]
fn rules_keep_their_order_and_only_what_moves_is_written() {
    let edits = made(&[Change::MoveRule { name: rule("three"), before: Some(rule("two")) }]);
    assert_eq!(order(&edits), ["one", "three", "two"]);
    assert_eq!(edits.rules.len(), 2, "the first one stays where it is");
    assert_eq!((edits.affected.all, edits.affected.servers.len()), (false, 1));

    let new = NewRule { name: rule("new"), only: None, conditions: Vec::new(), profile: profile("b") };
    let edits = made(&[
        Change::AddRule { rule: new.clone(), before: Some(rule("one")) },
        Change::RemoveRule { name: rule("two") },
    ]);
    assert_eq!(order(&edits), ["new", "one", "three"]);
    assert_eq!(edits.rules.iter().filter(|edit| matches!(edit, RuleEdit::Delete(RuleId(2)))).count(), 1);
    assert!(edits.affected.all);

    let nowhere = refused(&[Change::AddRule { rule: new.clone(), before: Some(rule("nobody")) }]);
    assert!(nowhere.contains("rule \"nobody\" does not exist"), "{nowhere}");
    let unknown = NewRule { profile: profile("x"), ..new };
    assert!(
        refused(&[Change::AddRule { rule: unknown, before: None }]).contains("profile \"x\" does not exist")
    );
}

/// Replacing a whole list is how additions of others get lost.
#[test]
fn patterns_are_added_and_taken_away_one_by_one() {
    let patched = |add: &[&str], remove: &[&str]| {
        let patch = RulePatch { add: conditions(add), remove: conditions(remove), ..RulePatch::default() };
        let edits = edits(&sample(), &[Change::SetRule { name: rule("one"), patch }])?;
        let texts: Vec<String> = edits.after.rules[0].conditions.iter().map(ToString::to_string).collect();
        Ok::<_, StoreError>(texts.join(" "))
    };
    assert_eq!(patched(&["serial=X,C02*"], &[]).expect("added"), "serial=C02*,DMP*,X");
    assert_eq!(patched(&["serial=X"], &["serial=DMP*"]).expect("both"), "serial=C02*,X");
    assert_eq!(patched(&["tag=lab"], &[]).expect("a new condition"), "serial=C02*,DMP* tag=lab");
    let says = |result: Result<String, StoreError>| result.expect_err("refused").to_string();
    assert!(says(patched(&[], &["serial=Y"])).contains("has no Y in its condition on serial"));
    assert!(says(patched(&[], &["serial=C02*,DMP*"])).contains("the last pattern"));
    assert!(says(patched(&[], &["tag=x"])).contains("has no tag=x"));
}

#[test]
fn a_profile_in_use_is_not_removed() {
    let default = Change::SetDefault { server: ServerId(2), scope: Scope::Any, profile: Some(profile("a")) };
    let remove = Change::RemoveProfile { name: profile("a") };
    assert_eq!(
        refused(&[default, remove.clone()]),
        "profile a is still in use by rule one, MDM server server 2"
    );
    let edits = made(&[Change::RemoveRule { name: rule("one") }, remove]);
    assert_eq!(edits.heads, [HeadEdit { profile: profile("a"), in_force: None, staged: None }]);
    assert_eq!(edits.after.removed, [(profile("a"), 3), (profile("gone"), 4)]);
}

/// What comes and goes by the same changes has to be stored as removed: its name is taken in the database.
#[test]
fn a_profile_that_comes_and_goes_at_once_is_removed() {
    let add = |text| Change::AddProfile { name: profile("new"), revision: says(text) };
    let remove = Change::RemoveProfile { name: profile("new") };
    let edits = made(&[add("one"), remove.clone()]);
    assert_eq!(edits.heads, [HeadEdit { profile: profile("new"), in_force: None, staged: None }]);
    assert_eq!(edits.after.removed, [(profile("gone"), 4), (profile("new"), 1)]);
    assert_eq!(edits.affected, Affected::default());
    let edits = made(&[add("one"), remove, add("two")]);
    assert_eq!(edits.heads, [HeadEdit { profile: profile("new"), in_force: Some(2), staged: None }]);
    assert_eq!(edits.revisions.iter().map(|edit| edit.number).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_rule_is_limited_to_an_mdm_server_that_exists() {
    let nowhere = || Some((ServerId(9), "nowhere".parse().expect("a good name")));
    let new = NewRule { name: rule("new"), only: nowhere(), conditions: Vec::new(), profile: profile("b") };
    let add = Change::AddRule { rule: new, before: None };
    let patch = RulePatch { only: Some(nowhere()), ..RulePatch::default() };
    let set = Change::SetRule { name: rule("one"), patch };
    for change in [add, set] {
        assert!(Needed::by(std::slice::from_ref(&change)).servers.contains(&ServerId(9)));
        assert_eq!(refused(&[change]), "MDM server \"9\" does not exist (any more)");
    }
}

#[test]
fn what_was_looked_at_has_to_be_there_still() {
    assert_eq!(sample().check_version(None), Ok(()));
    assert_eq!(sample().check_version(Some(Version(5))), Ok(()));
    let moved = ConfigurationError::Moved { expected: 4, found: 5 };
    assert_eq!(sample().check_version(Some(Version(4))), Err(moved));
}

#[test]
fn defaults_are_kept_in_order_and_the_last_word_counts() {
    let set = |scope, name: Option<&str>| Change::SetDefault {
        server: ServerId(1),
        scope,
        profile: name.map(profile),
    };
    let mac = || Scope::Family(adelie_model::DeviceFamily::Mac);
    let edits = made(&[set(Scope::Any, Some("a")), set(mac(), Some("a")), set(mac(), Some("b"))]);
    assert_eq!(edits.after.servers[0].defaults, [(mac(), profile("b")), (Scope::Any, profile("a"))]);
    assert_eq!(edits.defaults.len(), 2);
    assert_eq!(edits.affected.servers.len(), 1);
    let edits = made(&[set(Scope::Any, Some("a")), set(Scope::Any, None)]);
    assert_eq!(edits.after.servers[0].defaults, []);
    let unknown = edits_error(&[set(Scope::Any, Some("x"))]);
    assert!(matches!(unknown, StoreError::Missing { what: "profile", .. }));
}

fn edits_error(changes: &[Change]) -> StoreError {
    edits(&sample(), changes).expect_err("refused")
}

#[test]
fn several_conditions_on_a_field_are_not_guessed_at() {
    let mut before = sample();
    before.rules[0].conditions = conditions(&["serial=C*", "serial=*9"]);
    let patch = RulePatch { add: conditions(&["serial=X"]), ..RulePatch::default() };
    let error = edits(&before, &[Change::SetRule { name: rule("one"), patch }]).expect_err("refused");
    assert!(matches!(error, StoreError::Configuration(ConfigurationError::SeveralConditions { .. })));
}
