//! Endpoints, and which events reach them.

use adelie_model::{EventId, OpType, SyncKind, WebhookId};
use serde_json::json;

use super::endpoints::{
    add, claim, deliver_all, deliveries, endpoint, kinds, listening, secret, settle, tried,
};
use super::world::{World, add_server, at, event, operator, phone, serial, serials, start};
use super::{Case, Failed, Fixture};
use crate::page::Action;
use crate::{
    Backlog, DeliveryOutcome, DeliveryState, EventFilter, NewWebhook, SealedSecret, StoreError,
    WebhookChange, WebhookFormat, WebhookState,
};

/// An endpoint comes back as it was given.
pub async fn an_endpoint_is_kept_whole(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let new = NewWebhook {
        url: "https://example.com/ü?a=b&c".to_owned(),
        events: vec!["device.*".to_owned(), "a\"b".to_owned()],
        servers: vec![world.server],
        format: WebhookFormat::CloudEvents,
        thin: true,
        ordered: true,
        concurrency: 7,
        secret: secret(5),
    };
    let id = world.store.add_webhook(&new, &operator(3)).await?;
    let other = listening(&*world.store, &["*"]).await?;
    let all = fixture.another().await.webhooks().await?;
    assert_eq!(all.iter().map(|webhook| webhook.id).collect::<Vec<_>>(), [id, other]);
    let found = &all[0];
    assert_eq!((&found.url, &found.events, &found.servers), (&new.url, &new.events, &new.servers));
    assert_eq!((found.format, found.thin, found.ordered, found.concurrency), (new.format, true, true, 7));
    assert_eq!(found.secrets, [secret(5)]);
    assert_eq!((found.state, found.reason.as_str()), (WebhookState::Active, ""));
    assert_eq!((found.since, found.created_at), (at(3), at(3)));
    assert_eq!((found.failing_since, found.last_delivered_at, found.wait_until), (None, None, None));
    assert!(all[1].servers.is_empty() && !all[1].thin && !all[1].ordered);
    Ok(())
}

/// A star stands for any run of characters, and nothing else is special.
pub async fn events_reach_endpoints_by_their_type(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    let store = &*world.store;
    let patterns: [&[&str]; 9] = [
        &["*"],
        &["device*"],
        &["*.succeeded"],
        &["devices.imported", "sync.*"],
        &["dev?ces.*", "dev_ces.*", "dev%", "[d]evices.*", "Devices.*", "evices.imported", "devices"],
        &["*ssign*cc*"],
        &[],
        &["de\\vices.*", "\\*"],
        &["device.*", "devices.*", "*"],
    ];
    let mut webhooks = Vec::new();
    for events in patterns {
        webhooks.push(listening(store, events).await?);
    }
    world.full(vec![phone("A")], 1).await?;
    world.assign(&revision, "UUID-1", 2).await?;
    let (imported, completed, assigned) = ("devices.imported", "sync.completed", "assignment.succeeded");
    let expected: [&[&str]; 9] = [
        &[imported, completed, assigned],
        &[imported],
        &[assigned],
        &[imported, completed],
        &[],
        &[assigned],
        &[],
        &[],
        &[imported, completed, assigned],
    ];
    for (at, (webhook, expected)) in webhooks.iter().zip(expected).enumerate() {
        let mut found = kinds(store, *webhook).await?;
        found.retain(|kind| kind != "webhook.added");
        assert_eq!(found, expected, "{:?}", patterns[at]);
    }
    let all = deliveries(store, webhooks[0]).await?;
    assert!(all.iter().all(|one| one.state == DeliveryState::Pending && one.due_at == Some(one.at)));
    Ok(())
}

/// Events of an MDM server go to the endpoints that want it; those of none to everybody.
pub async fn events_reach_endpoints_by_their_server(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let store = &*world.store;
    let elsewhere = add_server(store, "elsewhere").await?;
    let of = |servers: &[_]| NewWebhook { servers: servers.to_vec(), ..endpoint(&["server.*", "profile.*"]) };
    let here = add(store, of(&[world.server])).await?;
    let there = add(store, of(&[elsewhere])).await?;
    let both = add(store, of(&[elsewhere, world.server])).await?;
    let any = add(store, of(&[])).await?;
    store.set_paused(world.server, true, &operator(1)).await?;
    world.profile("one").await?;
    for (webhook, paused) in [(here, true), (there, false), (both, true), (any, true)] {
        let expected: &[&str] =
            if paused { &["server.paused", "profile.revised"] } else { &["profile.revised"] };
        assert_eq!(kinds(store, webhook).await?, expected);
    }
    let claimed = claim(store, any, 10, 2).await?;
    assert_eq!((&claimed[0].server, claimed[0].event.server, claimed[0].event.at), (&None, None, at(0)));
    assert_eq!(claimed[1].server.as_ref().map(|name| name.as_str()), Some("lab"));
    assert_eq!((claimed[1].event.server, claimed[1].event.at), (Some(world.server), at(1)));
    Ok(())
}

/// Pages are written while somebody wants them, and go to nobody else.
pub async fn pages_reach_endpoints_of_their_format_only(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let store = &*world.store;
    let any = listening(store, &["*"]).await?;
    world.full(vec![phone("A")], 1).await?;
    let told = fixture.events().await;
    assert!(told.iter().all(|event| event.kind != "sync.page"), "nobody wants them");
    let nanodep = add(store, NewWebhook { format: WebhookFormat::Nanodep, ..endpoint(&["*"]) }).await?;
    world.delta(vec![event(phone("A"), OpType::Modified, 2), event(phone("B"), OpType::Added, 3)], 4).await?;
    assert_eq!(kinds(store, nanodep).await?, ["sync.page"]);
    assert!(!kinds(store, any).await?.contains(&"sync.page".to_owned()));
    let page = claim(store, nanodep, 10, 5).await?.remove(0).event;
    assert!(page.run.is_some());
    let expected = json!({
        "phase": "sync",
        "cursor": "sync cursor at 4",
        "fetched_until": at(4),
        "more_to_follow": false,
        "devices": [
            { "serial_number": "A", "op_type": "modified", "op_date": at(2) },
            { "serial_number": "B", "op_type": "added", "op_date": at(3) },
        ],
    });
    assert_eq!(page.data, expected);
    store.remove_webhook(nanodep, &operator(6)).await?;
    world.delta(vec![event(phone("C"), OpType::Added, 7)], 8).await?;
    let pages = fixture.events().await.into_iter().filter(|event| event.kind == "sync.page").count();
    assert_eq!(pages, 1);
    Ok(())
}

/// What happens to an endpoint the others hear.
pub async fn an_endpoint_is_not_told_of_itself(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let store = &*world.store;
    let first = listening(store, &["webhook.*"]).await?;
    let second = listening(store, &["webhook.*"]).await?;
    let pause = WebhookChange::Pause { reason: "moving".to_owned() };
    assert!(store.change_webhook(second, &pause, &operator(1)).await?);
    assert!(!store.change_webhook(second, &pause, &operator(2)).await?, "it is paused");
    assert!(store.change_webhook(second, &WebhookChange::Resume, &operator(3)).await?);
    assert!(!store.change_webhook(second, &WebhookChange::Resume, &operator(4)).await?);
    assert!(store.disable_webhook(second, "it answered 410", at(5)).await?);
    assert!(!store.disable_webhook(second, "again", at(6)).await?);
    store.remove_webhook(second, &operator(7)).await?;
    let expected =
        ["added", "paused", "resumed", "disabled", "removed"].map(|what| format!("webhook.{what}"));
    assert_eq!(kinds(store, first).await?, expected);
    assert_eq!(kinds(store, second).await?, Vec::<String>::new());
    let url = endpoint(&["webhook.*"]).url;
    let told: Vec<_> = claim(store, first, 10, 8).await?.into_iter().map(|one| one.event.data).collect();
    assert_eq!(told[1], json!({ "webhook": second, "url": url, "by": "kim", "reason": "moving" }));
    assert_eq!(told[3], json!({ "webhook": second, "url": url, "reason": "it answered 410" }));
    assert_eq!(told[4], json!({ "webhook": second, "url": url, "by": "kim" }));
    Ok(())
}

/// L15: an event that is undone is on its way nowhere.
pub async fn an_event_that_is_undone_leaves_no_delivery(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let any = listening(&*world.store, &["*"]).await?;
    let run = world.begin(SyncKind::Full, 1).await?;
    let page = world.commit(&run, adelie_model::SyncPhase::Fetch, vec![phone("A")], 1).await?;
    let lost = world.lease.clone();
    world.taken_over().await?;
    let before = (fixture.events().await, kinds(&*world.store, any).await?);
    let result = world.store.commit_page(&lost, &page).await;
    assert!(matches!(result, Err(StoreError::LeaseLost(_))), "{result:?}");
    assert_eq!((fixture.events().await, kinds(&*world.store, any).await?), before);
    Ok(())
}

/// What happens while an endpoint is paused or given up waits for it.
pub async fn what_happens_meanwhile_waits(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let store = &*world.store;
    let webhook = listening(store, &["server.*"]).await?;
    for disabled in [false, true] {
        store.set_paused(world.server, true, &operator(1)).await?;
        let tried = claim(store, webhook, 10, 2).await?;
        settle(store, &tried, DeliveryOutcome::Retry(at(9000)), 2).await?;
        if disabled {
            assert!(store.disable_webhook(webhook, "it fails", at(3)).await?);
        } else {
            let pause = WebhookChange::Pause { reason: "moving".to_owned() };
            assert!(store.change_webhook(webhook, &pause, &operator(3)).await?);
        }
        let found = store.webhooks().await?.remove(0);
        let expected =
            if disabled { (WebhookState::Disabled, "it fails") } else { (WebhookState::Paused, "moving") };
        assert_eq!((found.state, found.reason.as_str(), found.since), (expected.0, expected.1, at(3)));
        assert_eq!(found.failing_since, Some(at(2)));
        store.set_paused(world.server, false, &operator(4)).await?;
        assert_eq!(claim(store, webhook, 10, 9_999).await?, []);
        assert_eq!(store.due_webhooks(at(9_999)).await?, (Vec::new(), None));
        let waiting = Backlog { webhook, pending: 1, retrying: 1, dead: 0, oldest: Some(at(1)) };
        assert_eq!(store.backlogs().await?, [waiting]);

        assert!(store.change_webhook(webhook, &WebhookChange::Resume, &operator(5)).await?);
        let found = store.webhooks().await?.remove(0);
        assert_eq!((found.state, found.reason.as_str()), (WebhookState::Active, ""));
        assert_eq!((found.since, found.failing_since), (at(5), None));
        let mut claimed = claim(store, webhook, 10, 5).await?;
        claimed.sort_by_key(|one| one.id);
        let of: Vec<_> = claimed.iter().map(|one| (one.event.kind.as_str(), one.failures)).collect();
        assert_eq!(of, [("server.paused", 0), ("server.resumed", 0)], "from the start of the ladder");
        settle(store, &claimed, DeliveryOutcome::Delivered, 6).await?;
    }
    Ok(())
}

/// A new secret signs beside the one before it, and older ones are gone.
pub async fn a_rotated_secret_signs_for_a_while(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let store = &*world.store;
    let first = store.add_webhook(&NewWebhook { secret: secret(1), ..endpoint(&[]) }, &operator(1)).await?;
    let rotate = |number| WebhookChange::Rotate { secret: secret(number), old_until: at(1000) };
    let old = |number| SealedSecret { valid_until: Some(at(1000)), ..secret(number) };
    assert!(store.change_webhook(first, &rotate(2), &operator(2)).await?);
    assert_eq!(store.webhooks().await?[0].secrets, [secret(2), old(1)]);
    assert!(store.change_webhook(first, &rotate(3), &operator(3)).await?);
    assert_eq!(store.webhooks().await?[0].secrets, [secret(3), old(2)]);
    let told = fixture.events().await;
    assert_eq!(told.iter().filter(|event| event.kind == "webhook.rotated").count(), 2);
    assert!(!format!("{told:?}").contains("secret"), "no secret is told");
    Ok(())
}

/// A removed endpoint is gone at once, and what was on its way to it later.
pub async fn a_removed_endpoint_is_gone(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let store = &*world.store;
    let webhook = listening(store, &["server.*"]).await?;
    store.set_paused(world.server, true, &operator(1)).await?;
    store.set_paused(world.server, false, &operator(2)).await?;
    let [first, second] = &deliveries(store, webhook).await?[..] else { panic!("two deliveries") };
    let claimed = store.claim_one(first.id, at(3), at(30)).await?.expect("nobody is at it");
    store.remove_webhook(webhook, &operator(4)).await?;
    store.set_paused(world.server, true, &operator(5)).await?;
    assert_eq!((store.webhooks().await?, store.backlogs().await?), (Vec::new(), Vec::new()));
    assert_eq!(deliveries(store, webhook).await?, []);
    assert_eq!(store.delivery(first.id).await?, None);
    assert_eq!(claim(store, webhook, 10, 6).await?, []);
    assert_eq!(store.claim_one(second.id, at(6), at(30)).await?, None);
    settle(store, &[claimed], DeliveryOutcome::Delivered, 7).await?;
    let missing = |result| matches!(result, Err(StoreError::Missing { what: "endpoint", .. }));
    assert!(missing(store.change_webhook(webhook, &WebhookChange::Resume, &operator(8)).await));
    assert!(missing(store.disable_webhook(webhook, "", at(8)).await));
    assert!(missing(store.remove_webhook(webhook, &operator(8)).await.map(|()| true)));
    assert!(missing(store.add_test_delivery(WebhookId(999), &operator(8)).await.map(|_| true)));
    let mut gone = 0;
    loop {
        match store.forget_deliveries(super::endpoints::EVER, 1).await? {
            0 => break,
            rows => gone += rows,
        }
    }
    assert_eq!(gone, 3, "two deliveries and the endpoint");
    Ok(())
}

/// A test goes to one endpoint, whatever it subscribes to and however it stands.
pub async fn a_test_reaches_one_endpoint(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let store = &*world.store;
    let any = listening(store, &["*"]).await?;
    let nanodep =
        add(store, NewWebhook { format: WebhookFormat::Nanodep, ..endpoint(&["sync.page"]) }).await?;
    let pause = WebhookChange::Pause { reason: String::new() };
    store.change_webhook(nanodep, &pause, &operator(1)).await?;
    let before = kinds(store, any).await?;
    let test = store.add_test_delivery(nanodep, &operator(2)).await?;
    assert_eq!(kinds(store, nanodep).await?, ["webhook.test"]);
    assert_eq!(kinds(store, any).await?, before);
    assert_eq!(claim(store, nanodep, 10, 3).await?, [], "it is paused");
    let claimed = store.claim_one(test, at(3), at(33)).await?.expect("nobody is at it");
    assert_eq!((claimed.event.kind.as_str(), claimed.event.at), ("webhook.test", at(2)));
    assert_eq!(
        claimed.event.data,
        json!({ "webhook": nanodep, "url": endpoint(&["sync.page"]).url, "by": "kim" })
    );
    assert_eq!(store.claim_one(test, at(4), at(34)).await?, None, "somebody is at it");
    store.settle_deliveries(&[tried(&claimed, DeliveryOutcome::Delivered, 5)], at(5)).await?;
    assert_eq!(store.claim_one(test, at(99), at(99)).await?, None, "it is delivered");
    Ok(())
}

/// Events are followed from a number on, or looked back at, as far as a filter lets them pass.
pub async fn events_are_read_in_both_directions(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    let store = &*world.store;
    world.full(["A", "B", "C"].map(phone).into(), 1).await?;
    world.assign(&revision, "UUID-1", 2).await?;
    let hold = Action::Hold { reason: String::new() };
    store.operate(world.server, &[serial("A")], &hold, &operator(3)).await?;
    let elsewhere = add_server(store, "elsewhere").await?;
    store.set_paused(elsewhere, true, &operator(4)).await?;

    let all = store.events_after(&EventFilter::default(), EventId(0), 100).await?;
    assert!(all.is_sorted_by(|older, newer| older.id < newer.id));
    assert_eq!(all.len(), fixture.events().await.len());
    let mut back = store.events_before(&EventFilter::default(), None, 100).await?;
    back.reverse();
    assert_eq!(back, all);
    let [.., before, third, second, last] = &all[..] else { panic!("there are more") };
    assert_eq!(
        store.events_after(&EventFilter::default(), before.id, 2).await?,
        [third.clone(), second.clone()]
    );
    assert_eq!(
        store.events_before(&EventFilter::default(), Some(last.id), 2).await?,
        [second.clone(), third.clone()]
    );
    let read = async |filter: EventFilter| -> Result<Vec<String>, Failed> {
        let found = store.events_after(&filter, EventId(0), 100).await?;
        Ok(found.into_iter().map(|event| event.kind).collect())
    };
    let of =
        EventFilter { kinds: vec!["device*".to_owned(), "d_vice.held".to_owned()], ..EventFilter::default() };
    assert_eq!(read(of).await?, ["devices.imported", "device.held"]);
    let of = EventFilter { serial: Some(serial("A")), ..EventFilter::default() };
    assert_eq!(read(of).await?, ["devices.imported", "assignment.succeeded", "device.held"]);
    let of = EventFilter { serial: Some(serial("B")), ..EventFilter::default() };
    assert_eq!(read(of).await?, ["devices.imported", "assignment.succeeded"]);
    let of = EventFilter { server: Some(elsewhere), ..EventFilter::default() };
    assert_eq!(read(of).await?, ["token.renewed", "server.paused"]);
    let of = EventFilter { since: Some(at(3)), ..EventFilter::default() };
    assert_eq!(read(of).await?, ["device.held", "server.paused"]);
    let none = EventFilter { since: Some(at(3)), server: Some(world.server), ..EventFilter::default() };
    assert_eq!(read(none).await?, ["device.held"]);
    assert_eq!(
        all.iter().find(|event| event.kind == "devices.imported").expect("it was told").data["serial_numbers"],
        json!(["A", "B", "C"])
    );
    Ok(())
}

/// A database has one name, whoever asks; and devices are found by their MDM server.
pub async fn a_payload_finds_what_it_tells(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let name = world.store.installation().await?;
    assert_eq!(fixture.another().await.installation().await?, name);
    assert!(!name.is_nil());
    world.full(["A", "B", "C"].map(phone).into(), 1).await?;
    world.delta(vec![event(phone("B"), OpType::Deleted, 2)], 3).await?;
    let mut found = world.store.devices_of(world.server, &serials(["C", "B", "nobody"])).await?;
    found.sort_by(|a, b| a.serial.cmp(&b.serial));
    assert_eq!(found, [world.device("B").await?, world.device("C").await?]);
    assert_eq!(world.store.devices_of(world.server, &[]).await?, []);
    let elsewhere = add_server(&*world.store, "elsewhere").await?;
    assert_eq!(world.store.devices_of(elsewhere, &serials(["A"])).await?, []);
    Ok(())
}

/// Everything that an import tells reaches an endpoint once, however much it is.
pub async fn a_page_of_news_reaches_an_endpoint_whole(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    world.full(Vec::new(), 1).await?;
    let webhook = listening(&*world.store, &["device.added"]).await?;
    let names: Vec<_> = (0..130).map(|number| format!("D{number:03}")).collect();
    world.delta(names.iter().map(|name| event(phone(name), OpType::Added, 2)).collect(), 3).await?;
    let run = world.store.begin_run(&world.lease, &start(SyncKind::Delta, 4)).await?;
    assert!(run.id.0 > 0);
    let delivered: Vec<_> = deliver_all(&*world.store, webhook, 5).await?.into_iter().flatten().collect();
    assert_eq!(delivered, names);
    Ok(())
}
