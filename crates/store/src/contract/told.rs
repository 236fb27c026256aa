//! What is told of runs, tokens, decisions of people and drift.

use adelie_model::{
    AssignState, Counts, DriftMode, OpType, ProfileStatus, RunOutcome, ServerTokenId, SyncKind, SyncPhase,
    TokenState, Trigger,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::{
    World, add_rule, at, details, event, operator, phone, profile_name, rule, says, serial, settlement,
    showing, start, token, uuid,
};
use super::{Case, Failed, Fixture};
use crate::configuration::Change;
use crate::{NewServerToken, RunEnd, RunStart, Settlement, SyncSettings, TokenSeen, Turn};

/// The kinds and details of the events whose kind begins so.
async fn told(fixture: &dyn Fixture, about: &str) -> Vec<(String, Value)> {
    let events = fixture.events().await.into_iter().filter(|event| event.kind.starts_with(about));
    events.map(|event| (event.kind, event.data)).collect()
}

async fn kinds(fixture: &dyn Fixture, about: &str) -> Vec<String> {
    told(fixture, about).await.into_iter().map(|(kind, _)| kind).collect()
}

/// Ends a delta sync.
async fn end(world: &World, error: Option<&str>, attention: Option<&str>, now: i64) -> Result<(), Failed> {
    let run = world.begin(SyncKind::Delta, now).await?;
    let end = RunEnd {
        run: run.id,
        outcome: if error.is_some() { RunOutcome::Failed } else { RunOutcome::Done },
        error: error.map(str::to_owned),
        full_completed: false,
        attention: attention.map(str::to_owned),
        next_sync_at: at(now + 900),
        now: at(now),
    };
    Ok(world.store.end_run(&world.lease, &end).await?)
}

/// A failure is told once for each cause until a sync ends well, and what brought no news is not told.
pub async fn a_run_that_ends_is_told_once(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    assert_eq!(
        told(fixture, "sync.").await,
        [(
            "sync.completed".to_owned(),
            json!({ "kind": "full", "trigger": "schedule", "records": 1, "added": 1, "modified": 0, "removed": 0,
                "failures_before": 0 })
        )]
    );
    world.delta(Vec::new(), 2).await?;
    assert_eq!(kinds(fixture, "sync.").await.len(), 1, "no news");
    for (error, now) in [("no route", 3), ("no route", 4), ("refused", 5), ("refused", 6)] {
        end(&world, Some(error), None, now).await?;
    }
    world.delta(Vec::new(), 7).await?;
    world.delta(Vec::new(), 8).await?;
    end(&world, Some("refused"), None, 9).await?;
    let expected =
        ["sync.completed", "sync.failed", "sync.failed", "sync.completed", "sync.failed"].map(str::to_owned);
    assert_eq!(kinds(fixture, "sync.").await, expected);
    let all = told(fixture, "sync.").await;
    assert_eq!((&all[2].1["error"], &all[2].1["failures_before"]), (&json!("refused"), &json!(2)));
    assert_eq!((&all[3].1["failures_before"], &all[3].1["error"]), (&json!(4), &Value::Null));
    world.delta(vec![event(phone("B"), OpType::Added, 9)], 10).await?;
    world.delta(vec![event(phone("C"), OpType::Added, 10)], 11).await?;
    assert_eq!(kinds(fixture, "sync.completed").await.len(), 4);
    let runs = world.store.runs(Some(world.server), None, 1).await?;
    let events = world.store.events_before(&crate::EventFilter::default(), None, 1).await?;
    assert_eq!((events[0].run, events[0].at), (Some(runs[0].id), at(11)));
    Ok(())
}

/// Removals that wait for a word are told when they begin to wait, and when they are others.
pub async fn held_removals_are_told_once(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    for (attention, now) in [
        (None, 1),
        (Some("3 of 4"), 2),
        (Some("3 of 4"), 3),
        (Some("4 of 4"), 4),
        (None, 5),
        (Some("4 of 4"), 6),
    ] {
        end(&world, None, attention, now).await?;
    }
    let reasons: Vec<_> = told(fixture, "removals.held").await.into_iter().map(|(_, data)| data).collect();
    assert_eq!(reasons, ["3 of 4", "4 of 4", "4 of 4"].map(|reason| json!({ "reason": reason })));
    Ok(())
}

/// L3: that a position is lost is told once, be it by the cursor or by the run that mends it.
pub async fn a_lost_position_is_told_once(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let recovery = |now| RunStart { trigger: Trigger::Recovery, restart: true, ..start(SyncKind::Full, now) };
    let number = async || kinds(fixture, "full_sync.required").await.len();
    let run = world.begin(SyncKind::Full, 1).await?;
    world.fetch_page(&run, vec![phone("A")], 1).await?;
    assert_eq!(number().await, 0);
    world.store.begin_run(&world.lease, &recovery(2)).await?;
    assert_eq!(number().await, 1, "the listing has lost its cursor");
    world.full(Vec::new(), 3).await?;
    for _ in 0..2 {
        world.store.forget_delta_cursor(&world.lease).await?;
    }
    assert_eq!(number().await, 2);
    let run = world.store.begin_run(&world.lease, &recovery(4)).await?;
    assert_eq!(number().await, 2, "that is the same loss");
    let page = world.commit(&run, SyncPhase::Fetch, Vec::new(), 5).await?;
    world.store.commit_page(&world.lease, &page).await?;
    world.end(&run, true, 6).await?;
    let run = world.begin(SyncKind::Full, 7).await?;
    world.fetch_page(&run, Vec::new(), 7).await?;
    world.store.begin_run(&world.lease, &recovery(8)).await?;
    assert_eq!(number().await, 3);
    Ok(())
}

/// A token that stands otherwise is told, with when it expires; and one that is imported.
pub async fn changes_of_a_token_are_told(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let store = &world.store;
    use TokenState::{Expiring, Rejected, TermsNotSigned, Unreachable, Valid};
    for (state, detail, now) in [
        (Valid, None, 1),
        (Expiring, None, 2),
        (Expiring, None, 3),
        (Unreachable, Some("no route"), 4),
        (TermsNotSigned, Some("T_C_NOT_SIGNED"), 5),
        (Valid, None, 6),
        (Rejected, Some("token_rejected"), 7),
    ] {
        store.set_token_state(world.server, &TokenSeen { detail, ..state.into() }, at(now)).await?;
    }
    let mut all = told(fixture, "t").await;
    let imported = all.remove(0);
    assert_eq!(imported.0, "token.renewed");
    assert_eq!(
        imported.1,
        json!({ "expires_at": at(365 * 86_400), "another_server": false, "restored": false, "by": "kim" })
    );
    let kinds: Vec<_> = all.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["terms.required", "terms.accepted", "token.invalid"]);
    let expected = json!({ "state": "rejected", "was": "valid", "reason": "token_rejected", "expires_at": at(365 * 86_400) });
    assert_eq!(all[2].1, expected);

    let (key, same) = token(world.server, 1);
    let same = NewServerToken { id: ServerTokenId(Uuid::from_u128(77)), key: key.id, ..same };
    store.import_token(&same, &Valid.into(), &operator(8)).await?;
    let (key, other) = token(world.server, 9);
    store.add_token_key(&key, &operator(0)).await?;
    store.import_token(&other, &Valid.into(), &operator(9)).await?;
    let another: Vec<_> = told(fixture, "token.renewed")
        .await
        .into_iter()
        .map(|(_, data)| data["another_server"].clone())
        .collect();
    assert_eq!(another, [false, false, true]);
    Ok(())
}

/// L32: what people decide is told, a profile at a time and all rules together.
pub async fn profiles_and_rules_are_told(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let revise = |text: &str, percent| Change::Revise {
        profile: profile_name("one"),
        seen: None,
        revision: says(text),
        percent,
    };
    let add = |name: &str| Change::AddProfile { name: profile_name(name), revision: says(name) };
    world.store.configure(&[add("one"), add("two")], None, &operator(1)).await?;
    let rules = [add_rule(rule("macs", &[], "one")), revise("new", 100), add_rule(rule("rest", &[], "two"))];
    world.store.configure(&rules, None, &operator(2)).await?;
    world.store.configure(&[revise("new", 100)], None, &operator(3)).await?;
    world.store.configure(&[revise("newer", 5), revise("newest", 5)], None, &operator(4)).await?;
    let moved = Change::MoveRule {
        name: "rest".parse().expect("a good name"),
        before: Some("macs".parse().expect("a good name")),
    };
    world.store.configure(&[moved], None, &operator(5)).await?;
    let of = |profile: &str, changes: &[&str]| {
        ("profile.revised".to_owned(), json!({ "profile": profile, "by": "kim", "changes": changes }))
    };
    let of_rules =
        |changes: &[&str]| ("rules.changed".to_owned(), json!({ "by": "kim", "changes": changes }));
    let all: Vec<_> =
        told(fixture, "").await.into_iter().filter(|(kind, _)| kind != "token.renewed").collect();
    let expected = [
        of("one", &["add profile one"]),
        of("two", &["add profile two"]),
        of("one", &["put revision 2 of profile one in force"]),
        of_rules(&["add rule macs, which gives one", "add rule rest, which gives two"]),
        of(
            "one",
            &[
                "give revision 3 of profile one to 5 % of its devices",
                "give revision 4 of profile one to 5 % of its devices",
            ],
        ),
        of_rules(&["move rule rest before macs"]),
    ];
    assert_eq!(all, expected);
    let found = world.store.events_before(&crate::EventFilter::default(), None, 1).await?.remove(0);
    assert_eq!((found.server, found.serial, found.run, found.at), (None, None, None, at(5)));
    Ok(())
}

/// Drift that was told is told to be over: after an assignment of ours, or when Apple shows the profile again.
pub async fn repaired_drift_is_told(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(["A", "B", "C", "D"].map(phone).into(), 1).await?;
    world.assign(&revision, "UUID-1", 2).await?;
    let other = |text: &str| showing(phone(text), ProfileStatus::Assigned, "OTHER");
    let ours = |text: &str| showing(phone(text), ProfileStatus::Assigned, "UUID-1");
    world.delta(["A", "B", "C", "D"].map(|text| event(other(text), OpType::Modified, 3)).into(), 4).await?;
    // D is as it should be when Apple is asked: that was no drift.
    let read = details([other("A"), other("B"), other("C"), ours("D")], []);
    world.store.commit_details(&world.lease, &read, at(5)).await?;
    assert_eq!(kinds(fixture, "drift.").await, ["drift.detected"; 3]);
    // A and B are assigned anew; of C the answer is lost, and Apple shows that it has worked.
    let claims = world.store.claim_due(&world.lease, revision.id, 10, at(6), at(300)).await?;
    assert!(claims.len() == 3 && claims.iter().all(|claim| claim.drifted), "{claims:?}");
    let settlements = ["A", "B"].map(|text| Settlement {
        profile_uuid: Some(uuid("UUID-1")),
        drifted: true,
        ..settlement(&serial(text), AssignState::Assigned)
    });
    world.settle(&settlements, 7).await?;
    world.store.commit_details(&world.lease, &details([ours("C")], []), at(400)).await?;
    let repaired: Vec<_> =
        fixture.events().await.into_iter().filter(|event| event.kind == "drift.repaired").collect();
    assert_eq!(repaired.len(), 2);
    assert_eq!(repaired[0].data, json!({ "revision": revision.id, "serial_numbers": ["A", "B"] }));
    assert_eq!(
        (repaired[1].serial.as_deref(), &repaired[1].data),
        (Some("C"), &json!({ "revision": revision.id }))
    );
    let again = world.store.claim_due(&world.lease, revision.id, 10, at(900), at(999)).await?;
    assert_eq!(again, []);

    // Drift that is only reported is over when a page shows it.
    let settings = SyncSettings { drift: Some(DriftMode::Report), ..SyncSettings::default() };
    world.store.set_sync_settings(world.server, &settings, &operator(401)).await?;
    world.decide_all(401).await?;
    world.delta(vec![event(other("D"), OpType::Modified, 402)], 402).await?;
    world.store.commit_details(&world.lease, &details([other("D")], []), at(403)).await?;
    assert_eq!(world.state("D").await?, AssignState::Drifted);
    world.delta(vec![event(ours("D"), OpType::Modified, 404)], 404).await?;
    assert_eq!(world.state("D").await?, AssignState::Assigned);
    assert_eq!(kinds(fixture, "drift.repaired").await.len(), 3);
    Ok(())
}

/// A page that is stored with its answers is told as any other.
pub async fn intended_pages_are_told(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    let nanodep = crate::NewWebhook {
        format: crate::WebhookFormat::Nanodep,
        ..super::endpoints::endpoint(&["sync.page"])
    };
    super::endpoints::add(&*world.store, nanodep).await?;
    let run = world.begin(SyncKind::Full, 1).await?;
    let page = world.commit(&run, SyncPhase::Fetch, ["A", "B"].map(phone).into(), 2).await?;
    let ahead = crate::SendAhead { verify_at: at(300) };
    let intended = world.store.intend_pages(&world.lease, vec![page], ahead).await?.expect("all are new");
    let counts = world.store.commit_intended(&world.lease, intended, Vec::new(), at(3), Turn::now()).await?;
    assert_eq!(counts, Counts { pages: 1, records: 2, added: 2, ..Counts::default() });
    let pages = told(fixture, "sync.page").await;
    let listed: Vec<_> = pages.iter().map(|(_, data)| data["devices"].clone()).collect();
    assert_eq!(listed, [json!([{ "serial_number": "A" }, { "serial_number": "B" }])]);
    assert_eq!(pages[0].1["phase"], "fetch");
    Ok(())
}
