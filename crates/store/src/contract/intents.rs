//! Pages whose assignments are sent before anything but the intent is stored.

use std::time::Duration;

use adelie_model::{AssignState, SyncKind, SyncPhase, SyncRun};
use adelie_rules::Scope;

use super::world::{
    World, add_server, at, lease, mac, operator, phone, serial, serials, settlement, showing, told, uuid,
};
use super::{Case, Failed, Fixture};
use crate::page::{Answer, Record};
use crate::{DeviceFilter, PageCommit, Revision, SendAhead, Settlement, StoreError, Turn};

const AHEAD: fn() -> SendAhead = || SendAhead { verify_at: at(300) };

/// Two pages: what is to be sent and what has the profile already.
async fn two_pages(world: &World, run: &SyncRun) -> Result<[PageCommit; 2], Failed> {
    use adelie_model::ProfileStatus::Assigned;
    let first = vec![phone("D"), mac("B"), showing(phone("E"), Assigned, "UUID-1")];
    let first = world.commit(run, SyncPhase::Fetch, first, 1).await?;
    let second = world.commit(run, SyncPhase::Fetch, vec![phone("C"), phone("A")], 2).await?;
    Ok([PageCommit { more: true, ..first }, PageCommit { more: true, ..second }])
}

fn answered(revision: &Revision) -> Vec<Answer> {
    let assigned = |name: &str| Settlement {
        profile_uuid: Some(uuid("UUID-1")),
        reason: "Apple confirmed it".to_owned(),
        ..settlement(&serial(name), AssignState::Assigned)
    };
    let throttled =
        Settlement { next_attempt_at: Some(at(9000)), ..settlement(&serial("C"), AssignState::Throttled) };
    vec![Answer { revision: revision.id, settlements: [assigned("A"), throttled, assigned("B")].into() }]
}

/// L29: before Apple is asked the intent is stored, and nothing else of the pages; it goes with the pages.
pub async fn only_the_intent_is_stored_before_the_answers(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    let run = world.begin(SyncKind::Full, 1).await?;
    let position = world.position().await?;
    let pages = two_pages(&world, &run).await?;
    let intended =
        world.store.intend_pages(&world.lease, pages.to_vec(), AHEAD()).await?.expect("all are new");
    assert!(world.all().await?.is_empty() && told(fixture).await.is_empty());
    assert_eq!(world.position().await?, position);
    let mut open = world.store.open_intents(world.server).await?;
    open.sort();
    assert_eq!(open, serials(["A", "B", "C", "D"]), "E has its profile");
    world.store.commit_intended(&world.lease, intended, answered(&revision), at(3), Turn::now()).await?;
    assert!(world.store.open_intents(world.server).await?.is_empty());
    assert_eq!(
        world.position().await?.full.and_then(|full| full.fetch_cursor).as_ref(),
        Some(&pages[1].cursor)
    );
    Ok(())
}

/// Pages stored with their answers are what pages stored before the answers are in the end: devices, events, counts.
pub async fn answers_make_of_intended_pages_what_they_make_of_stored_ones(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    let run = world.begin(SyncKind::Full, 1).await?;
    let pages = two_pages(&world, &run).await?;
    let intended =
        world.store.intend_pages(&world.lease, pages.to_vec(), AHEAD()).await?.expect("all are new");
    let answers = answered(&revision);
    let counts =
        world.store.commit_intended(&world.lease, intended, answers.clone(), at(3), Turn::now()).await?;

    let server = add_server(&*world.store, "other").await?;
    let other =
        World { store: world.store.clone(), server, lease: lease(&*world.store, server, "us").await? };
    let defaults = [(Scope::Any, Some(revision.name.clone()))];
    other.store.set_defaults(server, &defaults, &operator(0)).await?;
    other.decide_all(0).await?;
    other.publish(&revision, "UUID-1").await?;
    let told_before = told(fixture).await.len();
    let run_before = run;
    let run = other.begin(SyncKind::Full, 1).await?;
    let pages = two_pages(&other, &run).await?;
    let committed = other.store.commit_pages(&other.lease, &pages, Some(AHEAD())).await?;
    for Answer { revision, settlements } in &answers {
        other.store.settle(&other.lease, *revision, settlements, at(3)).await?;
    }

    assert_eq!(counts, committed.counts);
    let of = |server| DeviceFilter { server: Some(server), ..DeviceFilter::default() };
    let ours = world.store.devices(&of(world.server), None, 9).await?;
    let mut theirs = other.store.devices(&of(server), None, 9).await?;
    for view in &mut theirs {
        (view.device.server, view.device.seen_run) = (world.server, run_before.id);
        view.server = ours[0].server.clone();
    }
    assert_eq!(ours, theirs);
    let state =
        |name: &'static str| ours.iter().find(|one| one.device.serial == serial(name)).expect("it is there");
    assert_eq!(state("C").device.assignment.state, AssignState::Throttled);
    assert_eq!(state("D").device.assignment.state, AssignState::Sent, "nothing was heard of it");
    let events = told(fixture).await;
    assert_eq!(events[..told_before], events[told_before..]);
    assert_eq!(world.store.to_read_back(&world.lease, at(300), 9).await?, [serial("D")]);
    Ok(())
}

/// What is not new is not written over: a device in two pages makes no intent, and pages with a stored one stay away.
pub async fn pages_with_known_devices_are_refused(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    let run = world.begin(SyncKind::Full, 1).await?;
    let page = async |records: Vec<Record>| {
        let page = world.commit(&run, SyncPhase::Fetch, records, 1).await?;
        Ok::<_, Failed>(PageCommit { more: true, ..page })
    };
    let twice = [page(vec![phone("A"), phone("B")]).await?, page(vec![phone("C"), phone("A")]).await?];
    assert!(world.store.intend_pages(&world.lease, twice.to_vec(), AHEAD()).await?.is_err());
    assert!(world.store.open_intents(world.server).await?.is_empty());
    assert!(!world.store.any_stored(world.server).await?);
    world.store.commit_page(&world.lease, &twice[0]).await?;
    assert!(world.store.any_stored(world.server).await?);
    let (before, position) = (world.all().await?, world.position().await?);
    let wrong =
        world.store.intend_pages(&world.lease, twice[1..].to_vec(), AHEAD()).await?.expect("nobody looks");
    let refused = world.store.commit_intended(&world.lease, wrong, Vec::new(), at(3), Turn::now()).await;
    assert!(matches!(refused, Err(StoreError::Database { .. })), "{refused:?}");
    assert_eq!((world.all().await?, world.position().await?), (before, position));
    Ok(())
}

/// L16: who has lost the lease stores neither an intent nor pages; the next holder finds the intent.
pub async fn intents_under_a_lost_lease_are_the_next_holders(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    let run = world.begin(SyncKind::Full, 1).await?;
    let pages = two_pages(&world, &run).await?;
    let intended =
        world.store.intend_pages(&world.lease, pages.to_vec(), AHEAD()).await?.expect("all are new");
    let next = world.taken_over().await?;
    let again = world.store.intend_pages(&world.lease, pages.to_vec(), AHEAD()).await;
    assert!(matches!(again, Err(StoreError::LeaseLost(_))));
    let late =
        world.store.commit_intended(&world.lease, intended, answered(&revision), at(3), Turn::now()).await;
    assert!(matches!(late, Err(StoreError::LeaseLost(_))));
    assert!(matches!(world.store.close_intents(&world.lease).await, Err(StoreError::LeaseLost(_))));
    assert!(world.all().await?.is_empty() && told(fixture).await.is_empty());
    assert_eq!(world.store.open_intents(world.server).await?.len(), 4);
    world.store.close_intents(&next).await?;
    assert!(world.store.open_intents(world.server).await?.is_empty());
    Ok(())
}

/// L14: a default that was changed while Apple was asked counts when the pages are stored.
pub async fn a_default_changed_meanwhile_decides_intended_pages(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    let run = world.begin(SyncKind::Full, 1).await?;
    let pages = two_pages(&world, &run).await?;
    let intended =
        world.store.intend_pages(&world.lease, pages.to_vec(), AHEAD()).await?.expect("all are new");
    let other = world.default(Scope::Any, "two").await?;
    world.store.commit_intended(&world.lease, intended, answered(&revision), at(3), Turn::now()).await?;
    for (name, state) in [("A", AssignState::Due), ("C", AssignState::Throttled), ("E", AssignState::Due)] {
        let assignment = world.device(name).await?.assignment;
        assert_eq!((assignment.state, assignment.wanted), (state, Some(other.id)), "{name}");
    }
    assert_eq!(world.device("A").await?.actual.profile_uuid, Some(uuid("UUID-1")), "Apple has it so");
    Ok(())
}

/// L1: pages that are stored at the same time come one after the other: the cursor never stands behind a page that is not
/// stored, whoever is killed in between; and what decides is what holds when it is their turn (L14).
pub async fn pages_stored_at_once_come_in_their_order(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    let run = world.begin(SyncKind::Full, 1).await?;
    let [first, second] = two_pages(&world, &run).await?;
    let intend = async |page: &PageCommit| {
        let pages = vec![page.clone()];
        let intended = world.store.intend_pages(&world.lease, pages, AHEAD()).await?.expect("all are new");
        Ok::<_, Failed>(intended)
    };
    let (one, two) = (intend(&first).await?, intend(&second).await?);
    let before_all = world.position().await?;
    let (before, turn) = Turn::after();
    let later = world.store.commit_intended(&world.lease, two, answered(&revision), at(3), turn);
    let (later, other) = tokio::join!(later, async {
        // Time to do what can be done before its turn.
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(world.all().await?.is_empty() && told(fixture).await.is_empty());
        assert_eq!(world.position().await?, before_all);
        let other = world.default(Scope::Any, "two").await?;
        world.store.commit_intended(&world.lease, one, Vec::new(), at(3), Turn::now()).await?;
        assert_eq!(world.all().await?.len(), 3);
        before.stored();
        Ok::<_, Failed>(other)
    });
    let (counts, other) = (later?, other?);
    assert_eq!((counts.pages, counts.records, counts.added), (1, 2, 2));
    assert_eq!(
        world.position().await?.full.and_then(|full| full.fetch_cursor).as_ref(),
        Some(&second.cursor)
    );
    assert_eq!(world.all().await?.len(), 5);
    assert!(world.store.open_intents(world.server).await?.is_empty());
    let assignment = world.device("A").await?.assignment;
    assert_eq!((assignment.state, assignment.wanted), (AssignState::Due, Some(other.id)));
    Ok(())
}

/// L1: pages whose turn never comes are not stored, and their intent stays for whoever goes on.
pub async fn pages_after_failed_ones_are_not_stored(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    let run = world.begin(SyncKind::Full, 1).await?;
    let [_, second] = two_pages(&world, &run).await?;
    let intended = world.store.intend_pages(&world.lease, vec![second], AHEAD()).await?.expect("all are new");
    let position = world.position().await?;
    let (before, turn) = Turn::after();
    let later = world.store.commit_intended(&world.lease, intended, answered(&revision), at(3), turn);
    let (later, ()) = tokio::join!(later, async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(before);
    });
    assert!(matches!(later, Err(StoreError::Database { .. })), "{later:?}");
    assert!(world.all().await?.is_empty() && told(fixture).await.is_empty());
    assert_eq!(world.position().await?, position);
    assert_eq!(world.store.open_intents(world.server).await?.len(), 2);
    Ok(())
}
