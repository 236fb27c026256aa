//! What is no longer worth keeping.

use adelie_model::{OpType, SyncKind, Timestamp};
use serde_json::json;

use super::world::{World, add_server, at, event, lease, phone, serial};
use super::{Case, Fixture};
use crate::{Result, Retention, StoreError};

/// Keeps everything.
const ALL: Retention = Retention {
    tombstones_before: Timestamp::UNIX_EPOCH,
    events_before: Timestamp::UNIX_EPOCH,
    runs: u32::MAX,
};

/// Forgets in batches until nothing is left to forget. Returns how much went.
async fn forget(world: &World, keep: &Retention, limit: u32) -> Result<u64> {
    let mut all = 0;
    loop {
        let gone = world.store.forget_old(&world.lease, keep, limit).await?;
        if gone == 0 {
            return Ok(all);
        }
        all += gone;
    }
}

/// L8: a tombstone is kept for its time and then deleted, which is told.
pub async fn old_tombstones_are_deleted(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    let names = ["A", "B", "C", "D", "E", "F", "G"];
    world.full(names.map(phone).into(), 1).await?;
    for (text, removed) in [("A", 10), ("B", 11), ("C", 12), ("D", 13), ("E", 20)] {
        world.delta(vec![event(phone(text), OpType::Deleted, removed)], removed).await?;
    }
    // F has left and is back: that is no tombstone.
    world.delta(vec![event(phone("F"), OpType::Deleted, 10)], 10).await?;
    world.delta(vec![event(phone("F"), OpType::Added, 11)], 11).await?;
    assert_eq!(forget(&world, &ALL, 10).await?, 0);
    let keep = Retention { tombstones_before: at(20), ..ALL };
    assert_eq!(world.store.forget_old(&world.lease, &keep, 3).await?, 3, "batches are bounded");
    assert_eq!(forget(&world, &keep, 3).await?, 1);
    for text in ["A", "B", "C", "D"] {
        assert!(world.store.device(&serial(text)).await?.is_empty(), "{text} is gone for good");
    }
    let left: Vec<_> = world.all().await?.into_iter().map(|view| view.device.serial).collect();
    assert_eq!(left, super::world::serials(["E", "F", "G"]));
    let mut told: Vec<_> =
        fixture.events().await.into_iter().filter(|event| event.kind == "device.deleted").collect();
    told.sort_by(|a, b| a.serial.cmp(&b.serial));
    let of: Vec<_> = told.iter().filter_map(|event| event.serial.as_deref()).collect();
    assert_eq!(of, ["A", "B", "C", "D"]);
    assert_eq!(told[0].data, json!({ "removed_at": at(10) }));
    Ok(())
}

/// A device that was deleted and comes back is a new one.
pub async fn a_deleted_device_may_come_back(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    world.delta(vec![event(phone("A"), OpType::Deleted, 2)], 2).await?;
    assert_eq!(forget(&world, &Retention { tombstones_before: at(3), ..ALL }, 10).await?, 1);
    world.delta(vec![event(phone("A"), OpType::Added, 4)], 5).await?;
    let device = world.device("A").await?;
    assert_eq!((device.first_seen_at, device.removed_at), (at(5), None));
    assert_eq!(world.claim(&revision, 6).await?, [serial("A")]);
    Ok(())
}

/// The latest runs are kept, with the one that is under way and the one that an open full sync counts from.
pub async fn old_runs_are_deleted(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    for now in 1..=5 {
        world.delta(Vec::new(), now).await?;
    }
    let generation = world.begin(SyncKind::Full, 6).await?;
    world.fetch_page(&generation, vec![phone("A")], 7).await?;
    for now in 8..=10 {
        world.delta(Vec::new(), now).await?;
    }
    let latest = world.begin(SyncKind::Delta, 11).await?;
    let elsewhere = {
        let server = add_server(&*world.store, "elsewhere").await?;
        let lease = lease(&*world.store, server, "us").await?;
        World { store: world.store.clone(), server, lease }
    };
    for now in 1..=3 {
        elsewhere.delta(Vec::new(), now).await?;
    }
    let before = world.store.runs(Some(world.server), None, 100).await?;
    assert_eq!(before.len(), 10);
    assert_eq!(forget(&world, &Retention { runs: 10, ..ALL }, 2).await?, 0);
    assert_eq!(world.store.forget_old(&world.lease, &Retention { runs: 2, ..ALL }, 3).await?, 3);
    assert_eq!(forget(&world, &Retention { runs: 2, ..ALL }, 3).await?, 4);
    let kept = world.store.runs(Some(world.server), None, 100).await?;
    assert_eq!(kept.iter().map(|run| run.id).collect::<Vec<_>>(), [latest.id, before[1].id, generation.id]);
    assert_eq!(forget(&world, &Retention { runs: 0, ..ALL }, 100).await?, 1);
    let kept = world.store.runs(Some(world.server), None, 100).await?;
    assert_eq!(kept.iter().map(|run| run.id).collect::<Vec<_>>(), [latest.id, generation.id]);
    let of_others = elsewhere.store.runs(Some(elsewhere.server), None, 100).await?;
    assert_eq!(of_others.len(), 3, "what another server keeps is its own affair");
    assert_eq!(world.position().await?.full.map(|full| full.generation), Some(generation.id));
    Ok(())
}

/// Events go by their age, whichever MDM server they are of.
pub async fn old_events_are_deleted(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let server = add_server(&*world.store, "elsewhere").await?;
    let lease = lease(&*world.store, server, "us").await?;
    let elsewhere = World { store: world.store.clone(), server, lease };
    world.full(Vec::new(), 1).await?;
    elsewhere.full(Vec::new(), 1).await?;
    for (name, now) in [("A", 2), ("B", 3), ("C", 4), ("D", 10), ("E", 11)] {
        world.delta(vec![event(phone(name), OpType::Added, now)], now).await?;
        elsewhere.delta(vec![event(phone(name), OpType::Added, now)], now).await?;
    }
    let old = fixture.events().await.len() as u64 - 8;
    assert_eq!(forget(&world, &ALL, 3).await?, 0);
    let keep = Retention { events_before: at(10), ..ALL };
    assert_eq!(world.store.forget_old(&world.lease, &keep, 4).await?, 4, "batches are bounded");
    assert_eq!(forget(&world, &keep, 4).await?, old - 4);
    let left: Vec<_> = fixture.events().await.into_iter().filter_map(|event| event.serial).collect();
    assert_eq!(left, ["D", "D", "E", "E"]);
    assert_eq!(world.all().await?.len(), 10, "devices do not go with what is told of them");
    Ok(())
}

/// L16: whoever has lost the lease deletes nothing.
pub async fn forgetting_is_fenced(fixture: &dyn Fixture) -> Case {
    let (mut world, _) = World::with_default(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    world.delta(vec![event(phone("A"), OpType::Deleted, 2)], 2).await?;
    let old = world.lease.clone();
    world.lease = world.taken_over().await?;
    let before = (world.all().await?, fixture.events().await);
    let keep = Retention { tombstones_before: at(9), events_before: at(9), runs: 0 };
    let lost = world.store.forget_old(&old, &keep, 10).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost(server)) if server == world.server), "{lost:?}");
    assert_eq!((world.all().await?, fixture.events().await), before);
    assert_eq!(world.store.runs(None, None, 10).await?.len(), 2);
    Ok(())
}
