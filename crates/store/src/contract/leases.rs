//! Leases and the fence that they put around every write of a run.

use std::time::Duration;

use adelie_model::{AssignState, RunOutcome, SyncKind, SyncPhase, Trigger};

use super::world::{TTL, World, add_server, at, lease, phone, serial, serials, settlement};
use super::{Case, Fixture};
use crate::{Lease, LeaseAnswer, PublishOutcome, Result, RunEnd, StoreError};

fn lost<T: std::fmt::Debug>(result: Result<T>, what: &str) {
    assert!(matches!(result, Err(StoreError::LeaseLost(_))), "{what} gave {result:?}");
}

/// L18: two processes never work on one MDM server.
pub async fn one_lease_per_server(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let other = fixture.another().await;
    let LeaseAnswer::Held { owner, .. } = other.acquire_lease(world.server, "them", TTL).await? else {
        panic!("two owners");
    };
    assert_eq!(owner, "us");
    let elsewhere = add_server(&*other, "elsewhere").await?;
    assert_eq!(lease(&*other, elsewhere, "them").await?.owner, "them");
    Ok(())
}

/// L16: a killed process blocks nobody for longer than its lease.
pub async fn an_expired_lease_is_taken_over(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let store = &world.store;
    store.renew_lease(&world.lease, Duration::from_millis(20)).await?;
    let taken = loop {
        match store.acquire_lease(world.server, "them", TTL).await? {
            LeaseAnswer::Ours(lease) => break lease,
            LeaseAnswer::Held { .. } => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    assert!(taken.epoch > world.lease.epoch);
    lost(store.renew_lease(&world.lease, TTL).await, "the old holder's heartbeat");
    store.release_lease(&world.lease).await?;
    store.renew_lease(&taken, TTL).await?;
    Ok(())
}

/// A released lease is free at once; a renewed one is held.
pub async fn a_lease_is_renewed_and_released(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    world.store.renew_lease(&world.lease, TTL).await?;
    let held = world.store.acquire_lease(world.server, "them", TTL).await?;
    assert!(matches!(held, LeaseAnswer::Held { .. }), "{held:?}");
    world.store.release_lease(&world.lease).await?;
    let theirs = lease(&*world.store, world.server, "them").await?;
    assert!(theirs.epoch > world.lease.epoch);
    Ok(())
}

/// A second task of the same process fences the first one off as well.
pub async fn the_same_owner_gets_a_new_epoch(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let again = lease(&*world.store, world.server, "us").await?;
    assert!(again.epoch > world.lease.epoch);
    lost(world.begin(SyncKind::Delta, 1).await, "the old epoch");
    world.store.begin_run(&again, SyncKind::Delta, Trigger::Manual, false, at(1)).await?;
    Ok(())
}

/// L16: whatever a run that was taken over still tries, nothing of it is stored.
pub async fn a_stale_lease_changes_nothing(fixture: &dyn Fixture) -> Case {
    let (mut world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A"), phone("B"), phone("C")], 1).await?;
    let claims = world.store.claim_due(&world.lease, revision.id, 1, at(2), at(300)).await?;
    let claimed: Vec<_> = claims.into_iter().map(|claim| claim.serial).collect();
    let run = world.begin(SyncKind::Full, 3).await?;
    let page = world.commit(&run, SyncPhase::Fetch, vec![phone("D")], 4).await?;
    let old = world.lease.clone();
    world.lease = lease(&*world.store, world.server, "us").await?;
    world.store.set_defaults(world.server, &[]).await?;
    let before = (world.all().await?, world.position().await?, fixture.events().await);
    let runs = world.store.runs(world.server, 10).await?;

    let store = &world.store;
    let end = RunEnd {
        run: run.id,
        outcome: RunOutcome::Done,
        error: None,
        full_completed: true,
        attention: Some("nothing".to_owned()),
        next_sync_at: at(9),
        now: at(5),
    };
    let settled = [settlement(&claimed[0], AssignState::Assigned)];
    let refused = PublishOutcome::Refused { error: "late".to_owned(), next_attempt_at: at(9) };
    lost(store.begin_run(&old, SyncKind::Full, Trigger::Manual, true, at(5)).await, "begin_run");
    lost(store.commit_page(&old, &page).await, "commit_page");
    lost(store.forget_delta_cursor(&old).await, "forget_delta_cursor");
    lost(store.set_stuck(&old, true).await, "set_stuck");
    lost(store.remove_absent(&old, run.id, run.id, 10, at(5)).await, "remove_absent");
    lost(store.end_run(&old, &end).await, "end_run");
    lost(store.decide_anew(&old, at(5), 10).await, "decide_anew");
    lost(store.claim_due(&old, revision.id, 10, at(5), at(300)).await, "claim_due");
    lost(store.settle(&old, revision.id, &settled, at(5)).await, "settle");
    lost(store.unclaim(&old, &claimed, "late", at(5)).await, "unclaim");
    lost(store.commit_details(&old, &[phone("A")], &serials(["B"]), at(5)).await, "commit_details");
    lost(store.set_published(&old, revision.id, &refused, at(5)).await, "set_published");
    lost(store.forget_published(&old, revision.id).await, "forget_published");
    lost(store.renew_lease(&old, TTL).await, "renew_lease");

    let after = (world.all().await?, world.position().await?, fixture.events().await);
    assert_eq!(before, after);
    assert_eq!(world.store.runs(world.server, 10).await?, runs);
    assert!(world.store.decisions_pending(world.server).await?);
    let published = world.store.published_at(world.server, revision.id).await?.expect("published");
    assert!(published.profile_uuid.is_some() && published.error.is_none());
    Ok(())
}

/// A lease says which server it is for; its epoch may well be another server's too.
pub async fn a_lease_of_one_server_is_not_one_of_another(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let free = add_server(&*world.store, "free").await?;
    let forged = Lease { server: free, ..world.lease.clone() };
    lost(world.store.set_stuck(&forged, true).await, "a lease that was never given");
    let theirs = lease(&*world.store, free, "them").await?;
    let forged = Lease { owner: "us".to_owned(), ..theirs };
    lost(world.store.set_stuck(&forged, true).await, "a lease of another owner");
    assert!(world.store.device(&serial("A")).await?.is_empty());
    Ok(())
}
