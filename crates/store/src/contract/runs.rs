//! Runs of syncs and what their end leaves on the server.

use adelie_model::{Counts, RunOutcome, SyncKind, SyncPhase, Trigger};

use super::world::{World, add_server, at, lease, operator, phone, start};
use super::{Case, Fixture};
use crate::{RunEnd, RunStart};

fn failed(run: adelie_model::RunId, now: i64) -> RunEnd {
    RunEnd {
        run,
        outcome: RunOutcome::Failed,
        error: Some(format!("Apple said no at {now}")),
        full_completed: false,
        attention: Some("half of the devices are gone: run `adelie sync --accept`".to_owned()),
        next_sync_at: at(now + 60),
        now: at(now),
    }
}

/// The history shows what each run did.
pub async fn runs_are_counted_and_listed_newest_first(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let first = world.full(vec![phone("A")], 1).await?;
    let asked =
        RunStart { trigger: Trigger::Forced, requested_by: Some(operator(10)), ..start(SyncKind::Delta, 10) };
    let second = world.store.begin_run(&world.lease, &asked).await?;
    assert_eq!((second.trigger, second.requested_by.as_deref()), (Trigger::Forced, Some("kim")));
    assert_eq!((second.server, second.started_at, second.finished_at), (world.server, at(10), None));
    assert_eq!((second.outcome, second.error.as_deref()), (RunOutcome::Running, None));
    assert_eq!(second.counts, Counts::default());
    let runs = world.store.runs(Some(world.server), None, 10).await?;
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0], second);
    assert_eq!(runs[1].id, first.id);
    assert_eq!((runs[1].outcome, runs[1].finished_at), (RunOutcome::Done, Some(at(1))));
    assert_eq!(runs[1].counts, Counts { pages: 2, records: 1, added: 1, ..Counts::default() });
    assert_eq!(runs[1].requested_by, None, "the schedule is nobody");
    assert_eq!(world.store.runs(Some(world.server), None, 1).await?, runs[..1]);
    Ok(())
}

/// The history is read page by page, of one MDM server or of all.
pub async fn runs_are_paged_for_one_server_or_all(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let server = add_server(&*world.store, "other").await?;
    let lease = lease(&*world.store, server, "us").await?;
    let other = World { store: world.store.clone(), server, lease };
    let mut all = Vec::new();
    for now in 1..4 {
        all.insert(0, world.begin(SyncKind::Delta, now).await?.id);
        all.insert(0, other.begin(SyncKind::Delta, now).await?.id);
    }
    let ids = |runs: Vec<adelie_model::SyncRun>| runs.into_iter().map(|run| run.id).collect::<Vec<_>>();
    assert_eq!(ids(world.store.runs(None, None, 100).await?), all);
    assert_eq!(ids(world.store.runs(None, None, 4).await?), all[..4]);
    assert_eq!(ids(world.store.runs(None, Some(all[3]), 100).await?), all[4..]);
    let of_other: Vec<_> = all.iter().copied().step_by(2).collect();
    assert_eq!(ids(world.store.runs(Some(server), None, 100).await?), of_other);
    assert_eq!(ids(world.store.runs(Some(server), Some(of_other[0]), 1).await?), of_other[1..2]);
    assert_eq!(ids(world.store.runs(Some(server), Some(of_other[2]), 9).await?), []);
    Ok(())
}

/// L16: a run whose process was killed does not stay `running`.
pub async fn a_killed_run_ends_as_interrupted(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let killed = world.begin(SyncKind::Delta, 1).await?;
    let next = world.begin(SyncKind::Delta, 20).await?;
    let runs = world.store.runs(Some(world.server), None, 10).await?;
    assert_eq!((runs[0].id, runs[0].outcome), (next.id, RunOutcome::Running));
    assert_eq!((runs[1].id, runs[1].outcome), (killed.id, RunOutcome::Failed));
    assert_eq!(runs[1].finished_at, Some(at(20)));
    assert!(runs[1].error.as_deref().is_some_and(|error| error.contains("interrupted")), "{:?}", runs[1]);
    Ok(())
}

/// One good run ends the trouble.
pub async fn a_good_run_clears_failures(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let run = world.begin(SyncKind::Delta, 1).await?;
    world.store.end_run(&world.lease, &failed(run.id, 2)).await?;
    let run = world.begin(SyncKind::Delta, 3).await?;
    world.end(&run, false, 4).await?;
    let server = world.store.server_by_id(world.server).await?.expect("it exists");
    assert_eq!((server.failures, server.last_error, server.attention), (0, None, None));
    assert_eq!((server.last_sync_at, server.last_full_at), (Some(at(4)), None));
    assert_eq!(server.next_sync_at, Some(at(904)));
    Ok(())
}

/// Failures add up, and what they say stands on the server.
pub async fn a_failed_run_says_why_and_waits(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    world.full(Vec::new(), 1).await?;
    for now in [10, 20] {
        let run = world.begin(SyncKind::Full, now).await?;
        world.store.end_run(&world.lease, &failed(run.id, now)).await?;
        let stored = world.store.runs(Some(world.server), None, 1).await?.remove(0);
        assert_eq!((stored.outcome, stored.finished_at), (RunOutcome::Failed, Some(at(now))));
        assert_eq!(stored.error, Some(format!("Apple said no at {now}")));
    }
    let server = world.store.server_by_id(world.server).await?.expect("it exists");
    assert_eq!((server.failures, server.last_error.as_deref()), (2, Some("Apple said no at 20")));
    assert!(server.attention.is_some_and(|attention| attention.starts_with("half")));
    assert_eq!((server.last_sync_at, server.next_sync_at), (Some(at(1)), Some(at(80))));
    assert!(world.position().await?.full.is_some(), "a failed full sync is still under way");
    Ok(())
}

/// L2: the same cursor again is counted until Apple moves on.
pub async fn stuck_syncs_are_counted(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let mut counts = Vec::new();
    for stuck in [true, true, false, true] {
        counts.push(world.store.set_stuck(&world.lease, stuck).await?);
        assert_eq!(world.position().await?.stuck, counts[counts.len() - 1]);
    }
    assert_eq!(counts, [1, 2, 0, 1]);
    Ok(())
}

/// L3: a cursor that Apple does not know any more is not sent again.
pub async fn a_lost_cursor_is_forgotten(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    world.full(Vec::new(), 1).await?;
    assert!(world.position().await?.delta_cursor.is_some());
    world.store.forget_delta_cursor(&world.lease).await?;
    assert_eq!(world.position().await?.delta_cursor, None);
    let run = world.begin(SyncKind::Delta, 2).await?;
    let page = world.commit(&run, SyncPhase::Sync, Vec::new(), 3).await?;
    world.store.commit_page(&world.lease, &page).await?;
    assert!(world.position().await?.delta_cursor.is_some());
    Ok(())
}
