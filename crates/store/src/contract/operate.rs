//! What an operator does to devices by hand.

use adelie_model::{AssignState, OpType, ProfileStatus};
use serde_json::json;

use super::world::{
    TTL, World, add_server, at, event, lease, operator, phone, serial, serials, settlement, showing, uuid,
};
use super::{Case, Fixture};
use crate::page::{Action, Outcome};
use crate::{PublishOutcome, Result, Settlement, WorkEnd};

fn hold(reason: &str) -> Action {
    Action::Hold { reason: reason.to_owned() }
}

/// What comes of an action, in the order of the serial numbers.
async fn operate(world: &World, texts: &[&str], action: &Action, now: i64) -> Result<Vec<Outcome>> {
    let serials: Vec<_> = texts.iter().map(|text| serial(text)).collect();
    let answers = world.store.operate(world.server, &serials, action, &operator(now)).await?;
    let answered: Vec<_> = answers.iter().map(|answer| &answer.serial).collect();
    assert_eq!(answered, serials.iter().collect::<Vec<_>>(), "one answer per serial number, in their order");
    Ok(answers.into_iter().map(|answer| answer.outcome).collect())
}

/// The details of all events of a kind.
async fn data_of(fixture: &dyn Fixture, kind: &str) -> Vec<serde_json::Value> {
    fixture.events().await.into_iter().filter(|event| event.kind == kind).map(|event| event.data).collect()
}

/// L32: a held device is left alone until it is let go, and who did it is written.
pub async fn a_held_device_is_not_assigned(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A"), phone("B")], 1).await?;
    assert_eq!(operate(&world, &["A"], &hold("in repair"), 2).await?, [Outcome::Done]);
    let device = world.device("A").await?;
    assert_eq!(device.hold.as_deref(), Some("held by kim: in repair"));
    assert_eq!(device.assignment.state, AssignState::Held);
    assert_eq!(device.assignment.reason, "held by kim: in repair");
    assert_eq!(device.assignment.next_attempt_at, None);
    let mut news = event(phone("A"), OpType::Modified, 3);
    news.actual.color = Some("RED".to_owned());
    world.delta(vec![news], 3).await?;
    assert_eq!(world.state("A").await?, AssignState::Held);
    assert_eq!(world.claim(&revision, 4).await?, [serial("B")]);

    let again = operate(&world, &["A"], &hold("in repair"), 5).await?;
    assert!(matches!(again[..], [Outcome::Unchanged(_)]), "{again:?}");
    assert_eq!(operate(&world, &["A"], &Action::Unhold, 6).await?, [Outcome::Done]);
    let device = world.device("A").await?;
    assert_eq!((device.hold, device.assignment.state), (None, AssignState::Due));
    let again = operate(&world, &["A"], &Action::Unhold, 7).await?;
    assert!(matches!(again[..], [Outcome::Unchanged(_)]), "{again:?}");
    assert_eq!(world.claim(&revision, 8).await?, [serial("A")]);
    assert_eq!(data_of(fixture, "device.held").await, [json!({ "by": "kim", "reason": "in repair" })]);
    assert_eq!(data_of(fixture, "device.unheld").await, [json!({ "by": "kim" })]);
    Ok(())
}

/// What is under way cannot be called back; its outcome is stored, and then the device is held.
pub async fn a_sent_device_is_held_once_it_is_settled(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(["A", "B", "C"].map(phone).into(), 1).await?;
    world.claim(&revision, 2).await?;
    assert_eq!(operate(&world, &["A", "B", "C"], &hold(""), 3).await?, [const { Outcome::Done }; 3]);
    for serial in ["A", "B", "C"] {
        assert_eq!(world.state(serial).await?, AssignState::Sent);
    }
    let settlements = [
        Settlement { profile_uuid: Some(uuid("UUID-1")), ..settlement(&serial("A"), AssignState::Assigned) },
        Settlement { next_attempt_at: Some(at(9000)), ..settlement(&serial("B"), AssignState::Throttled) },
        Settlement { next_attempt_at: Some(at(9000)), ..settlement(&serial("C"), AssignState::Failed) },
    ];
    world.settle(&settlements, 4).await?;
    let a = world.device("A").await?;
    assert_eq!((a.actual.profile_uuid, a.actual.profile_assign_time), (Some(uuid("UUID-1")), Some(at(4))));
    assert_eq!(a.actual.profile_status, Some(ProfileStatus::Assigned));
    for (serial, cool_down) in [("A", None), ("B", Some(at(9000))), ("C", None)] {
        let assignment = world.device(serial).await?.assignment;
        assert_eq!((assignment.state, assignment.reason.as_str()), (AssignState::Held, "held by kim"));
        assert_eq!(assignment.next_attempt_at, cool_down, "{serial}: only a cool-down outlasts it");
    }
    assert_eq!(world.store.next_attempt_at(world.server).await?, None);
    operate(&world, &["A", "B", "C"], &Action::Unhold, 5).await?;
    assert_eq!(world.state("A").await?, AssignState::Assigned);
    let b = world.device("B").await?.assignment;
    assert_eq!((b.state, b.next_attempt_at), (AssignState::Throttled, Some(at(9000))));
    let to_read_back = world.store.to_read_back(&world.lease, at(5), 10).await?;
    assert_eq!(
        (world.state("C").await?, to_read_back),
        (AssignState::Sent, vec![serial("C")]),
        "asked first"
    );
    Ok(())
}

/// A hold is about the serial number: it is still there when the device comes back.
pub async fn a_hold_outlasts_an_absence(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    operate(&world, &["A"], &hold(""), 2).await?;
    world.delta(vec![event(phone("A"), OpType::Deleted, 3)], 3).await?;
    assert_eq!(world.state("A").await?, AssignState::Removed);
    world.delta(vec![event(phone("A"), OpType::Added, 4)], 4).await?;
    let device = world.device("A").await?;
    assert_eq!((device.assignment.state, device.hold.as_deref()), (AssignState::Held, Some("held by kim")));
    assert!(world.claim(&revision, 5).await?.is_empty());
    Ok(())
}

/// L21: what waits is tried at once, but a throttled device only when that is asked for.
pub async fn what_waits_is_tried_again_on_demand(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(["A", "B", "C"].map(phone).into(), 1).await?;
    world.claim(&revision, 2).await?;
    let later = |text: &str, state| Settlement {
        next_attempt_at: Some(at(9000)),
        ..settlement(&serial(text), state)
    };
    world
        .settle(
            &[
                later("A", AssignState::Failed),
                later("B", AssignState::Throttled),
                later("C", AssignState::NotAccessible),
            ],
            3,
        )
        .await?;
    let retry = Action::Retry { throttled_too: false };
    let outcomes = operate(&world, &["A", "B", "C"], &retry, 4).await?;
    assert_eq!((&outcomes[0], &outcomes[2]), (&Outcome::Done, &Outcome::Done));
    assert!(matches!(&outcomes[1], Outcome::Refused(why) if why.contains("throttles")), "{outcomes:?}");
    let mut asked = world.store.to_read_back(&world.lease, at(4), 10).await?;
    asked.sort();
    assert_eq!(asked, serials(["A", "C"]), "Apple is asked before anything is sent once more");
    world.read_back([phone("A")], 4).await?;
    let a = world.device("A").await?.assignment;
    assert_eq!((a.state, a.attempts, a.next_attempt_at), (AssignState::Due, 1, Some(at(4))));
    assert_eq!(world.device("B").await?.assignment.next_attempt_at, Some(at(9000)));
    assert_eq!(world.claim(&revision, 4).await?, serials(["A"]));

    let forced = Action::Retry { throttled_too: true };
    assert_eq!(operate(&world, &["B"], &forced, 5).await?, [Outcome::Done]);
    world.read_back([phone("B")], 5).await?;
    assert_eq!(world.claim(&revision, 5).await?, serials(["B"]));
    let was = |state: &str| json!({ "by": "kim", "was": state });
    let mut expected = vec![was("failed"), was("not_accessible"), was("throttled")];
    let mut written = data_of(fixture, "device.retried").await;
    for list in [&mut expected, &mut written] {
        list.sort_by_key(ToString::to_string);
    }
    assert_eq!(written, expected);
    Ok(())
}

/// L24: nothing is sent again without need, and what cannot be tried says why.
pub async fn a_needless_retry_changes_nothing(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    let shown = showing(phone("A"), ProfileStatus::Assigned, "UUID-1");
    world.full(vec![shown, phone("B"), phone("C"), phone("D")], 1).await?;
    operate(&world, &["C"], &hold(""), 2).await?;
    world.delta(vec![event(phone("D"), OpType::Deleted, 3)], 3).await?;
    assert_eq!(world.claim(&revision, 4).await?, serials(["B"]));
    let before = (world.all().await?, fixture.events().await);
    let outcomes = operate(&world, &["A", "B", "C", "D"], &Action::Retry { throttled_too: true }, 5).await?;
    assert!(
        matches!(
            outcomes[..],
            [Outcome::Unchanged(_), Outcome::Unchanged(_), Outcome::Refused(_), Outcome::Refused(_)]
        ),
        "{outcomes:?}"
    );
    assert_eq!((world.all().await?, fixture.events().await), before);
    Ok(())
}

/// A device that was put away by mistake comes back with the next complete listing, if Apple still has it.
pub async fn an_archived_device_returns_if_apple_lists_it(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A"), phone("B")], 1).await?;
    world.assign(&revision, "UUID-1", 2).await?;
    assert_eq!(operate(&world, &["A", "B"], &Action::Archive, 3).await?, [const { Outcome::Done }; 2]);
    for serial in ["A", "B"] {
        let device = world.device(serial).await?;
        assert_eq!((device.assignment.state, device.removed_at), (AssignState::Removed, Some(at(3))));
        assert!(device.assignment.reason.contains("kim"), "{}", device.assignment.reason);
    }
    let was = json!({ "by": "kim", "was": "assigned" });
    assert_eq!(data_of(fixture, "device.removed").await, [was.clone(), was]);
    let again = operate(&world, &["A"], &Action::Archive, 4).await?;
    assert!(matches!(again[..], [Outcome::Refused(_)]), "{again:?}");
    world.full(vec![phone("A")], 5).await?;
    let back = world.device("A").await?;
    assert_eq!((back.assignment.state, back.removed_at), (AssignState::Due, None));
    let gone = world.device("B").await?;
    assert_eq!((gone.assignment.state, gone.removed_at), (AssignState::Removed, Some(at(3))));
    Ok(())
}

/// Every serial number gets its answer, in the order in which they were asked about, and is done once.
pub async fn every_serial_number_is_answered_in_order(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    world.full(["A", "B", "C"].map(phone).into(), 1).await?;
    operate(&world, &["B"], &hold("x"), 2).await?;
    let outcomes = operate(&world, &["nobody", "C", "B", "A", "C"], &hold("x"), 3).await?;
    assert_eq!(outcomes[..2], [Outcome::Unknown, Outcome::Done]);
    assert!(matches!(outcomes[2], Outcome::Unchanged(_)), "{outcomes:?}");
    assert_eq!(outcomes[3], Outcome::Done);
    let held: Vec<_> =
        fixture.events().await.into_iter().filter(|event| event.kind == "device.held").collect();
    let mut of: Vec<_> = held.iter().filter_map(|event| event.serial.as_deref()).collect();
    of.sort_unstable();
    assert_eq!(of, ["A", "B", "C"], "what is asked for twice is done once");
    assert!(world.store.device(&serial("nobody")).await?.is_empty());
    assert_eq!(operate(&world, &[], &hold("x"), 4).await?, []);
    Ok(())
}

/// The same serial number at another MDM server is another device.
pub async fn an_operator_means_one_server(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    let server = add_server(&*world.store, "elsewhere").await?;
    let lease = lease(&*world.store, server, "us").await?;
    let elsewhere = World { store: world.store.clone(), server, lease };
    elsewhere.full(vec![phone("A"), phone("B")], 1).await?;
    assert_eq!(operate(&world, &["A", "B"], &hold(""), 2).await?, [Outcome::Done, Outcome::Unknown]);
    assert!(world.device("A").await?.hold.is_some());
    assert!(elsewhere.device("A").await?.hold.is_none());
    let missing =
        world.store.operate(adelie_model::ServerId(9999), &serials(["A"]), &hold(""), &operator(3)).await;
    assert!(matches!(missing, Err(crate::StoreError::Missing { .. })), "{missing:?}");
    Ok(())
}

/// What an operator asks for is not left until the next sync; the holder of the lease goes on meanwhile.
pub async fn what_an_operator_asks_for_is_work_at_once(fixture: &dyn Fixture) -> Case {
    let (mut world, revision) = World::with_default(fixture).await?;
    let store = world.store.clone();
    world.full(vec![phone("A")], 1).await?;
    world.assign(&revision, "UUID-1", 2).await?;
    assert_eq!(operate(&world, &["A"], &hold(""), 3).await?, [Outcome::Done]);
    store.renew_lease(&world.lease, TTL).await?;
    store.release_lease(&world.lease, &WorkEnd { now: at(4), not_before: None }).await?;
    assert_eq!(store.claim_due_servers("them", TTL, at(5), 9).await?, [], "all is done");
    operate(&world, &["A"], &hold(""), 6).await?;
    assert_eq!(store.claim_due_servers("them", TTL, at(6), 9).await?, [], "there was nothing to do");
    assert_eq!(operate(&world, &["A"], &Action::Unhold, 7).await?, [Outcome::Done]);
    let claimed = store.claim_due_servers("them", TTL, at(7), 9).await?;
    assert_eq!(claimed.iter().map(|lease| lease.server).collect::<Vec<_>>(), [world.server]);
    world.lease = claimed[0].clone();
    assert_eq!(world.state("A").await?, AssignState::Assigned);
    Ok(())
}

/// L27: once the cause is mended, a refused profile need not wait for its time.
pub async fn refused_profiles_are_tried_again_on_demand(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let one = world.default(adelie_rules::Scope::Any, "one").await?;
    world.full(vec![phone("A")], 1).await?;
    let store = world.store.clone();
    assert_eq!(store.retry_profiles(world.server, &operator(2)).await?, 0);
    assert!(data_of(fixture, "server.profiles_retried").await.is_empty());
    let refused = PublishOutcome::Refused { error: "FLAGS_INVALID".to_owned(), next_attempt_at: at(600) };
    store.set_published(&world.lease, one.id, &refused, at(2)).await?;
    store.release_lease(&world.lease, &WorkEnd { now: at(3), not_before: None }).await?;
    assert_eq!(store.claim_due_servers("them", TTL, at(4), 9).await?, []);
    assert_eq!(store.retry_profiles(world.server, &operator(5)).await?, 1);
    assert_eq!(store.due_groups(world.server, at(5)).await?.len(), 1);
    let published = store.published_at(world.server, one.id).await?.expect("it is known");
    assert_eq!(published.next_attempt_at, Some(at(5)));
    assert_eq!(published.error.as_deref(), Some("FLAGS_INVALID"), "it is refused until Apple takes it");
    assert_eq!(data_of(fixture, "server.profiles_retried").await, [json!({ "by": "kim", "profiles": 1 })]);
    assert_eq!(store.claim_due_servers("them", TTL, at(5), 9).await?.len(), 1);
    Ok(())
}
