//! Listing, finding and counting devices.

use std::collections::BTreeMap;

use adelie_model::{AssignState, DeviceFamily, OpType, SerialNumber, ServerId};
use adelie_rules::Scope;

use super::world::{World, add_server, at, event, lease, mac, phone, profile_name, serial, serials};
use super::{Case, Fixture};
use crate::{DeviceFilter, DevicePosition, DeviceView, PublishOutcome, Result, Store};

/// Walks a list page by page.
async fn walk(store: &dyn Store, filter: &DeviceFilter, limit: u32) -> Result<Vec<(ServerId, SerialNumber)>> {
    let mut all = Vec::new();
    let mut after: Option<DevicePosition> = None;
    loop {
        let page = store.devices(filter, after.as_ref(), limit).await?;
        assert!(page.len() <= limit as usize);
        let short = page.len() < limit as usize;
        all.extend(page.into_iter().map(|DeviceView { device, .. }| (device.server, device.serial)));
        after = all.last().cloned().map(|(server, serial)| DevicePosition { server, serial });
        if short {
            return Ok(all);
        }
    }
}

/// Two servers with devices in several states; a refused profile holds the Macs of the first.
async fn mixed(fixture: &dyn Fixture) -> Result<(World, World), super::Failed> {
    let world = World::new(fixture).await?;
    let macs = world.default(Scope::ALL[0].clone(), "macs").await?;
    let phones = world.default(Scope::ALL[1].clone(), "phones").await?;
    let mut records: Vec<_> = (0..12).map(|number| phone(&format!("P{number}"))).collect();
    records.extend((0..7).map(|number| mac(&format!("m-{number}"))));
    let mut toaster = phone("_toaster");
    toaster.actual.device_family = Some(DeviceFamily::Other("Toaster".to_owned()));
    let mut nameless = phone("Z");
    nameless.actual.device_family = None;
    records.extend([toaster, nameless]);
    world.full(records, 1).await?;
    world.delta(vec![event(phone("P3"), OpType::Deleted, 2)], 3).await?;
    world.publish(&phones, "UUID-P").await?;
    world.store.claim_due(&world.lease, phones.id, 4, at(4), at(300)).await?;
    let refused = PublishOutcome::Refused { error: "FLAGS_INVALID".to_owned(), next_attempt_at: at(600) };
    world.store.set_published(&world.lease, macs.id, &refused, at(4)).await?;

    let server = add_server(&*world.store, "another").await?;
    let lease = lease(&*world.store, server, "us").await?;
    let other = World { store: world.store.clone(), server, lease };
    other.full(vec![phone("P1"), mac("m-1"), mac("Q")], 5).await?;
    Ok((world, other))
}

/// Pages by key neither repeat nor skip, in the order of bytes, whatever the filter.
pub async fn paging_walks_all_exactly_once(fixture: &dyn Fixture) -> Case {
    let (world, other) = mixed(fixture).await?;
    let all = walk(&*world.store, &DeviceFilter::default(), 1000).await?;
    assert_eq!(all.len(), 24);
    let mut sorted = all.clone();
    sorted.sort();
    assert_eq!(all, sorted);
    let filters = [
        (DeviceFilter::default(), 24),
        (DeviceFilter { server: Some(other.server), ..DeviceFilter::default() }, 3),
        (DeviceFilter { server: Some(world.server), ..DeviceFilter::default() }, 21),
        (DeviceFilter { family: Some(DeviceFamily::Mac), ..DeviceFilter::default() }, 9),
        (DeviceFilter { query: Some("p1".to_owned()), ..DeviceFilter::default() }, 4),
    ];
    for (filter, expected) in filters {
        let whole = walk(&*world.store, &filter, 1000).await?;
        assert_eq!(whole.len(), expected, "{filter:?}");
        for limit in [1, 2, 5, 24] {
            assert_eq!(walk(&*world.store, &filter, limit).await?, whole, "{filter:?} by {limit}");
        }
    }
    Ok(())
}

/// Filtering by a state lists what is shown in that state, and filters combine.
pub async fn filters_agree_with_what_is_shown(fixture: &dyn Fixture) -> Case {
    let (world, other) = mixed(fixture).await?;
    let all = world.all().await?;
    let serials = |views: &[DeviceView]| -> Vec<SerialNumber> {
        views.iter().map(|view| view.device.serial.clone()).collect()
    };
    let mut held = 0;
    for state in AssignState::ALL {
        for server in [None, Some(world.server), Some(other.server)] {
            let filter = DeviceFilter { server, state: Some(state), ..DeviceFilter::default() };
            let listed = world.store.devices(&filter, None, 1000).await?;
            let expected: Vec<_> = all
                .iter()
                .filter(|view| view.state().0 == state)
                .filter(|view| server.is_none_or(|server| view.device.server == server))
                .cloned()
                .collect();
            assert_eq!(serials(&listed), serials(&expected), "{filter:?}");
            held += if state == AssignState::Held { listed.len() } else { 0 };
        }
    }
    assert_eq!(held, 14, "the Macs of the refused profile, listed with and without their server");
    let toasters = DeviceFilter {
        family: Some(DeviceFamily::Other("Toaster".to_owned())),
        state: Some(AssignState::Unmatched),
        query: Some("TOAST".to_owned()),
        server: Some(world.server),
        ..DeviceFilter::default()
    };
    let listed = world.store.devices(&toasters, None, 10).await?;
    assert_eq!(serials(&listed), super::world::serials(["_toaster"]));
    Ok(())
}

/// A few serial numbers are looked up in turn and very many among all devices; what is found is the same.
pub async fn serial_numbers_are_found_however_many_are_asked_for(fixture: &dyn Fixture) -> Case {
    let (world, other) = mixed(fixture).await?;
    let mut wanted = serials(["P1", "Q", "P3", "m-1", "NOBODY", "P1"]);
    let few = world.store.find(&wanted).await?;
    wanted.extend((0..60_000).map(|number| SerialNumber::from_apple(format!("NOBODY{number}"))));
    let many = world.store.find(&wanted).await?;
    assert_eq!(few, many);
    let mut found: Vec<_> = few
        .iter()
        .map(|(serial, views)| {
            let servers: Vec<_> = views.iter().map(|view| view.device.server).collect();
            (serial.as_str(), servers)
        })
        .collect();
    found.sort();
    let (first, second) = (world.server, other.server);
    let expected =
        [("P1", vec![first, second]), ("P3", vec![first]), ("Q", vec![second]), ("m-1", vec![first, second])];
    assert_eq!(found, expected);
    assert_eq!(world.store.device(&SerialNumber::from_apple("NOBODY".to_owned())).await?, []);
    Ok(())
}

/// What is searched for is text: `%`, `_` and `\` mean themselves; capitals do not matter.
pub async fn text_is_searched_as_it_stands(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let tagged = |text: &str, tag: &str| {
        let mut record = phone(text);
        record.actual.asset_tag = Some(tag.to_owned());
        record
    };
    let mut lonely = phone("E");
    lonely.actual = adelie_model::Actual::default();
    let records = vec![
        tagged("A", "100% cotton"),
        tagged("B", "100 cotton"),
        tagged("C", "room_1"),
        tagged("D", "roomX1 c:\\temp 'x'"),
        lonely,
    ];
    world.full(records, 1).await?;
    let cases: [(&str, &[&str]); 13] = [
        ("100%", &["A"]),
        ("0% C", &["A"]),
        ("m_1", &["C"]),
        ("C:\\T", &["D"]),
        ("'X'", &["D"]),
        ("\\", &["D"]),
        ("%", &["A"]),
        ("COTTON", &["A", "B"]),
        ("black 128", &["A", "B", "C", "D"]),
        ("blaCK", &["A", "B", "C", "D"]),
        ("iphone 15", &["A", "B", "C", "D"]),
        ("e", &["A", "B", "C", "D", "E"]),
        ("nothing like it", &[]),
    ];
    for (query, expected) in cases {
        let filter = DeviceFilter { query: Some(query.to_owned()), ..DeviceFilter::default() };
        let found = walk(&*world.store, &filter, 100).await?;
        let found: Vec<_> = found.iter().map(|(_, serial)| serial.as_str()).collect();
        assert_eq!(found, expected, "{query:?}");
    }
    Ok(())
}

/// A device is shown with the names of what it belongs to.
pub async fn a_view_names_profile_and_refusal(fixture: &dyn Fixture) -> Case {
    let (world, other) = mixed(fixture).await?;
    let held = world.view("m-1").await?;
    assert_eq!(held.server.as_str(), "lab");
    assert_eq!(held.wanted_profile, Some(profile_name("macs")));
    assert_eq!((held.wanted_revision, held.wanted_by.as_ref()), (Some(1), None), "a default gives it");
    assert_eq!(held.profile_error.as_deref(), Some("FLAGS_INVALID"));
    assert_eq!(held.state().0, AssignState::Held);
    let fine = world.view("P1").await?;
    assert_eq!(fine.wanted_profile, Some(profile_name("phones")));
    assert_eq!(fine.profile_error, None);
    let there = other.view("m-1").await?;
    assert_eq!((there.server.as_str(), there.wanted_profile), ("another", None));
    let filter = DeviceFilter { query: Some("m-1".to_owned()), ..DeviceFilter::default() };
    let listed = world.store.devices(&filter, None, 10).await?;
    assert_eq!(listed[0], held);
    assert_eq!(listed.len(), 2);
    assert_eq!(world.store.device(&serial("m-1")).await?.len(), 2);
    assert!(world.store.device(&serial("M-1")).await?.is_empty());
    Ok(())
}

/// The counts are those of the list, for each server.
pub async fn state_counts_agree_with_the_list(fixture: &dyn Fixture) -> Case {
    let (world, other) = mixed(fixture).await?;
    let mut expected: BTreeMap<(ServerId, &str), u64> = BTreeMap::new();
    for view in world.all().await? {
        *expected.entry((view.device.server, view.state().0.as_str())).or_default() += 1;
    }
    for server in [None, Some(world.server), Some(other.server)] {
        let counts = world.store.state_counts(server).await?;
        let found: BTreeMap<_, _> =
            counts.iter().map(|count| ((count.server, count.state.as_str()), count.devices)).collect();
        assert_eq!(found.len(), counts.len(), "each state once");
        let mut of_server = expected.clone();
        of_server.retain(|(of, _), _| server.is_none_or(|server| server == *of));
        assert_eq!(found, of_server);
    }
    Ok(())
}

/// A device that has left is still found, with when and why.
pub async fn a_tombstone_is_shown(fixture: &dyn Fixture) -> Case {
    let (world, _) = mixed(fixture).await?;
    let view = world.view("P3").await?;
    assert_eq!(view.device.removed_at, Some(at(3)));
    assert_eq!(view.state().0, AssignState::Removed);
    assert_eq!(view.wanted_profile, None);
    let filter = DeviceFilter { state: Some(AssignState::Removed), ..DeviceFilter::default() };
    let listed = walk(&*world.store, &filter, 10).await?;
    assert_eq!(listed.into_iter().map(|(_, serial)| serial).collect::<Vec<_>>(), serials(["P3"]));
    Ok(())
}
