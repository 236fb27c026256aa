//! Which MDM servers have work, and when.

use adelie_model::{AssignState, ServerId, ServerTokenId, TokenState};
use adelie_rules::Scope;
use uuid::Uuid;

use super::world::{
    TTL, World, add_server, at, end, lease, operator, phone, serial, server_name, settlement, token,
};
use super::{Case, Fixture};
use crate::page::{Action, Outcome};
use crate::{NewServer, NewServerToken, PublishOutcome, Result, Settlement, Store, WorkEnd};

/// The MDM servers that a service gets at that moment; it does nothing for them.
async fn work(store: &dyn Store, now: i64) -> Result<Vec<ServerId>> {
    let claimed = store.claim_due_servers("service", TTL, at(now), 100).await?;
    for lease in &claimed {
        store.release_lease(lease, &end(now)).await?;
    }
    Ok(claimed.into_iter().map(|lease| lease.server).collect())
}

/// Ends the work of the case, so that a service may have the server.
async fn rest(world: &World, now: i64) -> Result<()> {
    world.store.release_lease(&world.lease, &end(now)).await
}

/// Ends the work of the case, sees that there is something to do at that moment and not before, and goes on.
async fn due_at(world: &mut World, end: WorkEnd, seconds: i64) -> Result<()> {
    world.store.release_lease(&world.lease, &end).await?;
    assert_eq!(work(&*world.store, seconds - 1).await?, [], "not a second before {seconds}");
    assert_eq!(work(&*world.store, seconds).await?, [world.server], "at {seconds}");
    world.lease = lease(&*world.store, world.server, "us").await?;
    Ok(())
}

/// A server whose first sync never ran is due; one that ran waits for its next time.
pub async fn a_server_has_work_when_its_sync_is_due(fixture: &dyn Fixture) -> Case {
    let mut world = World::new(fixture).await?;
    rest(&world, 0).await?;
    assert_eq!(work(&*world.store, 0).await?, [world.server]);
    world.lease = lease(&*world.store, world.server, "us").await?;
    world.full(Vec::new(), 1).await?;
    due_at(&mut world, end(2), 901).await?;
    Ok(())
}

/// L30, L42: a paused server, or one without a token, is left in peace.
pub async fn a_server_without_token_or_paused_has_no_work(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let bare = NewServer {
        name: server_name("bare"),
        base_url: "https://mdmenrollment.apple.com".to_owned(),
        paused: false,
    };
    let store = &*world.store;
    let bare = store.add_server(&bare, &operator(0)).await?;
    rest(&world, 1).await?;
    assert_eq!(work(store, 5).await?, [world.server]);
    store.set_paused(world.server, true, &operator(5)).await?;
    assert_eq!(work(store, 5).await?, []);
    store.set_paused(world.server, false, &operator(5)).await?;
    assert_eq!(work(store, 5).await?, [world.server]);
    let (key, token) = token(bare, 1);
    store.add_token_key(&key, &operator(0)).await?;
    store.import_token(&token, &TokenState::Valid.into(), &operator(3)).await?;
    assert_eq!(work(store, 5).await?.len(), 2, "a token is what was missing");
    Ok(())
}

/// A server that resumes is looked at, whatever became due while it was paused.
pub async fn a_resumed_server_has_work_at_once(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let store = &*world.store;
    world.full(Vec::new(), 1).await?;
    rest(&world, 2).await?;
    for paused in [true, false] {
        assert_eq!(work(store, 3).await?, []);
        store.set_paused(world.server, paused, &operator(3)).await?;
    }
    assert_eq!(work(store, 3).await?, [world.server]);
    Ok(())
}

/// Due devices are work from their time on.
pub async fn due_devices_are_work(fixture: &dyn Fixture) -> Case {
    let (mut world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A")], 10).await?;
    due_at(&mut world, end(9), 10).await?;
    world.claim(&revision, 11).await?;
    due_at(&mut world, end(12), 311).await?;
    world.read_back([phone("A")], 312).await?;
    world.claim(&revision, 312).await?;
    let throttled =
        Settlement { next_attempt_at: Some(at(500)), ..settlement(&serial("A"), AssignState::Throttled) };
    world.settle(&[throttled], 313).await?;
    due_at(&mut world, end(314), 500).await?;
    world.read_back([phone("A")], 500).await?;
    assert_eq!(world.assign(&revision, "UUID-1", 500).await?, [serial("A")]);
    due_at(&mut world, end(501), 910).await?;
    Ok(())
}

/// L25: so are decisions to be made, whether somebody works on the server when they come up or not.
pub async fn pending_decisions_are_work(fixture: &dyn Fixture) -> Case {
    let mut world = World::new(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    world.undecide(2).await?;
    due_at(&mut world, end(3), 3).await?;
    world.decide_all(3).await?;
    rest(&world, 4).await?;
    assert_eq!(work(&*world.store, 5).await?, []);
    world.undecide(5).await?;
    assert_eq!(work(&*world.store, 5).await?, [world.server]);
    Ok(())
}

/// L27: a refused profile is not tried in a loop, but when its time has come or an operator says so.
pub async fn a_refused_profile_is_no_work_until_its_time(fixture: &dyn Fixture) -> Case {
    let mut world = World::new(fixture).await?;
    let one = world.default(Scope::Any, "one").await?;
    world.full(vec![phone("A")], 1).await?;
    let refused = PublishOutcome::Refused { error: "FLAGS_INVALID".to_owned(), next_attempt_at: at(600) };
    world.store.set_published(&world.lease, one.id, &refused, at(2)).await?;
    assert_eq!(world.store.next_attempt_at(world.server).await?, Some(at(600)));
    due_at(&mut world, end(3), 600).await?;
    rest(&world, 3).await?;
    assert_eq!(work(&*world.store, 10).await?, []);
    assert_eq!(world.store.retry_profiles(world.server, &operator(10)).await?, 1);
    assert_eq!(work(&*world.store, 10).await?, [world.server]);
    assert_eq!(world.store.next_attempt_at(world.server).await?, Some(at(10)));
    Ok(())
}

/// L21: what is due waits for Apple's word, and after trouble for the holder's.
pub async fn work_waits_for_apple_and_after_trouble(fixture: &dyn Fixture) -> Case {
    let mut world = World::new(fixture).await?;
    let after = |seconds| WorkEnd { now: at(1), not_before: Some(at(seconds)) };
    due_at(&mut world, after(70), 70).await?;
    world.store.set_wait_until(world.server, at(50)).await?;
    due_at(&mut world, end(1), 50).await?;
    due_at(&mut world, after(40), 50).await?;
    due_at(&mut world, after(60), 60).await?;
    world.full(Vec::new(), 100).await?;
    due_at(&mut world, after(60), 1000).await?;
    Ok(())
}

/// Apple's wish counts also when it is told while nobody works on the server.
pub async fn a_server_that_apple_wants_left_alone_is_not_claimed(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    rest(&world, 1).await?;
    world.store.set_wait_until(world.server, at(500)).await?;
    assert_eq!(work(&*world.store, 499).await?, []);
    assert_eq!(work(&*world.store, 500).await?, [world.server]);
    Ok(())
}

/// What an operator makes due while somebody works on the server is not forgotten when the work ends.
pub async fn what_became_due_meanwhile_is_found(fixture: &dyn Fixture) -> Case {
    let (mut world, revision) = World::with_default(fixture).await?;
    let operated = fixture.another().await;
    world.full(vec![phone("A")], 1).await?;
    world.claim(&revision, 2).await?;
    let failed =
        Settlement { next_attempt_at: Some(at(800)), ..settlement(&serial("A"), AssignState::Failed) };
    world.settle(&[failed], 3).await?;
    due_at(&mut world, end(4), 800).await?;

    let retry = Action::Retry { throttled_too: false };
    let answers = operated.operate(world.server, &[serial("A")], &retry, &operator(10)).await?;
    assert_eq!(answers[0].outcome, Outcome::Done);
    due_at(&mut world, end(9), 10).await?;
    world.read_back([phone("A")], 11).await?;
    world.assign(&revision, "UUID-1", 11).await?;
    due_at(&mut world, end(12), 901).await?;

    let settings = crate::SyncSettings { delta_interval_s: Some(60), ..crate::SyncSettings::default() };
    rest(&world, 12).await?;
    operated.set_sync_settings(world.server, &settings, &operator(13)).await?;
    assert_eq!(work(&*world.store, 13).await?, [world.server], "the next sync may be sooner now");
    world.lease = lease(&*world.store, world.server, "us").await?;

    let (key, renewed) = token(world.server, 1);
    let renewed = NewServerToken { id: ServerTokenId(Uuid::from_u128(77)), key: key.id, ..renewed };
    operated.import_token(&renewed, &TokenState::Valid.into(), &operator(20)).await?;
    rest(&world, 21).await?;
    assert_eq!(work(&*world.store, 21).await?, [world.server]);
    Ok(())
}

/// With more work than can be taken, nobody starves.
pub async fn the_longest_due_comes_first(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let store = &*world.store;
    let mut expected = Vec::new();
    for (name, synced_at) in [("late", 30), ("early", 10), ("middle", 20), ("also early", 10)] {
        let server = add_server(store, name).await?;
        let lease = lease(store, server, "us").await?;
        let other = World { store: world.store.clone(), server, lease };
        other.full(Vec::new(), synced_at).await?;
        rest(&other, synced_at).await?;
        expected.push((synced_at, server));
    }
    world.full(Vec::new(), 40).await?;
    rest(&world, 40).await?;
    expected.push((40, world.server));
    expected.sort();
    let expected: Vec<_> = expected.into_iter().map(|(_, server)| server).collect();
    assert_eq!(work(store, 5000).await?, expected);
    let claimed = store.claim_due_servers("service", TTL, at(5000), 2).await?;
    assert_eq!(claimed.iter().map(|lease| lease.server).collect::<Vec<_>>(), expected[..2]);
    let claimed = store.claim_due_servers("service", TTL, at(5000), 2).await?;
    assert_eq!(claimed.iter().map(|lease| lease.server).collect::<Vec<_>>(), expected[2..4]);
    Ok(())
}
