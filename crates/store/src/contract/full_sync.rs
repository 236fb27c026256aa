//! Full syncs: generations, the absent, interruptions.

use adelie_model::{AssignState, Cursor, ProfileStatus, RunId, SyncKind, SyncPhase, Trigger};

use super::world::{World, at, event, phone, showing, start};
use super::{Case, Fixture};
use crate::{FullPhase, RunStart};

/// The cursor of the last page is where changes go on; the listing itself is over.
pub async fn the_last_page_of_a_listing_moves_on_to_sync(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    assert_eq!(world.position().await?, crate::SyncPosition::default());
    let run = world.begin(SyncKind::Full, 1).await?;
    let begun = FullPhase { generation: run.id, phase: SyncPhase::Fetch, fetch_cursor: None };
    assert_eq!(world.position().await?.full, Some(begun.clone()));
    world.fetch_page(&run, vec![phone("A")], 2).await?;
    let page = world.commit(&run, SyncPhase::Fetch, vec![phone("B")], 3).await?;
    world.store.commit_page(&world.lease, &page).await?;
    let position = world.position().await?;
    assert_eq!(position.delta_cursor, Some(Cursor("fetch cursor at 3".to_owned())));
    assert_eq!(position.full, Some(FullPhase { phase: SyncPhase::Sync, ..begun }));
    world.sync_page(&run, Vec::new(), 4).await?;
    assert_eq!(world.position().await?.delta_cursor, Some(Cursor("sync cursor at 4".to_owned())));
    world.end(&run, true, 5).await?;
    let position = world.position().await?;
    assert_eq!(position.full, None);
    assert_eq!(position.delta_cursor, Some(Cursor("sync cursor at 4".to_owned())));
    let server = world.store.server_by_id(world.server).await?.expect("it exists");
    assert_eq!((server.last_full_at, server.last_sync_at), (Some(at(5)), Some(at(5))));
    Ok(())
}

/// L8: Apple sends no `deleted` for a released device; a complete listing finds it.
pub async fn the_absent_are_removed_in_batches(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    world.full(["A", "B", "C", "D", "E"].map(phone).into(), 1).await?;
    world.delta(vec![event(phone("E"), adelie_model::OpType::Deleted, 2)], 3).await?;
    let run = world.begin(SyncKind::Full, 10).await?;
    world.fetch_page(&run, vec![phone("B")], 11).await?;
    let count = world.store.absent(world.server, run.id).await?;
    assert_eq!((count.absent, count.present), (3, 4));
    let mut removed = Vec::new();
    for _ in 0..3 {
        removed.push(world.store.remove_absent(&world.lease, run.id, run.id, 2, at(12)).await?);
    }
    assert_eq!(removed, [2, 1, 0]);
    let count = world.store.absent(world.server, run.id).await?;
    assert_eq!((count.absent, count.present), (0, 1));
    assert_eq!(world.state("B").await?, AssignState::Due);
    for serial in ["A", "C", "D"] {
        let device = world.device(serial).await?;
        assert_eq!((device.assignment.state, device.removed_at), (AssignState::Removed, Some(at(12))));
        assert!(!device.assignment.reason.is_empty());
    }
    assert_eq!(world.device("E").await?.removed_at, Some(at(3)));
    let stored = world.store.runs(Some(world.server), None, 1).await?.remove(0);
    assert_eq!(stored.counts.removed, 3);
    let gone: Vec<_> =
        fixture.events().await.into_iter().filter(|event| event.kind == "device.removed").collect();
    assert_eq!(gone.len(), 4);
    Ok(())
}

/// A device that a later run has seen is there, even if the listing that goes on now had not come to it.
pub async fn what_a_delta_saw_meanwhile_is_not_absent(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    world.full(vec![phone("A"), phone("B")], 1).await?;
    let full = world.begin(SyncKind::Full, 10).await?;
    world.fetch_page(&full, vec![phone("A")], 11).await?;
    let later = world.begin(SyncKind::Delta, 12).await?;
    assert!(later.id > full.id);
    let mut page = world.commit(&later, SyncPhase::Sync, vec![phone("B")], 13).await?;
    page.seen_run = later.id;
    world.store.commit_page(&world.lease, &page).await?;
    assert_eq!(world.store.absent(world.server, full.id).await?.absent, 0);
    assert_eq!(world.store.remove_absent(&world.lease, later.id, full.id, 10, at(14)).await?, 0);
    Ok(())
}

/// L16: the next run goes on where the interrupted one stopped, under its generation.
pub async fn an_interrupted_full_sync_goes_on(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let killed = world.begin(SyncKind::Full, 1).await?;
    world.fetch_page(&killed, vec![phone("A")], 2).await?;
    let next = world.begin(SyncKind::Full, 10).await?;
    assert!(next.id > killed.id);
    let expected = FullPhase {
        generation: killed.id,
        phase: SyncPhase::Fetch,
        fetch_cursor: Some(Cursor("fetch cursor at 2".to_owned())),
    };
    assert_eq!(world.position().await?.full, Some(expected));
    world.fetch_page(&next, vec![phone("B")], 11).await?;
    assert_eq!(world.device("B").await?.seen_run, killed.id);
    assert_eq!(world.store.absent(world.server, killed.id).await?.absent, 0);
    Ok(())
}

/// A lost cursor begins the listing anew; what the old generation saw may be gone.
pub async fn a_restart_begins_a_new_generation(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let old = world.begin(SyncKind::Full, 1).await?;
    world.fetch_page(&old, vec![phone("A"), phone("B")], 2).await?;
    let anew = RunStart { trigger: Trigger::Recovery, restart: true, ..start(SyncKind::Full, 3) };
    let new = world.store.begin_run(&world.lease, &anew).await?;
    assert_eq!((new.kind, new.trigger), (SyncKind::Full, Trigger::Recovery));
    let expected = FullPhase { generation: new.id, phase: SyncPhase::Fetch, fetch_cursor: None };
    assert_eq!(world.position().await?.full, Some(expected));
    world.fetch_page(&new, vec![phone("B")], 4).await?;
    assert_eq!(world.store.absent(world.server, new.id).await?.absent, 1);
    assert_eq!(world.store.absent(world.server, RunId(0)).await?.absent, 0);
    Ok(())
}

/// L24, L26: what is as wanted stays so, and what was moved by hand is read back, not overridden.
pub async fn a_full_fetch_changes_no_decision(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    let listing = || {
        vec![
            showing(phone("assigned"), ProfileStatus::Assigned, "UUID-1"),
            showing(phone("pushed"), ProfileStatus::Pushed, "UUID-1"),
            phone("throttled"),
        ]
    };
    world.full(listing(), 1).await?;
    world.claim(&revision, 2).await?;
    let throttled = crate::Settlement {
        next_attempt_at: Some(at(86_400)),
        ..super::world::settlement(&super::world::serial("throttled"), AssignState::Throttled)
    };
    world.settle(&[throttled], 3).await?;
    let before: Vec<_> = world.all().await?.into_iter().map(|view| view.device.assignment).collect();
    let states: Vec<_> = before.iter().map(|assignment| assignment.state).collect();
    assert_eq!(states, [AssignState::Assigned, AssignState::Pushed, AssignState::Throttled]);
    world.full(listing(), 100).await?;
    let after: Vec<_> = world.all().await?.into_iter().map(|view| view.device.assignment).collect();
    assert_eq!(before, after);
    Ok(())
}
