//! What people do by hand, and what is kept of it.

use std::sync::Arc;

use adelie_model::{SyncKind, Trigger};
use adelie_rules::Scope;
use uuid::Uuid;

use super::endpoints::{endpoint, secret};
use super::world::{
    World, add_rule, add_server, at, operator, phone, profile_name, rule, serials, server_name, start,
};
use super::{Case, Failed, Fixture};
use crate::audit::{AuditAction, AuditBreak, AuditObject, ORIGIN, Verifier};
use crate::configuration::Change;
use crate::page::Action;
use crate::{
    AuditEntry, AuditFilter, AuditHead, NewAudit, NewBulkChange, NewServer, NewWebhook, Operator,
    PublishOutcome, Replay, Result, Reverse, RunStart, Store, Undo, WebhookChange,
};

/// Walks the whole chain.
async fn verify(store: &dyn Store) -> Result<Result<AuditHead, AuditBreak>> {
    let mut verifier = Verifier::from(AuditHead::default());
    loop {
        // Few at a time, so that there are several pages.
        let page = store.audit_after(&AuditFilter::default(), verifier.end().number, 7).await?;
        if page.is_empty() {
            break;
        }
        for entry in &page {
            if let Err(broken) = verifier.take(entry) {
                return Ok(Err(broken));
            }
        }
    }
    Ok(verifier.finish(&store.audit_head().await?).map(|()| verifier.end().clone()))
}

async fn entries(store: &dyn Store, after: i64) -> Result<Vec<AuditEntry>> {
    store.audit_after(&AuditFilter::default(), after, 10_000).await
}

/// What was done since an entry, as `action object`.
async fn done(store: &dyn Store, after: i64) -> Result<Vec<String>> {
    let entries = entries(store, after).await?;
    Ok(entries.iter().map(|entry| format!("{} {}", entry.action, entry.object)).collect())
}

async fn number(store: &dyn Store) -> Result<i64> {
    Ok(store.audit_head().await?.number)
}

fn new_server(name: &str) -> NewServer {
    NewServer { name: server_name(name), base_url: "http://127.0.0.1:9".to_owned(), paused: false }
}

fn look() -> NewAudit {
    NewAudit::new(AuditAction::TokenKeyAdded, AuditObject::new("server", "lab"))
}

/// L32: whatever is done by hand has an entry that says who, why and in which run, and what it changed.
pub async fn every_change_by_hand_has_its_entry(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    let store = &*world.store;
    let refused = world.profile("two").await?;
    let first = [
        "server.added server:lab",
        "token.key_added server:lab",
        "token.imported server:lab",
        "profile.added profile:one",
        "server.defaults_changed server:lab",
        "profile.added profile:two",
    ];
    assert_eq!(done(store, 0).await?, first);
    world.full(vec![phone("A"), phone("B")], 1).await?;
    assert_eq!(number(store).await?, 6, "what is done without anybody's hand has none");

    let request = Uuid::from_u128(77);
    let kim = Operator::new("kim", at(5)).because(Some("ticket 7".to_owned())).in_request(request);
    store.set_paused(world.server, true, &kim).await?;
    store.set_paused(world.server, false, &kim).await?;
    let [paused, resumed] = &entries(store, 6).await?[..] else { panic!("two were expected") };
    assert_eq!((paused.number, paused.at, paused.actor.as_str()), (7, at(5), "kim"));
    assert_eq!(paused.reason.as_deref(), Some("ticket 7"));
    assert_eq!((&paused.request, &resumed.request), (&request.to_string(), &request.to_string()));
    assert_eq!(paused.before.as_deref(), Some(r#"{"paused":false}"#));
    assert_eq!(paused.after.as_deref(), Some(r#"{"paused":true}"#));

    store.operate(world.server, &serials(["A", "B", "A", "X"]), &hold(), &kim).await?;
    let both = ["device.held device:A", "device.held device:B"];
    assert_eq!(done(store, 8).await?, both, "one for each that was changed");
    let held = entries(store, 8).await?.remove(0);
    assert!(held.before.is_some_and(|before| before.contains(r#""hold":null,"server":"lab""#)));
    assert!(held.after.is_some_and(|after| after.contains(r#""hold":"held by kim: in repair""#)));
    store.operate(world.server, &serials(["A"]), &Action::Unhold, &kim).await?;
    store.operate(world.server, &serials(["A"]), &Action::Retry { throttled_too: false }, &kim).await?;
    let tag = Action::Tag { add: vec!["x".parse().expect("a good tag")], remove: Vec::new() };
    store.operate(world.server, &serials(["A"]), &tag, &kim).await?;
    store.operate(world.server, &serials(["A"]), &Action::Archive, &kim).await?;
    let mark = number(store).await? - 4;
    let outcome = PublishOutcome::Refused { error: "no".to_owned(), next_attempt_at: at(600) };
    store.set_published(&world.lease, refused.id, &outcome, at(6)).await?;
    assert_eq!(store.retry_profiles(world.server, &kim).await?, 1);
    let bulk = NewBulkChange {
        what: "1 device held".to_owned(),
        undo: vec![Undo { server: world.server, serials: serials(["A"]), by: Reverse::Unhold }],
    };
    let bulk = store.note_bulk(&bulk, &kim).await?;
    store.set_undone(bulk, &kim).await?;
    let forced = RunStart {
        trigger: Trigger::Forced,
        requested_by: Some(kim.clone()),
        removals_accepted: true,
        ..start(SyncKind::Full, 7)
    };
    let run = store.begin_run(&world.lease, &forced).await?;
    world.end(&run, false, 8).await?;
    let expected = [
        "device.unheld device:A".to_owned(),
        "device.retried device:A".to_owned(),
        "device.tagged device:A".to_owned(),
        "device.deleted device:A".to_owned(),
        "server.profiles_retried server:lab".to_owned(),
        format!("bulk.begun bulk:{bulk}"),
        format!("bulk.undone bulk:{bulk}"),
        "sync.forced server:lab".to_owned(),
        "sync.removals_accepted server:lab".to_owned(),
    ];
    assert_eq!(done(store, mark).await?, expected);
    assert_eq!(entries(store, mark).await?[7].at, at(7), "when it was done, not when it was asked for");

    let mark = number(store).await?;
    let id = store.add_webhook(&NewWebhook { secret: secret(9), ..endpoint(&["*"]) }, &kim).await?;
    store.change_webhook(id, &WebhookChange::Pause { reason: "new version".to_owned() }, &kim).await?;
    store.change_webhook(id, &WebhookChange::Resume, &kim).await?;
    let rotate = WebhookChange::Rotate { secret: secret(10), old_until: at(100) };
    store.change_webhook(id, &rotate, &kim).await?;
    let test = store.add_test_delivery(id, &kim).await?;
    store.replay(&Replay::One(test), &kim).await?;
    store.remove_webhook(id, &kim).await?;
    let expected: Vec<_> = ["added", "paused", "resumed", "rotated", "tested"]
        .iter()
        .map(|what| format!("webhook.{what} webhook:{id}"))
        .chain([format!("webhook.replayed delivery:{test}"), format!("webhook.removed webhook:{id}")])
        .collect();
    assert_eq!(done(store, mark).await?, expected);

    let mark = number(store).await?;
    assert_eq!(store.note(&[look()], &kim).await?, mark + 1);
    assert_eq!(store.note(&[], &kim).await?, 0);
    assert_eq!(verify(store).await?.map(|head| head.number), Ok(mark + 1));
    Ok(())
}

fn hold() -> Action {
    Action::Hold { reason: "in repair".to_owned() }
}

/// What changes nothing leaves no entry.
pub async fn what_changes_nothing_has_no_entry(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    let store = &*world.store;
    world.full(vec![phone("A")], 1).await?;
    store.operate(world.server, &serials(["A"]), &hold(), &operator(2)).await?;
    let id = store.add_webhook(&endpoint(&["*"]), &operator(2)).await?;
    let head = store.audit_head().await?;
    store.set_paused(world.server, false, &operator(3)).await?;
    store.operate(world.server, &serials(["A", "X"]), &hold(), &operator(3)).await?;
    store.retry_profiles(world.server, &operator(3)).await?;
    store.configure(&[], None, &operator(3)).await?;
    let same = [(Scope::Any, Some(profile_name("one")))];
    store.set_defaults(world.server, &same, &operator(3)).await?;
    store.change_webhook(id, &WebhookChange::Resume, &operator(3)).await?;
    store.replay(&Replay::Failed(None), &operator(3)).await?;
    store.set_undone(4711, &operator(3)).await?;
    let manual =
        RunStart { trigger: Trigger::Manual, requested_by: Some(operator(3)), ..start(SyncKind::Delta, 3) };
    store.begin_run(&world.lease, &manual).await?;
    assert_eq!(store.audit_head().await?, head);
    Ok(())
}

/// A change and its entry are made both, or neither is.
pub async fn a_change_and_its_entry_are_one(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    let store = &*world.store;
    let head = store.audit_head().await?;
    assert!(store.add_server(&new_server("lab"), &operator(1)).await.is_err(), "the name is taken");
    let changes =
        [add_rule(rule("a", &["family=mac"], "one")), Change::RemoveProfile { name: profile_name("one") }];
    assert!(store.configure(&changes, None, &operator(1)).await.is_err(), "the profile is in use");
    assert_eq!(store.audit_head().await?, head);

    // And when the entry cannot be written, because something stands in its place, nothing is changed.
    let blocks = format!(
        "INSERT INTO audit SELECT number + {0}, at, actor, action, object_kind, object_name, NULL, NULL, NULL, request, hash \
         FROM audit WHERE number = 1",
        head.number
    );
    fixture.past(&blocks).await.expect("an entry of another hand");
    assert!(store.set_paused(world.server, true, &operator(2)).await.is_err());
    assert!(store.add_server(&new_server("new"), &operator(2)).await.is_err());
    assert!(store.configure(&changes[..1], None, &operator(2)).await.is_err());
    assert!(store.add_webhook(&endpoint(&["*"]), &operator(2)).await.is_err());
    let servers = store.servers().await?;
    assert_eq!(servers.iter().map(|server| server.paused).collect::<Vec<_>>(), [false]);
    let (rules, webhooks) = (store.configuration().await?.rules, store.webhooks().await?);
    assert!(rules.is_empty() && webhooks.is_empty());
    assert_eq!(store.audit_head().await?, head);
    let last = head.number + 1;
    assert_eq!(verify(store).await?, Err(AuditBreak::Changed(last)));
    Ok(())
}

/// Many who change things at once wait for each other, and make one chain.
pub async fn many_writers_make_one_chain(fixture: &dyn Fixture) -> Case {
    const WRITERS: i64 = 6;
    const ROUNDS: i64 = 10;
    let (world, _) = World::with_default(fixture).await?;
    world.full((0..20).map(|number| phone(&format!("D{number:02}"))).collect(), 1).await?;
    let start = number(&*world.store).await?;
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let store = if writer % 2 == 0 { world.store.clone() } else { fixture.another().await };
        let own = add_server(&*store, &format!("server {writer}")).await?;
        let shared = world.server;
        tasks.push(tokio::spawn(async move {
            for round in 0..ROUNDS {
                let by = Operator::new(format!("writer {writer}"), at(10 + round));
                // In different orders, over rows that all of them want and rows of their own.
                let serials: Vec<_> =
                    (0..20).map(|number| super::world::serial(&format!("D{number:02}"))).collect();
                let tag = Action::Tag {
                    add: vec![format!("t{writer}r{round}").parse().expect("a good tag")],
                    remove: Vec::new(),
                };
                store.operate(shared, &serials, &tag, &by).await?;
                store.set_paused(own, round % 2 == 0, &by).await?;
                let rule = add_rule(rule(&format!("w{writer}r{round}"), &["family=mac"], "one"));
                store.configure(&[rule], None, &by).await?;
                store.note(&[look()], &by).await?;
            }
            Ok::<_, crate::StoreError>(())
        }));
    }
    for task in tasks {
        task.await.expect("no panic")?;
    }
    // Of each writer its server with key and token, and in each round 20 devices, a pause, a rule and a look.
    let expected = start + WRITERS * (3 + ROUNDS * 23);
    assert_eq!(verify(&*world.store).await?.map(|head| head.number), Ok(expected));
    Ok(())
}

/// A chain of six entries.
async fn six(fixture: &dyn Fixture) -> Result<Arc<dyn Store>, Failed> {
    let store = fixture.store();
    for name in ["a", "b", "c", "d", "e", "f"] {
        store.add_server(&new_server(name), &operator(1)).await?;
    }
    Ok(store)
}

/// The database itself refuses to change or delete entries, and to turn the head back.
pub async fn entries_are_neither_changed_nor_deleted(fixture: &dyn Fixture) -> Case {
    let store = six(fixture).await?;
    let before = (entries(&*store, 0).await?, store.audit_head().await?);
    for statement in [
        "UPDATE audit SET actor = 'sam' WHERE number = 3",
        "UPDATE audit SET actor = actor",
        "DELETE FROM audit WHERE number = 6",
        "DELETE FROM audit",
        "UPDATE audit_head SET number = 5",
        "UPDATE audit_head SET hash = 'x'",
        "DELETE FROM audit_head",
        "INSERT INTO audit_head (id, number, hash) VALUES (2, 0, 'x')",
        "INSERT INTO audit SELECT * FROM audit WHERE number = 3",
    ] {
        let refused = fixture.past(statement).await;
        assert!(refused.is_err(), "{statement} was done");
    }
    assert_eq!((entries(&*store, 0).await?, store.audit_head().await?), before);
    Ok(())
}

/// What somebody does past all of that is found, with the number of the first entry that does not fit.
pub async fn tampering_is_found(fixture: &dyn Fixture) -> Case {
    let store = six(fixture).await?;
    let head = verify(&*store).await?.expect("nobody has touched it");
    fixture.unlock_audit().await;
    let steps: [(&str, AuditBreak); 7] = [
        ("UPDATE audit_head SET number = 5", AuditBreak::Ahead { last: 6, head: 5 }),
        ("UPDATE audit_head SET number = 7", AuditBreak::CutOff { last: 6, head: 7 }),
        ("DELETE FROM audit WHERE number = 6", AuditBreak::CutOff { last: 5, head: 7 }),
        ("UPDATE audit SET reason = 'because' WHERE number = 5", AuditBreak::Changed(5)),
        (
            "UPDATE audit SET number = 100 WHERE number = 3;
             UPDATE audit SET number = 3 WHERE number = 4;
             UPDATE audit SET number = 4 WHERE number = 100",
            AuditBreak::Changed(3),
        ),
        ("DELETE FROM audit WHERE number = 2", AuditBreak::Missing { expected: 2, found: 3 }),
        (
            "UPDATE audit SET \"after\" = replace(\"after\", 'false', 'true') WHERE number = 1",
            AuditBreak::Changed(1),
        ),
    ];
    for (statement, expected) in steps {
        fixture.past(statement).await.expect("nothing keeps it from being done");
        assert_eq!(verify(&*store).await?, Err(expected), "{statement}");
    }
    // With everything deleted and the head back at the beginning, only a head that was kept tells.
    let all = format!("DELETE FROM audit; UPDATE audit_head SET number = 0, hash = '{ORIGIN}'");
    fixture.past(&all).await.expect("nothing keeps it from being done");
    assert_eq!(verify(&*store).await?, Ok(AuditHead::default()));
    let shorter = Verifier::from(AuditHead::default()).past(head).finish(&store.audit_head().await?);
    assert_eq!(shorter, Err(AuditBreak::Shorter { kept: 6, last: 0 }));
    Ok(())
}

/// Entries are found by who, what, to what and when, in both directions and in pages.
pub async fn entries_are_found_and_paged(fixture: &dyn Fixture) -> Case {
    let store = fixture.store();
    for (name, by, now) in [("lab", "kim", 1), ("a_b", "Kim", 2), ("axb", "kim", 3)] {
        let id = store.add_server(&new_server(name), &Operator::new(by, at(now))).await?;
        store.set_paused(id, true, &Operator::new(by, at(now))).await?;
    }
    let numbers = async |filter: AuditFilter| -> Result<Vec<i64>> {
        let mut numbers = Vec::new();
        loop {
            let page = store.audit_after(&filter, numbers.last().copied().unwrap_or(0), 2).await?;
            if page.is_empty() {
                break;
            }
            numbers.extend(page.iter().map(|entry| entry.number));
        }
        let mut back = Vec::new();
        loop {
            let page = store.audit_before(&filter, back.last().copied(), 2).await?;
            if page.is_empty() {
                break;
            }
            back.extend(page.iter().map(|entry| entry.number));
        }
        back.reverse();
        assert_eq!(numbers, back, "{filter:?}");
        Ok(numbers)
    };
    let all = AuditFilter::default;
    assert_eq!(numbers(all()).await?, [1, 2, 3, 4, 5, 6]);
    assert_eq!(numbers(AuditFilter { actor: Some("kim".to_owned()), ..all() }).await?, [1, 2, 5, 6]);
    let actions = |patterns: &[&str]| AuditFilter {
        actions: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
        ..AuditFilter::default()
    };
    assert_eq!(numbers(actions(&["server.added"])).await?, [1, 3, 5]);
    assert_eq!(numbers(actions(&["*.paused", "device.*"])).await?, [2, 4, 6]);
    for literal in ["server_added", "server.adde?", "server.adde[d]", "server.%"] {
        assert_eq!(numbers(actions(&[literal])).await?, [0_i64; 0], "{literal}");
    }
    assert_eq!(numbers(AuditFilter { object: Some("a_b".to_owned()), ..all() }).await?, [3, 4]);
    assert_eq!(numbers(AuditFilter { kind: Some("server".to_owned()), ..all() }).await?.len(), 6);
    assert_eq!(numbers(AuditFilter { kind: Some("rule".to_owned()), ..all() }).await?.len(), 0);
    let late = AuditFilter { since: Some(at(2)), actor: Some("kim".to_owned()), ..all() };
    assert_eq!(numbers(late).await?, [5, 6]);

    let request = Uuid::from_u128(0xab << 120 | 7);
    let by = Operator::new("kim", at(4)).in_request(request);
    for (name, by) in [("b", by.clone()), ("c", Operator::new("kim", at(4))), ("d", by)] {
        store.add_server(&new_server(name), &by).await?;
    }
    assert_eq!(numbers(AuditFilter { request: Some(request), ..all() }).await?, [7, 9]);
    assert_eq!(numbers(AuditFilter { request: Some(Uuid::from_u128(7)), ..all() }).await?, [0_i64; 0]);
    Ok(())
}

/// Whatever people type is stored as it was hashed.
pub async fn any_text_is_kept_as_it_was_hashed(fixture: &dyn Fixture) -> Case {
    let store = fixture.store();
    let strange = "\u{7f}\u{1}\"quotes\" 'single' \\ \u{2028} \u{1f427} {\"a\":\t1.0} %_*\r\n ü";
    let by = Operator {
        name: format!("k\0im {strange}"),
        reason: Some(format!("\0{strange}")),
        ..Operator::new("", at(0) + chrono::TimeDelta::microseconds(1_999))
    };
    let facts = || crate::audit::Facts::new().with(strange, strange).with("number", 1.50);
    let new = NewAudit::new(AuditAction::DeviceHeld, AuditObject::new("device", format!("\0{strange}")));
    store.note(&[new.before(facts()).after(facts().with("nul", "\0"))], &by).await?;
    let entry = entries(&*store, 0).await?.remove(0);
    assert_eq!(entry.actor, format!("kim {strange}"));
    assert_eq!(entry.reason.as_deref(), Some(strange));
    assert_eq!(entry.object.name, strange);
    assert_eq!(entry.at, at(0) + chrono::TimeDelta::milliseconds(1));
    assert_eq!(entry.before, Some(facts().to_string()));
    assert_eq!(verify(&*store).await?.map(|head| head.number), Ok(1));
    Ok(())
}
