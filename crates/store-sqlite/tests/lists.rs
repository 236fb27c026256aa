//! Lists of many devices: past the first few thousand they take another way, which must list the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use adelie_model::{
    Actual, AssignState, Cursor, DeviceFamily, ManualClock, SerialNumber, ServerId, SyncKind, SyncPhase, Tag,
    Timestamp, Trigger,
};
use adelie_rules::Scope;
use adelie_store::configuration::{Change, NewRevision, NewRule};
use adelie_store::page::{Action, Record};
use adelie_store::{
    AssignStore, ConfigurationStore, DeviceFilter, DevicePosition, DeviceStore, DeviceView, LeaseAnswer,
    LeaseStore, NewServer, Operator, PageCommit, ProfileStore, PublishOutcome, RunStart, ServerStore,
    Settlement, SyncStore, WorkEnd,
};
use adelie_store_sqlite::SqliteStore;

const DEVICES: u32 = 5000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
}

async fn open(folder: &tempfile::TempDir) -> SqliteStore {
    let clock = Arc::new(ManualClock::new(at(0)));
    SqliteStore::open_unsafe_fast(&folder.path().join("adelie.db"), clock).await.expect("a database")
}

/// Mostly iPhones; a few Macs far apart; the last device is called `needle`.
fn record(number: u32) -> Record {
    let (family, tag) = match number {
        n if n % 1700 == 1 => (DeviceFamily::Mac, "mac"),
        n if n + 1 == DEVICES => (DeviceFamily::IPhone, "the Needle"),
        _ => (DeviceFamily::IPhone, "hay"),
    };
    Record {
        serial: SerialNumber::from_apple(format!("S{:05}", number * 7919 % DEVICES)),
        actual: Actual { device_family: Some(family), asset_tag: Some(tag.to_owned()), ..Actual::default() },
        op_type: None,
        op_date: None,
    }
}

/// A server with all devices; five of them throttled, the Macs held by a refused profile, the rest assigned.
async fn fill(store: &SqliteStore, name: &str) -> ServerId {
    let new = NewServer {
        name: name.parse().expect("stored"),
        base_url: "http://127.0.0.1".to_owned(),
        paused: false,
    };
    let server = store.add_server(&new, &Operator::new("kim", at(0))).await.expect("stored");
    let LeaseAnswer::Ours(lease) =
        store.acquire_lease(server, "us", Duration::from_secs(600)).await.expect("stored")
    else {
        panic!("the lease is free");
    };
    let mut revisions = HashMap::new();
    for (scope, profile) in [(Scope::Any, "phones"), (Scope::Family(DeviceFamily::Mac), "macs")] {
        let name = format!("{profile} of {name}").parse().expect("stored");
        let by = Operator::new("kim", at(0));
        let revision = store.add_profile(&name, NewRevision::default(), &by).await.expect("stored");
        store.set_defaults(server, &[(scope.clone(), Some(name))], &by).await.expect("stored");
        revisions.insert(scope.to_string(), revision.id);
    }
    let start = RunStart {
        kind: SyncKind::Full,
        trigger: Trigger::Manual,
        requested_by: None,
        removals_accepted: false,
        restart: false,
        now: at(1),
    };
    let run = store.begin_run(&lease, &start).await.expect("stored").id;
    let page = PageCommit {
        run,
        seen_run: run,
        phase: SyncPhase::Fetch,
        records: (0..DEVICES).map(record).collect(),
        cursor: Cursor("end".to_owned()),
        more: false,
        fetched_until: None,
        now: at(2),
    };
    store.commit_page(&lease, &page).await.expect("stored");
    let refused = PublishOutcome::Refused { error: "no".to_owned(), next_attempt_at: at(9000) };
    store.set_published(&lease, revisions["mac"], &refused, at(3)).await.expect("stored");
    let claims = store.claim_due(&lease, revisions["any"], DEVICES, at(4), at(300)).await.expect("stored");
    let settlements: Vec<_> = claims
        .into_iter()
        .enumerate()
        .map(|(place, claim)| Settlement {
            serial: claim.serial,
            state: if place % 1000 == 999 { AssignState::Throttled } else { AssignState::Assigned },
            reason: String::new(),
            next_attempt_at: (place % 1000 == 999).then(|| at(90_000)),
            profile_uuid: None,
            drifted: false,
        })
        .collect();
    store.settle(&lease, revisions["any"], &settlements, at(5)).await.expect("stored");
    let end = WorkEnd { now: at(5), not_before: None };
    store.release_lease(&lease, &end).await.expect("given back");
    server
}

async fn walk(store: &SqliteStore, filter: &DeviceFilter, limit: u32) -> Vec<DeviceView> {
    let mut all: Vec<DeviceView> = Vec::new();
    loop {
        let after = all
            .last()
            .map(|view| DevicePosition { server: view.device.server, serial: view.device.serial.clone() });
        let page = store.devices(filter, after.as_ref(), limit).await.expect("stored");
        let short = page.len() < limit as usize;
        all.extend(page);
        if short {
            return all;
        }
    }
}

#[tokio::test]
async fn rare_and_common_things_are_listed_alike() {
    let folder = tempfile::tempdir().expect("stored");
    let store = open(&folder).await;
    fill(&store, "first").await;
    let second = fill(&store, "second").await;
    let all = walk(&store, &DeviceFilter::default(), 1700).await;
    assert_eq!(all.len(), 2 * DEVICES as usize);

    let base = DeviceFilter::default();
    let of_second = DeviceFilter { server: Some(second), ..base.clone() };
    let text =
        |filter: &DeviceFilter, text: &str| DeviceFilter { query: Some(text.to_owned()), ..filter.clone() };
    let state = |filter: &DeviceFilter, state| DeviceFilter { state: Some(state), ..filter.clone() };
    let macs = |filter: &DeviceFilter| DeviceFilter { family: Some(DeviceFamily::Mac), ..filter.clone() };
    let wanted = |profile: &str| DeviceFilter { wanted: profile.parse().ok(), ..DeviceFilter::default() };
    let cases = [
        (wanted("macs of second"), 3),
        (text(&wanted("phones of second"), "needle"), 1),
        (text(&base, "NEEDLE"), 2),
        (text(&of_second, "needle"), 1),
        (text(&base, "nothing"), 0),
        (text(&base, "hay"), 2 * (DEVICES as usize - 4)),
        (macs(&base), 6),
        (macs(&of_second), 3),
        (state(&base, AssignState::Held), 6),
        (state(&of_second, AssignState::Held), 3),
        (state(&macs(&base), AssignState::Due), 0),
        (state(&base, AssignState::Throttled), 8),
        (text(&state(&base, AssignState::Assigned), "needle"), 2),
        (state(&base, AssignState::Pushed), 0),
    ];
    for (filter, count) in cases {
        let expected: Vec<_> = all
            .iter()
            .filter(|view| filter.server.is_none_or(|server| server == view.device.server))
            .filter(|view| filter.state.is_none_or(|state| state == view.state().0))
            .filter(|view| filter.wanted.is_none() || filter.wanted == view.wanted_profile)
            .filter(|view| filter.family.is_none() || filter.family == view.device.actual.device_family)
            .filter(|view| {
                let tag = view.device.actual.asset_tag.clone().unwrap_or_default().to_lowercase();
                filter.query.as_ref().is_none_or(|query| tag.contains(&query.to_lowercase()))
            })
            .collect();
        assert_eq!(expected.len(), count, "{filter:?}");
        for limit in [3, 1000] {
            if count / (limit as usize) < 100 {
                let found = walk(&store, &filter, limit).await;
                assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?} by {limit}");
            }
        }
    }
}

/// Devices of a rule and with a tag are found wherever they stand.
#[tokio::test]
async fn a_rule_and_a_tag_are_found_far_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&folder).await;
    let server = fill(&store, "first").await;
    let by = Operator::new("kim", at(9));
    let needle = SerialNumber::from_apple("S04321".to_owned());
    let tag: Tag = "far".parse().expect("a good tag");
    let action = Action::Tag { add: vec![tag.clone()], remove: Vec::new() };
    store.operate(server, std::slice::from_ref(&needle), &action, &by).await.expect("tagged");
    let rule = NewRule {
        name: "far".parse().expect("a good name"),
        only: None,
        conditions: vec!["tag=far".parse().expect("a good condition")],
        profile: "phones of first".parse().expect("a good name"),
    };
    store.configure(&[Change::AddRule { rule, before: None }], None, &by).await.expect("a rule");
    let LeaseAnswer::Ours(lease) =
        store.acquire_lease(server, "us", Duration::from_secs(600)).await.expect("a lease")
    else {
        panic!("the lease is ours");
    };
    while !store.decide_anew(&lease, at(9), 1000).await.expect("decided") {}
    let hits = store.rule_hits().await.expect("counted");
    let (rule, _) = hits.into_iter().next().expect("it gives one device its profile");
    let filters = [
        DeviceFilter { tag: Some(tag), ..DeviceFilter::default() },
        DeviceFilter { rule: Some(rule), ..DeviceFilter::default() },
    ];
    for filter in filters {
        let found = walk(&store, &filter, 2).await;
        let serials: Vec<_> = found.iter().map(|view| &view.device.serial).collect();
        assert_eq!(serials, [&needle], "{filter:?}");
    }
}

/// A position of another server than the filter's neither repeats nor brings foreign devices.
#[tokio::test]
async fn a_position_before_or_behind_the_server_is_understood() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&folder).await;
    let first = fill(&store, "first").await;
    let second = fill(&store, "second").await;
    let position = |server| DevicePosition { server, serial: SerialNumber::from_apple("S00000".to_owned()) };
    let of = |server| DeviceFilter { server: Some(server), ..DeviceFilter::default() };
    let page = store.devices(&of(second), Some(&position(first)), 2).await.expect("listed");
    let serials: Vec<_> = page.iter().map(|view| view.device.serial.as_str()).collect();
    assert_eq!(serials, ["S00000", "S00001"]);
    assert!(page.iter().all(|view| view.device.server == second));
    assert!(store.devices(&of(first), Some(&position(second)), 2).await.expect("listed").is_empty());
}
