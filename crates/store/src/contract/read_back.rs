//! Asking Apple before sending again.

use adelie_model::{AssignState, OpType, ProfileStatus, SyncKind};

use super::world::{World, at, details, event, operator, phone, serial, serials, settlement, showing, uuid};
use super::{Case, Fixture};
use crate::Settlement;
use crate::page::Action;

/// L29: no answer by the time set means that Apple is asked.
pub async fn a_silent_request_is_read_back(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A"), phone("B"), phone("C")], 1).await?;
    world.claim(&revision, 2).await?;
    assert!(world.store.to_read_back(&world.lease, at(301), 10).await?.is_empty());
    let mut all = world.store.to_read_back(&world.lease, at(302), 10).await?;
    all.sort();
    assert_eq!(all, serials(["A", "B", "C"]));
    assert_eq!(world.store.to_read_back(&world.lease, at(302), 2).await?.len(), 2);
    assert!(world.claim(&revision, 400).await?.is_empty(), "it is read back, not sent again");
    Ok(())
}

/// L16, L29: what another process had sent when it died is read back at once.
pub async fn a_request_of_another_epoch_is_read_back(fixture: &dyn Fixture) -> Case {
    let (mut world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A"), phone("B")], 1).await?;
    world.store.claim_due(&world.lease, revision.id, 1, at(2), at(9000)).await?;
    world.lease = world.taken_over().await?;
    let theirs = world.store.to_read_back(&world.lease, at(3), 10).await?;
    assert_eq!(theirs.len(), 1);
    let ours = world.claim(&revision, 4).await?;
    assert_eq!(ours.len(), 1);
    assert_ne!(ours, theirs, "one of the two is left to claim");
    assert_eq!(world.store.to_read_back(&world.lease, at(5), 10).await?, theirs);
    Ok(())
}

/// L29: what Apple shows decides: assigned stays, the rest is sent again.
pub async fn a_read_back_settles_what_was_sent(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A"), phone("B"), phone("C")], 1).await?;
    world.claim(&revision, 2).await?;
    let read = details([showing(phone("A"), ProfileStatus::Assigned, "UUID-1"), phone("B")], []);
    world.store.commit_details(&world.lease, &read, at(400)).await?;
    assert_eq!(world.state("A").await?, AssignState::Assigned);
    assert_eq!(world.device("A").await?.actual.profile_uuid, Some(uuid("UUID-1")));
    let again = world.device("B").await?.assignment;
    assert_eq!((again.state, again.attempts), (AssignState::Due, 1));
    assert_eq!(world.state("C").await?, AssignState::Sent);
    assert_eq!(world.claim(&revision, 401).await?, [serial("B")]);
    Ok(())
}

/// L28: a device that is not ours any more becomes a tombstone and leaves the work list.
pub async fn a_device_that_is_gone_becomes_a_tombstone(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A"), phone("B")], 1).await?;
    world.claim(&revision, 2).await?;
    let inaccessible = |text: &str| Settlement {
        next_attempt_at: Some(at(10)),
        ..settlement(&serial(text), AssignState::NotAccessible)
    };
    world.settle(&[inaccessible("A"), inaccessible("B")], 3).await?;
    assert!(world.store.to_read_back(&world.lease, at(9), 10).await?.is_empty());
    assert_eq!(world.store.to_read_back(&world.lease, at(10), 10).await?.len(), 2);
    assert!(world.claim(&revision, 10).await?.is_empty());
    world.store.commit_details(&world.lease, &details([phone("B")], ["A", "nobody"]), at(11)).await?;
    let gone = world.device("A").await?;
    assert_eq!((gone.assignment.state, gone.removed_at), (AssignState::Removed, Some(at(11))));
    assert!(!gone.assignment.reason.is_empty());
    assert_eq!(world.state("B").await?, AssignState::Due);
    assert!(world.store.to_read_back(&world.lease, at(90_000), 10).await?.is_empty());
    let told: Vec<_> =
        fixture.events().await.into_iter().filter(|event| event.kind == "device.removed").collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].serial.as_deref(), Some("A"));
    world.store.commit_details(&world.lease, &details([], ["A"]), at(12)).await?;
    assert_eq!(world.device("A").await?.removed_at, Some(at(11)), "it leaves once");
    Ok(())
}

/// L8: only a listing says that a device is listed.
pub async fn a_read_back_does_not_count_as_seen(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    let first = world.full(vec![phone("A")], 1).await?;
    let second = world.begin(SyncKind::Full, 10).await?;
    let mut news = phone("A");
    news.actual.color = Some("RED".to_owned());
    world.store.commit_details(&world.lease, &details([news], []), at(11)).await?;
    let device = world.device("A").await?;
    assert_eq!(device.actual.color.as_deref(), Some("RED"));
    assert_eq!(device.seen_run, first.id);
    world.store.commit_details(&world.lease, &details([phone("A")], []), at(12)).await?;
    world.store.commit_details(&world.lease, &details([phone("A")], []), at(13)).await?;
    assert_eq!(world.device("A").await?.seen_run, first.id);
    assert_eq!(world.store.absent(world.server, second.id).await?.absent, 1);
    Ok(())
}

/// Details that come late bring back no device that has left meanwhile: only lists do.
pub async fn a_read_back_brings_no_device(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    world.delta(vec![event(phone("A"), OpType::Deleted, 2)], 3).await?;
    let events = fixture.events().await;
    world.store.commit_details(&world.lease, &details([phone("A"), phone("B")], []), at(4)).await?;
    assert_eq!(world.state("A").await?, AssignState::Removed);
    assert!(world.store.device(&serial("B")).await?.is_empty());
    assert_eq!(fixture.events().await, events);
    Ok(())
}

/// L24: news on a sync page may be older than our assignment, so that drift is looked at first.
pub async fn drift_is_read_back_before_it_is_repaired(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A"), phone("B")], 1).await?;
    world.assign(&revision, "UUID-1", 2).await?;
    let other = |text: &str| showing(phone(text), ProfileStatus::Assigned, "OTHER");
    world
        .delta(vec![event(other("A"), OpType::Modified, 3), event(other("B"), OpType::Modified, 3)], 4)
        .await?;
    assert_eq!(world.state("A").await?, AssignState::Drifted);
    assert!(world.store.due_groups(world.server, at(5)).await?.is_empty());
    let mut drifted = world.store.to_read_back(&world.lease, at(5), 10).await?;
    drifted.sort();
    assert_eq!(drifted, serials(["A", "B"]));
    let read = details([other("A"), showing(phone("B"), ProfileStatus::Assigned, "UUID-1")], []);
    world.store.commit_details(&world.lease, &read, at(6)).await?;
    assert_eq!(world.state("B").await?, AssignState::Assigned);
    assert_eq!(world.claim(&revision, 7).await?, [serial("A")]);
    Ok(())
}

/// L24: a device of which Apple told nothing is asked about again; what was sent is sent once more, rather than never.
pub async fn what_was_not_told_is_asked_again(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    let all = ["DRIFTED", "FAILED", "LATER", "SENT", "THROTTLED"];
    world.full(all.map(phone).into(), 1).await?;
    world.claim(&revision, 2).await?;
    let of = |text: &str, state, until: Option<i64>| Settlement {
        next_attempt_at: until.map(at),
        profile_uuid: (state == AssignState::Assigned).then(|| uuid("UUID-1")),
        ..settlement(&serial(text), state)
    };
    let settled = [
        of("DRIFTED", AssignState::Assigned, None),
        of("FAILED", AssignState::Failed, Some(400)),
        of("LATER", AssignState::Throttled, Some(401)),
        of("THROTTLED", AssignState::Throttled, Some(400)),
    ];
    world.settle(&settled, 3).await?;
    let other = showing(phone("DRIFTED"), ProfileStatus::Assigned, "OTHER");
    world.delta(vec![event(other, OpType::Modified, 3)], 4).await?;
    let (drifted, later) = (world.device("DRIFTED").await?, world.device("LATER").await?);
    assert_eq!(drifted.assignment.state, AssignState::Drifted);
    let mut asked = world.store.to_read_back(&world.lease, at(400), 10).await?;
    asked.sort();
    assert_eq!(asked, serials(["DRIFTED", "FAILED", "SENT", "THROTTLED"]));

    let nothing = "Apple did not say";
    world.store.not_told(&world.lease, &serials(all), nothing, at(400), at(4000)).await?;
    for (text, attempts) in [("FAILED", 1), ("SENT", 1), ("THROTTLED", 1)] {
        let due = world.device(text).await?.assignment;
        assert_eq!((due.state, due.next_attempt_at), (AssignState::Due, Some(at(4000))), "{text}");
        assert_eq!((due.reason.as_str(), due.attempts), (nothing, attempts), "{text}");
    }
    let after = world.device("DRIFTED").await?.assignment;
    assert_eq!((after.state, &after.reason), (AssignState::Drifted, &drifted.assignment.reason));
    assert_eq!(after.next_attempt_at, Some(at(4000)));
    assert_eq!(world.device("LATER").await?, later, "nobody had to ask about it yet");
    assert_eq!(world.claim(&revision, 3999).await?, []);
    assert_eq!(world.claim(&revision, 4000).await?, serials(["FAILED", "SENT", "THROTTLED"]));
    Ok(())
}

/// L32: what an operator holds while Apple is asked about it stays held, whatever Apple does not say.
pub async fn what_is_held_meanwhile_stays_held(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    world.claim(&revision, 2).await?;
    let hold = Action::Hold { reason: String::new() };
    world.store.operate(world.server, &serials(["A"]), &hold, &operator(3)).await?;
    world.store.not_told(&world.lease, &serials(["A"]), "Apple did not say", at(400), at(4000)).await?;
    let held = world.device("A").await?.assignment;
    assert_eq!((held.state, held.reason.as_str()), (AssignState::Held, "held by kim"));
    assert_eq!(held.next_attempt_at, None);
    Ok(())
}
