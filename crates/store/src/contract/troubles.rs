//! What is not as it should be, and what is done about drift.

use adelie_model::{AssignState, DriftMode, OpType, ProfileStatus};
use adelie_rules::Scope;
use serde_json::json;

use super::world::{
    World, add_server, at, event, lease, mac, operator, phone, serial, serials, settlement, showing, uuid,
};
use super::{Case, Fixture};
use crate::page::{Action, Outcome};
use crate::{Details, PublishOutcome, Result, Settlement, SyncSettings, Trouble};

/// State, reason, devices and next attempt of each group.
fn short(troubles: &[Trouble]) -> Vec<(AssignState, &str, u64, Option<i64>)> {
    let seconds = |trouble: &Trouble| trouble.next_attempt_at.map(|moment| (moment - at(0)).num_seconds());
    troubles.iter().map(|one| (one.state, one.reason.as_str(), one.devices, seconds(one))).collect()
}

/// Devices that failed, are throttled and are out of reach; and some that are well.
async fn troubled(world: &World, revision: &crate::Revision) -> Result<()> {
    let names = ["A", "B", "C", "D", "E", "F", "G", "H"];
    world.full(names.map(phone).into(), 1).await?;
    world.claim(revision, 2).await?;
    let settled = |text: &str, state, reason: &str, next: i64| Settlement {
        reason: reason.to_owned(),
        next_attempt_at: Some(at(next)),
        ..settlement(&serial(text), state)
    };
    let well =
        Settlement { profile_uuid: Some(uuid("UUID-1")), ..settlement(&serial("H"), AssignState::Assigned) };
    let settlements = [
        settled("A", AssignState::Throttled, "Apple says THROTTLED", 900),
        settled("B", AssignState::Failed, "Apple says FAILED", 700),
        settled("C", AssignState::Failed, "Apple says FAILED", 600),
        settled("D", AssignState::Failed, "Apple says FAILED", 800),
        settled("E", AssignState::Throttled, "Apple says THROTTLED", 950),
        settled("F", AssignState::NotAccessible, "Apple says NOT_ACCESSIBLE", 500),
        well,
    ];
    world.settle(&settlements, 3).await
}

/// L20: what Apple said of devices is shown by cause, and not as a number of devices to look through.
pub async fn devices_in_the_same_trouble_are_one_group(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    assert_eq!(world.store.troubles(None, 10).await?, []);
    troubled(&world, &revision).await?;
    let troubles = world.store.troubles(Some(world.server), 10).await?;
    assert_eq!(
        short(&troubles),
        [
            (AssignState::Failed, "Apple says FAILED", 3, Some(600)),
            (AssignState::Throttled, "Apple says THROTTLED", 2, Some(900)),
            (AssignState::NotAccessible, "Apple says NOT_ACCESSIBLE", 1, Some(500)),
        ],
        "most devices first; what was sent or is well is no trouble"
    );
    for (trouble, among) in troubles.iter().zip([&["B", "C", "D"][..], &["A", "E"], &["F"]]) {
        assert_eq!(trouble.server, world.server);
        assert!(among.contains(&trouble.example.as_str()), "{trouble:?}");
    }
    assert_eq!(world.store.troubles(None, 2).await?, troubles[..2]);
    Ok(())
}

/// Of one MDM server or of all; the same cause at two of them is two troubles.
pub async fn troubles_are_told_per_server(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    troubled(&world, &revision).await?;
    let server = add_server(&*world.store, "elsewhere").await?;
    let lease = lease(&*world.store, server, "us").await?;
    let elsewhere = World { store: world.store.clone(), server, lease };
    let defaults = [(Scope::Any, Some(revision.name.clone()))];
    world.store.set_defaults(server, &defaults, &operator(1)).await?;
    elsewhere.full(vec![phone("Z")], 4).await?;
    elsewhere.claim(&revision, 5).await?;
    let failed = Settlement {
        reason: "Apple says FAILED".to_owned(),
        next_attempt_at: Some(at(70)),
        ..settlement(&serial("Z"), AssignState::Failed)
    };
    elsewhere.settle(&[failed], 6).await?;
    let all = world.store.troubles(None, 10).await?;
    assert_eq!(all.len(), 4);
    let theirs = world.store.troubles(Some(server), 10).await?;
    assert_eq!(short(&theirs), [(AssignState::Failed, "Apple says FAILED", 1, Some(70))]);
    assert_eq!((theirs[0].server, &theirs[0].example), (server, &serial("Z")));
    assert!(all.contains(&theirs[0]));
    assert_eq!(world.store.troubles(Some(world.server), 10).await?.len(), 3);
    Ok(())
}

/// L27: devices of a refused profile are held by it, with Apple's reason; so says every view.
pub async fn a_refused_profile_is_one_trouble(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let macs = world.default(Scope::ALL[0].clone(), "macs").await?;
    let others = world.default(Scope::Any, "others").await?;
    world.publish(&others, "UUID-O").await?;
    world.full(vec![mac("M1"), mac("M2"), mac("M3"), phone("P1"), phone("P2")], 1).await?;
    assert_eq!(world.store.troubles(None, 10).await?, [], "what is due is no trouble");
    let refused = |error: &str| PublishOutcome::Refused { error: error.to_owned(), next_attempt_at: at(600) };
    world.store.set_published(&world.lease, macs.id, &refused("FLAGS_INVALID"), at(2)).await?;
    let hold = Action::Hold { reason: String::new() };
    let answers = world.store.operate(world.server, &serials(["P1"]), &hold, &operator(3)).await?;
    assert_eq!(answers[0].outcome, Outcome::Done);
    let troubles = world.store.troubles(Some(world.server), 10).await?;
    assert_eq!(
        short(&troubles),
        [(AssignState::Held, "FLAGS_INVALID", 3, Some(600)), (AssignState::Held, "held by kim", 1, None),]
    );
    assert!(serials(["M1", "M2", "M3"]).contains(&troubles[0].example));

    // A drifted device is sent nothing either while its profile is refused.
    world.assign(&others, "UUID-O", 4).await?;
    let other = showing(phone("P2"), ProfileStatus::Assigned, "OTHER");
    world.delta(vec![event(other, OpType::Modified, 5)], 6).await?;
    assert_eq!(world.state("P2").await?, AssignState::Drifted);
    let drifted = world.store.troubles(Some(world.server), 10).await?;
    assert_eq!(drifted.len(), 3);
    assert!(drifted.iter().any(|one| (one.state, one.devices) == (AssignState::Drifted, 1)), "{drifted:?}");
    world.store.forget_published(&world.lease, others.id).await?;
    world.store.set_published(&world.lease, others.id, &refused("DEFINE_FAILED"), at(7)).await?;
    assert_eq!(world.view("P2").await?.state(), (AssignState::Held, "DEFINE_FAILED"));
    let held = world.store.troubles(Some(world.server), 10).await?;
    assert_eq!(held.len(), 3);
    assert!(held.iter().all(|one| one.state == AssignState::Held), "{held:?}");
    let refused = held.iter().find(|one| one.reason == "DEFINE_FAILED").expect("P2's");
    assert_eq!((refused.devices, &refused.example), (1, &serial("P2")));
    Ok(())
}

/// What has left is nobody's trouble any more.
pub async fn a_tombstone_is_no_trouble(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    troubled(&world, &revision).await?;
    let all = ["A", "B", "C", "D", "E", "F"].map(|text| event(phone(text), OpType::Deleted, 5));
    world.delta(all.into(), 6).await?;
    assert_eq!(world.store.troubles(None, 10).await?, []);
    Ok(())
}

async fn set_drift(world: &World, drift: Option<DriftMode>, now: i64) -> Result<()> {
    let settings = SyncSettings { drift, ..SyncSettings::default() };
    world.store.set_sync_settings(world.server, &settings, &operator(now)).await?;
    assert!(world.store.decisions_pending(world.server).await?);
    world.decide_all(now).await
}

/// L24: where drift is only reported, nothing is sent; once it is to be repaired, Apple is asked again and then it is.
pub async fn drift_is_reported_or_repaired(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    world.assign(&revision, "UUID-1", 2).await?;
    set_drift(&world, Some(DriftMode::Report), 3).await?;
    assert_eq!(world.state("A").await?, AssignState::Assigned);
    let other = showing(phone("A"), ProfileStatus::Assigned, "OTHER");
    world.delta(vec![event(other.clone(), OpType::Modified, 4)], 5).await?;
    assert_eq!(world.store.to_read_back(&world.lease, at(5), 10).await?, serials(["A"]));
    let shown = Details { records: vec![other], ..Details::default() };
    world.store.commit_details(&world.lease, &shown, at(6)).await?;
    let reported = world.device("A").await?.assignment;
    assert_eq!((reported.state, reported.next_attempt_at), (AssignState::Drifted, None));
    assert!(reported.reason.contains("reported only"), "{}", reported.reason);
    assert_eq!(world.store.next_attempt_at(world.server).await?, None);
    assert!(world.claim(&revision, 9000).await?.is_empty());
    assert!(world.store.to_read_back(&world.lease, at(9000), 10).await?.is_empty());
    let troubles = world.store.troubles(None, 10).await?;
    assert_eq!(short(&troubles), [(AssignState::Drifted, reported.reason.as_str(), 1, None)]);

    set_drift(&world, None, 9001).await?;
    let again = world.device("A").await?.assignment;
    assert_eq!((again.state, again.next_attempt_at), (AssignState::Drifted, Some(at(9001))));
    assert_eq!(world.store.to_read_back(&world.lease, at(9001), 10).await?, serials(["A"]));
    world.store.commit_details(&world.lease, &shown, at(9002)).await?;
    assert_eq!(world.state("A").await?, AssignState::Due);
    assert_eq!(world.claim(&revision, 9002).await?, serials(["A"]));
    let told: Vec<_> =
        fixture.events().await.into_iter().filter(|event| event.kind == "drift.detected").collect();
    let repaired: Vec<_> = told.iter().map(|event| &event.data["repaired"]).collect();
    assert_eq!(repaired, [&json!(false), &json!(true)]);
    Ok(())
}

/// A word of an operator is what reported drift waits for.
pub async fn reported_drift_is_repaired_on_demand(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    world.assign(&revision, "UUID-1", 2).await?;
    set_drift(&world, Some(DriftMode::Report), 3).await?;
    let other = showing(phone("A"), ProfileStatus::Assigned, "OTHER");
    world.delta(vec![event(other.clone(), OpType::Modified, 4)], 5).await?;
    let shown = Details { records: vec![other], ..Details::default() };
    world.store.commit_details(&world.lease, &shown, at(6)).await?;
    let retry = Action::Retry { throttled_too: false };
    let answers = world.store.operate(world.server, &serials(["A"]), &retry, &operator(7)).await?;
    assert_eq!(answers[0].outcome, Outcome::Done);
    assert_eq!(world.claim(&revision, 7).await?, serials(["A"]));
    Ok(())
}
