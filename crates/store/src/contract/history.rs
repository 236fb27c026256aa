//! What happened, as it can be read again.

use adelie_model::{AssignState, EventId, OpType, SyncKind};
use serde_json::json;

use super::world::{World, add_server, at, event, lease, operator, phone, serial, settlement};
use super::{Case, Fixture};
use crate::page::Action;
use crate::{Details, Result, Settlement, StoredEvent};

async fn history(world: &World, text: &str, before: Option<EventId>, limit: u32) -> Result<Vec<StoredEvent>> {
    world.store.device_events(world.server, &serial(text), before, limit).await
}

fn kinds(events: &[StoredEvent]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

/// A device that was imported with others, assigned with others, changed and left; its history has four events.
async fn eventful(fixture: &dyn Fixture) -> Result<World, super::Failed> {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(["A", "B", "C"].map(phone).into(), 1).await?;
    world.assign(&revision, "UUID-1", 2).await?;
    let mut news = event(phone("A"), OpType::Modified, 3);
    news.actual = adelie_model::Actual { color: Some("RED".to_owned()), ..adelie_model::Actual::default() };
    world.delta(vec![news], 4).await?;
    world.delta(vec![event(phone("A"), OpType::Deleted, 5)], 6).await?;
    Ok(world)
}

/// L15, L20: what happened to a device is told, also what happened to many at once.
pub async fn a_device_has_its_history(fixture: &dyn Fixture) -> Case {
    let world = eventful(fixture).await?;
    let events = history(&world, "A", None, 10).await?;
    assert_eq!(
        kinds(&events),
        ["device.removed", "device.modified", "assignment.succeeded", "devices.imported"],
        "newest first"
    );
    assert!(events.is_sorted_by(|newer, older| newer.id > older.id));
    assert_eq!(events.iter().map(|event| event.at).collect::<Vec<_>>(), [6, 4, 2, 1].map(at));
    assert!(events.iter().all(|event| event.server == Some(world.server)));
    let alone: Vec<_> = events.iter().map(|event| event.serial.clone()).collect();
    assert_eq!(alone, [Some(serial("A")), Some(serial("A")), None, None]);
    let runs = world.store.runs(Some(world.server), None, 3).await?;
    let found_by: Vec<_> = events.iter().map(|event| event.run).collect();
    assert_eq!(found_by, [Some(runs[0].id), Some(runs[1].id), None, Some(runs[2].id)]);
    assert_eq!(events[1].data["changes"], json!({ "color": ["BLACK", "RED"] }));
    for event in &events[2..] {
        assert_eq!(event.data.get("serial_numbers"), None, "the others are no part of its history");
        assert_eq!(event.data["devices"], json!(3));
    }
    assert_eq!(events[2].data["profile_uuid"], json!("UUID-1"));
    assert_eq!(kinds(&history(&world, "B", None, 10).await?), ["assignment.succeeded", "devices.imported"]);
    assert_eq!(history(&world, "nobody", None, 10).await?, []);
    Ok(())
}

/// Paging walks the history once, whatever kind of event a page ends with.
pub async fn a_history_is_read_in_pages(fixture: &dyn Fixture) -> Case {
    let world = eventful(fixture).await?;
    let whole = history(&world, "A", None, 10).await?;
    for size in [1, 2, 3, 4] {
        let mut read = Vec::new();
        loop {
            let page = history(&world, "A", read.last().map(|event: &StoredEvent| event.id), size).await?;
            assert!(page.len() <= size as usize);
            if page.is_empty() {
                break;
            }
            read.extend(page);
        }
        assert_eq!(read, whole);
    }
    Ok(())
}

/// The same serial number at another MDM server has another history.
pub async fn a_history_is_of_one_server(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    let server = add_server(&*world.store, "elsewhere").await?;
    let lease = lease(&*world.store, server, "us").await?;
    let elsewhere = World { store: world.store.clone(), server, lease };
    elsewhere.full(vec![phone("A"), phone("B")], 1).await?;
    elsewhere.delta(vec![event(phone("A"), OpType::Deleted, 2)], 2).await?;
    world.full(vec![phone("A")], 3).await?;
    world.claim(&revision, 4).await?;
    let failed = Settlement {
        reason: "Apple says FAILED".to_owned(),
        next_attempt_at: Some(at(900)),
        ..settlement(&serial("A"), AssignState::Failed)
    };
    world.settle(&[failed], 5).await?;
    let ours = history(&world, "A", None, 10).await?;
    assert_eq!(kinds(&ours), ["assignment.failed", "devices.imported"]);
    assert_eq!((&ours[0].data["reason"], &ours[0].serial), (&json!("Apple says FAILED"), &Some(serial("A"))));
    assert_eq!(kinds(&history(&elsewhere, "A", None, 10).await?), ["device.removed", "devices.imported"]);
    assert_eq!(history(&world, "B", None, 10).await?, []);
    Ok(())
}

/// L7: a device that Apple shows when asked is added when an operator wants that, and then it is no absent one.
pub async fn details_add_a_device_on_demand(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    world.delta(vec![event(phone("A"), OpType::Deleted, 2)], 3).await?;
    let full = world.begin(SyncKind::Full, 4).await?;
    let asked = |add| Details { records: vec![phone("A"), phone("B")], gone: Vec::new(), add };
    world.store.commit_details(&world.lease, &asked(false), at(5)).await?;
    assert_eq!(world.state("A").await?, AssignState::Removed);
    assert!(world.store.device(&serial("B")).await?.is_empty());

    world.store.commit_details(&world.lease, &asked(true), at(6)).await?;
    for text in ["A", "B"] {
        let device = world.device(text).await?;
        assert_eq!((device.assignment.state, device.removed_at), (AssignState::Due, None));
        assert_eq!((device.assignment.wanted, device.last_seen_at), (Some(revision.id), at(6)));
        assert_eq!(kinds(&history(&world, text, None, 1).await?), ["device.added"]);
    }
    assert_eq!(world.store.absent(world.server, full.id).await?.absent, 0);
    let events = fixture.events().await;
    world.store.commit_details(&world.lease, &asked(true), at(7)).await?;
    assert_eq!(fixture.events().await, events, "asking again is no news");
    Ok(())
}

/// A device may be added before any list was fetched.
pub async fn details_add_a_device_before_the_first_sync(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    let details = Details { records: vec![phone("A")], gone: Vec::new(), add: true };
    world.store.commit_details(&world.lease, &details, at(1)).await?;
    assert_eq!(world.state("A").await?, AssignState::Due);
    assert_eq!(history(&world, "A", None, 10).await?.len(), 1);
    Ok(())
}

/// What an operator did to a device stands in its history.
pub async fn a_history_tells_of_operators(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    let hold = Action::Hold { reason: "lost".to_owned() };
    world.store.operate(world.server, &[serial("A")], &hold, &operator(2)).await?;
    let events = history(&world, "A", None, 10).await?;
    assert_eq!(kinds(&events), ["device.held", "devices.imported"]);
    assert_eq!((events[0].at, events[0].run), (at(2), None));
    assert_eq!(events[0].data, json!({ "by": "kim", "reason": "lost" }));
    Ok(())
}

/// L15: an answer that changes nothing, because the device has left meanwhile or was heard of already, is not told.
pub async fn an_answer_that_settles_nothing_is_not_told(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A"), phone("B"), phone("C")], 1).await?;
    world.claim(&revision, 2).await?;
    world.delta(vec![event(phone("A"), OpType::Deleted, 3)], 3).await?;
    let settlements = ["A", "B", "C"].map(|text| settlement(&serial(text), AssignState::Failed));
    for now in [4, 5] {
        world.store.settle(&world.lease, revision.id, &settlements, at(now)).await?;
    }
    assert_eq!(kinds(&history(&world, "A", None, 10).await?), ["device.removed", "devices.imported"]);
    let events = history(&world, "B", None, 10).await?;
    assert_eq!(kinds(&events), ["assignment.failed", "devices.imported"]);
    assert_eq!((events[0].at, &events[0].data["devices"]), (at(4), &json!(2)));
    Ok(())
}
