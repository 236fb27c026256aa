//! Leases and the fence that they put around every write of a run.

use std::time::Duration;

use adelie_model::{AssignState, RunOutcome, SyncKind, SyncPhase};

use super::world::{TTL, World, add_server, at, details, end, lease, phone, serial, settlement, start};
use super::{Case, Fixture};
use crate::{Lease, LeaseAnswer, PublishOutcome, Result, Retention, RunEnd, RunStart, StoreError};

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
    store.release_lease(&world.lease, &end(1)).await?;
    store.renew_lease(&taken, TTL).await?;
    Ok(())
}

/// A released lease is free at once; a renewed one is held.
pub async fn a_lease_is_renewed_and_released(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    world.store.renew_lease(&world.lease, TTL).await?;
    let held = world.store.acquire_lease(world.server, "them", TTL).await?;
    assert!(matches!(held, LeaseAnswer::Held { .. }), "{held:?}");
    world.store.release_lease(&world.lease, &end(1)).await?;
    let theirs = lease(&*world.store, world.server, "them").await?;
    assert!(theirs.epoch > world.lease.epoch);
    Ok(())
}

/// L18: two pieces of work of one process do not share a lease: the first would send what the second has settled since.
pub async fn the_same_owner_waits_as_well(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let held = world.store.acquire_lease(world.server, "us", TTL).await?;
    assert!(matches!(&held, LeaseAnswer::Held { owner, .. } if owner == "us"), "{held:?}");
    world.begin(SyncKind::Delta, 1).await?;
    world.store.release_lease(&world.lease, &end(1)).await?;
    let again = lease(&*world.store, world.server, "us").await?;
    assert!(again.epoch > world.lease.epoch);
    lost(world.begin(SyncKind::Delta, 1).await, "the old epoch");
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
    world.lease = world.taken_over().await?;
    world.undecide(4).await?;
    let before = (world.all().await?, world.position().await?, fixture.events().await);
    let runs = world.store.runs(None, None, 10).await?;

    let store = &world.store;
    let run_end = RunEnd {
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
    let restart = RunStart { restart: true, ..start(SyncKind::Full, 5) };
    let keep = Retention { tombstones_before: at(9), events_before: at(9), runs: 0 };
    lost(store.begin_run(&old, &restart).await, "begin_run");
    lost(store.commit_page(&old, &page).await, "commit_page");
    lost(store.forget_delta_cursor(&old).await, "forget_delta_cursor");
    lost(store.set_stuck(&old, true).await, "set_stuck");
    lost(store.remove_absent(&old, run.id, run.id, 10, at(5)).await, "remove_absent");
    lost(store.end_run(&old, &run_end).await, "end_run");
    lost(store.decide_anew(&old, at(5), 10).await, "decide_anew");
    lost(store.claim_due(&old, revision.id, 10, at(5), at(300)).await, "claim_due");
    lost(store.settle(&old, revision.id, &settled, at(5)).await, "settle");
    lost(store.not_told(&old, &claimed, "late", at(400), at(5)).await, "not_told");
    lost(store.unclaim(&old, &claimed, "late", at(5)).await, "unclaim");
    lost(store.commit_details(&old, &details([phone("A")], ["B"]), at(5)).await, "commit_details");
    lost(store.set_published(&old, revision.id, &refused, at(5)).await, "set_published");
    lost(store.forget_published(&old, revision.id).await, "forget_published");
    lost(store.forget_old(&old, &keep, 10).await, "forget_old");
    lost(store.renew_lease(&old, TTL).await, "renew_lease");

    let after = (world.all().await?, world.position().await?, fixture.events().await);
    assert_eq!(before, after);
    assert_eq!(world.store.runs(None, None, 10).await?, runs);
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

/// It is seen who works on a server, until they give it back.
pub async fn who_works_on_a_server_is_seen(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let other = fixture.another().await;
    let server = other.server_by_id(world.server).await?.expect("it exists");
    assert_eq!(server.worked_on.map(|(owner, _)| owner).as_deref(), Some("us"));
    world.store.release_lease(&world.lease, &end(1)).await?;
    let server = other.server_by_id(world.server).await?.expect("it exists");
    assert_eq!(server.worked_on, None);
    Ok(())
}

/// L18: what somebody works on is not given to anybody else, not even to the same owner.
pub async fn a_held_server_is_not_claimed(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let other = fixture.another().await;
    for owner in ["us", "them"] {
        assert_eq!(other.claim_due_servers(owner, TTL, at(1), 10).await?, []);
    }
    world.store.release_lease(&world.lease, &end(1)).await?;
    let claimed = other.claim_due_servers("them", TTL, at(1), 10).await?;
    let expected = Lease {
        server: world.server,
        owner: "them".to_owned(),
        epoch: claimed.first().map_or(0, |lease| lease.epoch),
    };
    assert_eq!(claimed, [expected]);
    assert!(claimed[0].epoch > world.lease.epoch);
    assert_eq!(world.store.claim_due_servers("us", TTL, at(1), 10).await?, []);
    other.begin_run(&claimed[0], &start(SyncKind::Delta, 1)).await?;
    lost(world.begin(SyncKind::Delta, 1).await, "the former holder");
    Ok(())
}

/// L16: the server of a killed process is claimed by another once its lease has run out.
pub async fn an_expired_lease_is_claimed(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    world.store.release_lease(&world.lease, &end(1)).await?;
    let killed = world.store.claim_due_servers("us", Duration::from_millis(20), at(1), 10).await?;
    assert_eq!(killed.len(), 1);
    let other = fixture.another().await;
    let taken = loop {
        let mut claimed = other.claim_due_servers("them", TTL, at(1), 10).await?;
        match claimed.pop() {
            Some(lease) => break lease,
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    assert_eq!((taken.server, taken.epoch), (world.server, killed[0].epoch + 1));
    lost(world.store.renew_lease(&killed[0], TTL).await, "the old holder's heartbeat");
    other.renew_lease(&taken, TTL).await?;
    Ok(())
}

/// L18: copies that ask at the same time get different servers, and all of them together get all.
pub async fn two_handles_never_claim_a_server_twice(fixture: &dyn Fixture) -> Case {
    let store = fixture.store();
    let mut servers = Vec::new();
    for number in 0..24 {
        servers.push(add_server(&*store, &format!("server {number}")).await?);
    }
    let mut tasks = Vec::new();
    for (number, store) in [store, fixture.another().await, fixture.another().await].into_iter().enumerate() {
        tasks.push(tokio::spawn(async move {
            let mut all = Vec::new();
            loop {
                let claimed = store.claim_due_servers(&format!("copy {number}"), TTL, at(1), 3).await?;
                assert!(claimed.len() <= 3);
                if claimed.is_empty() {
                    return Ok::<_, StoreError>(all);
                }
                all.extend(claimed.into_iter().map(|lease| lease.server));
            }
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.expect("no panic")?);
    }
    all.sort();
    servers.sort();
    assert_eq!(all, servers);
    Ok(())
}

/// Work that meets with trouble again and again is known by how often in a row it did.
pub async fn setbacks_are_counted_until_work_ends_well(fixture: &dyn Fixture) -> Case {
    let mut world = World::new(fixture).await?;
    for (not_before, setbacks) in [(Some(at(50)), 1), (Some(at(60)), 2), (None, 0), (Some(at(70)), 1)] {
        let end = crate::WorkEnd { now: at(1), not_before };
        world.store.release_lease(&world.lease, &end).await?;
        let server = world.store.server_by_id(world.server).await?.expect("it exists");
        assert_eq!(server.setbacks, setbacks);
        world.lease = lease(&*world.store, world.server, "us").await?;
    }
    Ok(())
}

/// L16: who has lost the lease neither frees the new holder's nor moves the next work.
pub async fn a_lost_lease_is_given_back_in_vain(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let theirs = world.taken_over().await?;
    let before = world.store.server_by_id(world.server).await?;
    let late = crate::WorkEnd { now: at(1), not_before: Some(at(9000)) };
    world.store.release_lease(&world.lease, &late).await?;
    assert_eq!(world.store.server_by_id(world.server).await?, before);
    world.store.renew_lease(&theirs, TTL).await?;
    world.store.release_lease(&theirs, &end(2)).await?;
    assert_eq!(world.store.claim_due_servers("us", TTL, at(2), 10).await?.len(), 1);
    Ok(())
}
