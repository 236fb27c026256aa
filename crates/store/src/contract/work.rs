//! Which MDM servers have work.

use adelie_model::{AssignState, ServerId};
use adelie_rules::Scope;

use super::world::{World, add_server, at, lease, phone, serial, server_name, settlement};
use super::{Case, Fixture};
use crate::{NewServer, PublishOutcome, Result, Settlement};

async fn work(world: &World, now: i64) -> Result<Vec<ServerId>> {
    world.store.servers_with_work(at(now), 100).await
}

/// A server whose first sync never ran is due; one that ran waits for its next time.
pub async fn a_server_has_work_when_its_sync_is_due(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    assert_eq!(work(&world, 0).await?, [world.server]);
    world.full(Vec::new(), 1).await?;
    assert!(work(&world, 900).await?.is_empty());
    assert_eq!(work(&world, 901).await?, [world.server]);
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
    world.store.add_server(&bare, at(0)).await?;
    assert_eq!(work(&world, 5).await?, [world.server]);
    world.store.set_paused(world.server, true).await?;
    assert!(work(&world, 5).await?.is_empty());
    world.store.set_paused(world.server, false).await?;
    assert_eq!(work(&world, 5).await?, [world.server]);
    Ok(())
}

/// Due devices are work from their time on.
pub async fn due_devices_are_work(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    assert_eq!(work(&world, 2).await?, [world.server]);
    world.claim(&revision, 2).await?;
    assert!(work(&world, 3).await?.is_empty(), "the answer is awaited");
    let throttled =
        Settlement { next_attempt_at: Some(at(500)), ..settlement(&serial("A"), AssignState::Throttled) };
    world.settle(&[throttled], 4).await?;
    assert!(work(&world, 499).await?.is_empty());
    assert_eq!(work(&world, 500).await?, [world.server]);
    world.assign(&revision, "UUID-1", 500).await?;
    assert!(work(&world, 600).await?.is_empty());
    Ok(())
}

/// So are decisions to be made and answers that never came.
pub async fn pending_decisions_and_read_backs_are_work(fixture: &dyn Fixture) -> Case {
    let (mut world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A"), phone("B")], 1).await?;
    world.claim(&revision, 2).await?;
    assert!(work(&world, 3).await?.is_empty());
    world.store.set_defaults(world.server, &[]).await?;
    assert_eq!(work(&world, 3).await?, [world.server]);
    world.decide_all(3).await?;
    assert!(work(&world, 3).await?.is_empty());
    assert_eq!(work(&world, 302).await?, [world.server], "nothing was heard of the request");
    world.lease = lease(&*world.store, world.server, "us").await?;
    assert_eq!(work(&world, 3).await?, [world.server], "the request is another epoch's");
    Ok(())
}

/// L27: a refused profile is not tried in a loop.
pub async fn a_refused_profile_is_no_work_until_its_time(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let one = world.default(Scope::Any, "one").await?;
    world.full(vec![phone("A")], 1).await?;
    assert_eq!(work(&world, 2).await?, [world.server]);
    let refused = PublishOutcome::Refused { error: "FLAGS_INVALID".to_owned(), next_attempt_at: at(600) };
    world.store.set_published(&world.lease, one.id, &refused, at(2)).await?;
    assert!(work(&world, 599).await?.is_empty());
    assert_eq!(world.store.next_attempt_at(world.server).await?, Some(at(600)));
    assert_eq!(work(&world, 600).await?, [world.server]);
    Ok(())
}

/// With more work than can be taken, nobody starves.
pub async fn the_longest_due_comes_first(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let mut expected = Vec::new();
    for (name, synced_at) in [("late", 30), ("early", 10), ("middle", 20)] {
        let server = add_server(&*world.store, name).await?;
        let lease = lease(&*world.store, server, "us").await?;
        World { store: world.store.clone(), server, lease }.full(Vec::new(), synced_at).await?;
        expected.push((synced_at, server));
    }
    world.full(Vec::new(), 40).await?;
    expected.push((40, world.server));
    expected.sort();
    let expected: Vec<_> = expected.into_iter().map(|(_, server)| server).collect();
    assert_eq!(work(&world, 5000).await?, expected);
    assert_eq!(world.store.servers_with_work(at(5000), 2).await?, expected[..2]);
    Ok(())
}
