//! Pages: one transaction with their cursor; what they make of devices and events.

use adelie_model::{
    Actual, AssignState, Counts, Cursor, DeviceFamily, OpType, ProfileStatus, SyncKind, SyncPhase,
};
use adelie_rules::Scope;
use serde_json::json;

use super::world::{
    World, add_server, at, event, lease, mac, operator, phone, serial, settlement, showing, told, uuid,
};
use super::{Case, Fixture};
use crate::page::{Ready, Record};
use crate::{Claim, PageCommit, SendAhead, StoreError};

/// L1: what a page says is stored with the cursor behind it, and the run has counted it.
pub async fn a_page_commits_with_its_cursor(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    let run = world.begin(SyncKind::Full, 1).await?;
    let counts = world.fetch_page(&run, vec![phone("B"), mac("A")], 2).await?;
    assert_eq!(counts, Counts { pages: 1, records: 2, added: 2, ..Counts::default() });
    let full = world.position().await?.full.expect("a full sync under way");
    assert_eq!(full.fetch_cursor, Some(Cursor("fetch cursor at 2".to_owned())));
    world.fetch_page(&run, vec![phone("C")], 3).await?;
    let devices: Vec<_> = world.all().await?.into_iter().map(|view| view.device.serial).collect();
    assert_eq!(devices, super::world::serials(["A", "B", "C"]));
    let stored = world.store.runs(Some(world.server), None, 1).await?.remove(0);
    assert_eq!(stored.counts, Counts { pages: 2, records: 3, added: 3, ..Counts::default() });
    let device = world.device("B").await?;
    assert_eq!((device.first_seen_at, device.last_seen_at, device.seen_run), (at(2), at(2), run.id));
    assert_eq!((device.assignment.state, device.removed_at), (AssignState::Due, None));
    Ok(())
}

/// L1, L16: a page of a run that was taken over leaves neither devices nor events nor a cursor.
pub async fn a_page_under_a_lost_lease_leaves_nothing(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    let run = world.begin(SyncKind::Full, 1).await?;
    let page = world.commit(&run, SyncPhase::Fetch, vec![phone("A")], 2).await?;
    let _theirs = world.taken_over().await?;
    let position = world.position().await?;
    let result = world.store.commit_page(&world.lease, &page).await;
    assert!(matches!(result, Err(StoreError::LeaseLost(server)) if server == world.server));
    assert!(world.all().await?.is_empty() && told(fixture).await.is_empty());
    assert_eq!(world.position().await?, position);
    Ok(())
}

/// L4: added and modified of one serial in one page are one device, with the newest facts of both.
pub async fn a_serial_twice_in_a_page_is_folded(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    world.full(Vec::new(), 1).await?;
    let mut newer = event(phone("A"), OpType::Modified, 20);
    newer.actual = Actual { asset_tag: Some("tag 2".to_owned()), ..Actual::default() };
    let mut older = event(phone("A"), OpType::Added, 10);
    older.actual.asset_tag = Some("tag 1".to_owned());
    let gone = event(phone("B"), OpType::Deleted, 9);
    let counts =
        world.delta(vec![newer, older, gone.clone(), event(phone("B"), OpType::Added, 8)], 30).await?;
    assert_eq!((counts.records, counts.added, counts.removed), (4, 1, 0));
    let device = world.device("A").await?;
    assert_eq!(device.actual.asset_tag.as_deref(), Some("tag 2"));
    assert_eq!(device.actual.model.as_deref(), Some("iPhone 15"));
    assert_eq!((device.op_date, device.assignment.state), (Some(at(20)), AssignState::Due));
    assert!(world.store.device(&serial("B")).await?.is_empty());
    assert_eq!(kinds(fixture).await, ["device.added A"]);
    Ok(())
}

/// L11: Apple delivers at least once; the second time there is no event and no second assignment.
pub async fn the_same_event_twice_changes_nothing(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(Vec::new(), 1).await?;
    let page = vec![event(phone("A"), OpType::Added, 5), event(mac("B"), OpType::Modified, 5)];
    assert_eq!(world.delta(page.clone(), 10).await?.added, 2);
    let before = world.device("A").await?;
    let events = told(fixture).await;
    let counts = world.delta(page.clone(), 20).await?;
    assert_eq!((counts.records, counts.added, counts.modified, counts.removed), (2, 0, 0, 0));
    assert_eq!(told(fixture).await, events);
    let after = world.device("A").await?;
    assert_eq!((after.first_seen_at, after.last_seen_at), (before.first_seen_at, at(20)));
    assert_eq!(after.assignment, before.assignment);

    assert_eq!(world.assign(&revision, "UUID-1", 21).await?.len(), 2);
    world.delta(page, 30).await?;
    assert!(world.store.due_groups(world.server, at(31)).await?.is_empty());
    Ok(())
}

/// L11: an event that is older than what has been folded in is ignored.
pub async fn an_older_event_changes_nothing(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    world.full(Vec::new(), 1).await?;
    world.delta(vec![event(phone("A"), OpType::Modified, 50)], 60).await?;
    let counts = world.delta(vec![event(phone("A"), OpType::Deleted, 40)], 70).await?;
    assert_eq!(counts.removed, 0);
    let device = world.device("A").await?;
    assert_eq!((device.removed_at, device.op_date), (None, Some(at(50))));
    assert_eq!(kinds(fixture).await, ["device.added A"]);
    Ok(())
}

/// L5, L6: a device that was moved arrives as `modified`, its profile `removed` under the UUID we want.
pub async fn a_moved_device_needs_its_profile(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(Vec::new(), 1).await?;
    let moved = showing(phone("A"), ProfileStatus::Removed, "UUID-1");
    world.delta(vec![event(moved, OpType::Modified, 5)], 10).await?;
    let assignment = world.device("A").await?.assignment;
    assert_eq!((assignment.state, assignment.wanted), (AssignState::Due, Some(revision.id)));
    assert_eq!(world.claim(&revision, 11).await?, [serial("A")]);
    Ok(())
}

/// L12: what a sync page leaves out stays known; what a listing leaves out is not so.
pub async fn an_absent_fact_does_not_erase(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    let mut known = phone("A");
    known.actual.asset_tag = Some("tag".to_owned());
    known.actual.extra = [("imei".to_owned(), json!(["35"]))].into_iter().collect();
    world.full(vec![known], 1).await?;
    let news = Actual { color: Some("RED".to_owned()), ..Actual::default() };
    let bare = Record { actual: news, ..phone("A") };
    assert_eq!(world.delta(vec![event(bare.clone(), OpType::Modified, 5)], 10).await?.modified, 1);
    let actual = world.device("A").await?.actual;
    assert_eq!((actual.asset_tag.as_deref(), actual.color.as_deref()), (Some("tag"), Some("RED")));
    assert_eq!(actual.device_family, Some(DeviceFamily::IPhone));
    assert_eq!(actual.extra.get("imei"), Some(&json!(["35"])));
    world.full(vec![bare], 20).await?;
    let actual = world.device("A").await?.actual;
    assert_eq!((actual.asset_tag, actual.model), (None, None));
    assert!(actual.extra.is_empty());
    Ok(())
}

/// L13: a cursor is text of up to 1000 characters.
pub async fn a_cursor_of_a_thousand_characters_is_kept(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let run = world.begin(SyncKind::Full, 1).await?;
    let long = Cursor("ü%'\\".repeat(250));
    for (more, phase) in [(true, SyncPhase::Fetch), (false, SyncPhase::Fetch), (false, SyncPhase::Sync)] {
        let page = world.commit(&run, phase, Vec::new(), 2).await?;
        world.store.commit_page(&world.lease, &PageCommit { cursor: long.clone(), more, ..page }).await?;
        let position = world.position().await?;
        let stands =
            if more { position.full.expect("under way").fetch_cursor } else { position.delta_cursor };
        assert_eq!(stands.as_ref(), Some(&long));
    }
    Ok(())
}

/// L14: a page is decided by the defaults of its own transaction, not by what its run has seen at its start.
pub async fn a_default_changed_meanwhile_counts(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let run = world.begin(SyncKind::Full, 1).await?;
    world.fetch_page(&run, vec![phone("A")], 2).await?;
    assert_eq!(world.state("A").await?, AssignState::Unmatched);
    let one = world.profile("one").await?;
    fixture
        .another()
        .await
        .set_defaults(world.server, &[(Scope::Any, Some(one.name.clone()))], &operator(2))
        .await?;
    world.fetch_page(&run, vec![phone("B")], 3).await?;
    let assignment = world.device("B").await?.assignment;
    assert_eq!((assignment.state, assignment.wanted), (AssignState::Due, Some(one.id)));
    assert_eq!(assignment.next_attempt_at, Some(at(3)));
    Ok(())
}

/// L12: every fact, unknown words included, comes back as it was sent.
pub async fn every_fact_survives(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let actual = Actual {
        model: Some("Gerät '\"\\%_ 😀".to_owned()),
        description: Some("line\nbreak".to_owned()),
        color: Some("SPACE GRAY".to_owned()),
        asset_tag: Some("tag".to_owned()),
        device_family: Some(DeviceFamily::Other("Toaster".to_owned())),
        os: Some("toastOS".to_owned()),
        profile_status: Some(ProfileStatus::Other("burnt".to_owned())),
        profile_uuid: Some(uuid("0123456789ABCDEF")),
        profile_assign_time: Some(at(1)),
        profile_push_time: Some(at(2)),
        device_assigned_by: Some("-1".to_owned()),
        device_assigned_date: Some(at(3)),
        mdm_migration_deadline: Some(at(-4_000_000_000)),
        extra: [
            ("imei".to_owned(), json!(["35", null])),
            ("wifi_mac_address".to_owned(), json!({ "a": 1.5, "b": [true, "ü"] })),
        ]
        .into_iter()
        .collect(),
    };
    let record = Record { actual: actual.clone(), ..event(phone("A"), OpType::Modified, 4) };
    let bare = Record { actual: Actual::default(), ..phone("B") };
    world.full(vec![record, bare], 5).await?;
    let device = world.device("A").await?;
    assert_eq!(device.actual, actual);
    assert_eq!(device.op_date, Some(at(4)));
    let device = world.device("B").await?;
    assert_eq!(device.actual, Actual::default());
    assert_eq!(device.op_date, None);
    Ok(())
}

/// A first import of a large organization is announced by page, everything later by device.
pub async fn a_first_import_is_one_event_per_page(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    world.full(vec![phone("A"), phone("B")], 1).await?;
    let events = told(fixture).await;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].kind.as_str(), &events[0].serial), ("devices.imported", &None));
    assert_eq!(events[0].data, json!({ "serial_numbers": ["A", "B"] }));
    world.full(vec![phone("A"), phone("B"), phone("C")], 2).await?;
    assert_eq!(kinds(fixture).await[1..], ["device.added C"]);
    Ok(())
}

/// Whatever forms a driver writes pages in, every row arrives, new and changed alike.
pub async fn pages_of_every_size_are_stored_whole(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    let mut expected = 0;
    for size in [1, 2, 7, 8, 9, 99, 100, 1000, 1333] {
        let page = |color: &str| -> Vec<Record> {
            (0..size)
                .map(|number| {
                    let mut record = phone(&format!("S{size:04}N{number:04}"));
                    record.actual.color = Some(format!("{color} {number}"));
                    record
                })
                .collect()
        };
        let run = world.begin(SyncKind::Full, size).await?;
        let counts = world.fetch_page(&run, page("RED"), size).await?;
        assert_eq!(counts.added, u64::try_from(size).expect("small"));
        let counts = world.fetch_page(&run, page("BLUE"), size).await?;
        assert_eq!(counts.modified, u64::try_from(size).expect("small"));
        let counts = world.fetch_page(&run, page("BLUE"), size + 1).await?;
        assert_eq!((counts.added, counts.modified), (0, 0));
        expected += usize::try_from(size).expect("small");
        let devices = world.all().await?;
        assert_eq!(devices.len(), expected);
        for view in devices.iter().filter(|view| view.device.last_seen_at == at(size + 1)) {
            let number: u32 = view.device.serial.as_str()[6..].parse().expect("a number");
            assert_eq!(view.device.actual.color, Some(format!("BLUE {number}")));
        }
        let seen = devices.iter().filter(|view| view.device.last_seen_at == at(size + 1)).count();
        assert!(seen >= usize::try_from(size).expect("small"), "{seen} of {size} were seen");
    }
    Ok(())
}

/// A deletion leaves a tombstone that wants nothing.
pub async fn a_deleted_device_becomes_a_tombstone(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    let counts = world.delta(vec![event(phone("A"), OpType::Deleted, 5)], 10).await?;
    assert_eq!(counts.removed, 1);
    let device = world.device("A").await?;
    assert_eq!((device.removed_at, device.assignment.state), (Some(at(10)), AssignState::Removed));
    assert_eq!((device.assignment.wanted, device.assignment.next_attempt_at), (None, None));
    assert!(world.store.due_groups(world.server, at(20)).await?.is_empty());
    assert_eq!(kinds(fixture).await[1..], ["device.removed A"]);
    Ok(())
}

/// L10: a device that is back is assigned again, whatever was remembered of it.
pub async fn a_returned_device_forgets_its_assignment(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    world.assign(&revision, "UUID-1", 2).await?;
    assert_eq!(world.state("A").await?, AssignState::Assigned);
    world.delta(vec![event(phone("A"), OpType::Deleted, 5)], 10).await?;
    let counts = world.delta(vec![event(phone("A"), OpType::Added, 15)], 20).await?;
    assert_eq!(counts.added, 1);
    let device = world.device("A").await?;
    assert_eq!((device.removed_at, device.first_seen_at), (None, at(1)));
    assert_eq!((device.assignment.state, device.assignment.attempts), (AssignState::Due, 0));
    assert_eq!(device.actual.profile_uuid, None);
    assert_eq!(kinds(fixture).await[1..], ["assignment.succeeded A", "device.removed A", "device.added A"]);
    Ok(())
}

/// A device that moves from one of our servers to another stands at both until it has left the first.
pub async fn the_same_serial_at_two_servers_is_two_devices(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    let server = add_server(&*world.store, "other").await?;
    let lease = lease(&*world.store, server, "us").await?;
    let other = World { store: world.store.clone(), server, lease };
    other.full(vec![phone("A"), phone("B")], 2).await?;
    world.delta(vec![event(phone("A"), OpType::Deleted, 5)], 10).await?;
    let views = world.store.device(&serial("A")).await?;
    let mut states: Vec<_> =
        views.iter().map(|view| (view.server.as_str(), view.device.assignment.state)).collect();
    states.sort_by_key(|(name, _)| *name);
    assert_eq!(states, [("lab", AssignState::Removed), ("other", AssignState::Unmatched)]);
    Ok(())
}

/// Kind and serial number of every event.
async fn kinds(fixture: &dyn Fixture) -> Vec<String> {
    let events = told(fixture).await;
    events
        .into_iter()
        .map(|event| format!("{} {}", event.kind, event.serial.unwrap_or_default()).trim().to_owned())
        .collect()
}

/// Pages that are stored together come to what they come to one by one, a device that is in both of them included.
pub async fn pages_stored_together_are_as_if_stored_in_turn(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let run = world.begin(SyncKind::Full, 1).await?;
    let mut twice = phone("A");
    twice.actual.color = Some("RED".to_owned());
    let first = world.commit(&run, SyncPhase::Fetch, vec![phone("A"), phone("B")], 1).await?;
    let second = world.commit(&run, SyncPhase::Fetch, vec![twice, phone("C")], 2).await?;
    let pages = [PageCommit { more: true, ..first }, PageCommit { more: true, ..second }];
    let committed = world.store.commit_pages(&world.lease, &pages, None).await?;
    let counts = committed.counts;
    assert_eq!((counts.pages, counts.records, counts.added, counts.modified), (2, 4, 3, 1));
    assert!(committed.ready.is_empty());
    assert_eq!(world.device("A").await?.actual.color.as_deref(), Some("RED"));
    let full = world.position().await?.full.expect("a full sync is under way");
    assert_eq!(full.fetch_cursor.as_ref(), Some(&pages[1].cursor));
    Ok(())
}

/// L29: the transaction of a page stores the intent to assign as a claim would: under the epoch of the lease, and to be
/// read back if nothing is heard of it.
pub async fn what_a_page_finds_due_can_be_sent_with_it(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let revision = world.default(Scope::Any, "one").await?;
    let run = world.begin(SyncKind::Full, 1).await?;
    let ahead = Some(SendAhead { verify_at: at(300) });
    let page = world.commit(&run, SyncPhase::Fetch, vec![phone("A")], 1).await?;
    let page = PageCommit { more: true, ..page };
    let unpublished = world.store.commit_pages(&world.lease, &[page], ahead).await?;
    assert!(unpublished.ready.is_empty(), "Apple does not have the profile yet");
    world.publish(&revision, "UUID-1").await?;
    let page = world.commit(&run, SyncPhase::Fetch, vec![phone("C"), phone("B")], 2).await?;
    let page = PageCommit { more: true, ..page };
    let committed = world.store.commit_pages(&world.lease, &[page], ahead).await?;
    let claim = |name| Claim { serial: serial(name), attempts: 1, drifted: false };
    assert_eq!(
        committed.ready,
        [Ready { revision: revision.id, claims: vec![claim("B"), claim("C")] }],
        "what was due before stays so"
    );
    assert_eq!(world.claim(&revision, 3).await?, [serial("A")]);
    assert!(world.store.to_read_back(&world.lease, at(299), 9).await?.is_empty());
    let failed = settlement(&serial("B"), AssignState::Failed);
    world.store.settle(&world.lease, revision.id, &[failed], at(4)).await?;
    let (b, c) = (world.device("B").await?.assignment, world.device("C").await?.assignment);
    assert_eq!((b.state, b.attempts), (AssignState::Failed, 1));
    assert_eq!((c.state, c.attempts, c.next_attempt_at), (AssignState::Sent, 0, Some(at(300))));
    assert!(world.store.to_read_back(&world.lease, at(300), 9).await?.contains(&serial("C")));
    Ok(())
}
