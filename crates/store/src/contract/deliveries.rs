//! How events come to endpoints.

use std::time::Duration;

use adelie_model::{OpType, WebhookId};
use tokio::time::timeout;

use super::endpoints::{EVER, add, claim, deliver_all, deliveries, endpoint, listening, settle, tried};
use super::world::{World, add_server, at, event, lease, operator, phone, serial};
use super::{Case, Failed, Fixture};
use crate::page::Action;
use crate::{
    Attempted, Backlog, Delivery, DeliveryFilter, DeliveryOutcome, DeliveryState, NewWebhook, Replay, Result,
    Retention, Store,
};

/// An endpoint with so many deliveries, a second apart from 1 on.
async fn waiting(fixture: &dyn Fixture, number: i64) -> Result<(World, WebhookId), Failed> {
    let world = World::new(fixture).await?;
    let webhook = listening(&*world.store, &["server.paused", "server.resumed"]).await?;
    happen(&world, 1, number).await?;
    Ok((world, webhook))
}

/// So many events, a second apart.
async fn happen(world: &World, first: i64, number: i64) -> Result<()> {
    for second in first..first + number {
        let paused = world.store.server_by_id(world.server).await?.is_some_and(|server| server.paused);
        world.store.set_paused(world.server, !paused, &operator(second)).await?;
    }
    Ok(())
}

async fn only(store: &dyn Store, webhook: WebhookId) -> Result<Delivery> {
    let mut all = deliveries(store, webhook).await?;
    assert_eq!(all.len(), 1);
    Ok(all.remove(0))
}

/// L16: two processes that send at once never send the same.
pub async fn two_handles_never_claim_a_delivery_twice(fixture: &dyn Fixture) -> Case {
    let (world, webhook) = waiting(fixture, 60).await?;
    let other = fixture.another().await;
    let claimer = async |store: &dyn Store| -> Result<Vec<i64>> {
        let mut mine = Vec::new();
        loop {
            let claimed = claim(store, webhook, 7, 100).await?;
            if claimed.is_empty() && claim(store, webhook, 1, 100).await?.is_empty() {
                return Ok(mine);
            }
            mine.extend(claimed.into_iter().map(|one| one.event.id.0));
        }
    };
    let (ours, theirs) = tokio::join!(claimer(&*world.store), claimer(&*other));
    let mut all: Vec<_> = ours?.into_iter().chain(theirs?).collect();
    let claims = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), claims, "each of them once");
    assert!(claims >= 58, "{claims} of 60");
    Ok(())
}

/// The longest due goes first, and no endpoint gets more than it has room for.
pub async fn the_longest_due_delivery_goes_first(fixture: &dyn Fixture) -> Case {
    let (world, first) = waiting(fixture, 3).await?;
    let store = &*world.store;
    let second = listening(store, &["server.*"]).await?;
    happen(&world, 4, 3).await?;
    assert_eq!(claim(store, second, 10, 3).await?, [], "nothing is due before its time");
    let claimed = store.claim_deliveries(&[(second, 2), (first, 4)], at(9), at(39)).await?;
    let of: Vec<_> = claimed.iter().map(|one| (one.webhook, one.event.at)).collect();
    let expected =
        [(first, at(1)), (first, at(2)), (first, at(3)), (first, at(4)), (second, at(4)), (second, at(5))];
    let mut sorted = of.clone();
    sorted.sort_by_key(|(webhook, at)| (*webhook, *at));
    assert_eq!(sorted, expected);
    assert!(of.is_sorted_by_key(|(_, at)| *at));
    assert!(claimed.iter().all(|one| one.until == at(39) && one.claim == 1 && one.failures == 0));
    assert_eq!(store.claim_deliveries(&[], at(9), at(39)).await?, []);
    assert_eq!(claim(store, first, 0, 9).await?, []);
    Ok(())
}

/// Tries are kept, with what they have shown of the endpoint.
pub async fn what_fails_is_tried_again(fixture: &dyn Fixture) -> Case {
    let (world, webhook) = waiting(fixture, 1).await?;
    let store = &*world.store;
    let claimed = claim(store, webhook, 1, 2).await?;
    settle(store, &claimed, DeliveryOutcome::Retry(at(10)), 2).await?;
    assert_eq!(claim(store, webhook, 1, 9).await?, []);
    let delivery = only(store, webhook).await?;
    assert_eq!((delivery.state, delivery.failures), (DeliveryState::Retrying, 1));
    assert_eq!((delivery.due_at, delivery.finished_at), (Some(at(10)), None));
    assert_eq!(
        (delivery.last_status, delivery.last_error.as_deref()),
        (Some(500), Some("the endpoint answered 500"))
    );
    let claimed = claim(store, webhook, 1, 10).await?;
    assert_eq!((claimed[0].claim, claimed[0].failures), (2, 1));
    settle(store, &claimed, DeliveryOutcome::Retry(at(20)), 10).await?;
    assert_eq!(store.webhooks().await?[0].failing_since, Some(at(2)), "since the first failure");
    let failed = DeliveryFilter { webhook: Some(webhook), failed: true, event: None };
    assert_eq!(store.deliveries(&failed, None, 10).await?.len(), 1);

    let claimed = claim(store, webhook, 1, 20).await?;
    settle(store, &claimed, DeliveryOutcome::Delivered, 21).await?;
    let found = store.webhooks().await?.remove(0);
    assert_eq!((found.failing_since, found.last_delivered_at), (None, Some(at(22))));
    let (delivery, event, tries) = store.delivery(delivery.id).await?.expect("it is kept");
    assert_eq!((delivery.state, delivery.failures), (DeliveryState::Delivered, 2));
    assert_eq!((delivery.due_at, delivery.finished_at), (None, Some(at(21))));
    assert_eq!((delivery.last_status, delivery.last_error), (Some(200), None));
    assert_eq!((event.id, event), (delivery.event, claimed[0].event.clone()));
    assert_eq!(tries.iter().map(|one| one.at).collect::<Vec<_>>(), [at(2), at(10), at(21)]);
    assert_eq!(tries[2], tried(&claimed[0], DeliveryOutcome::Delivered, 21).attempt);
    assert_eq!(store.deliveries(&failed, None, 10).await?, []);
    assert_eq!(claim(store, webhook, 1, 99).await?, []);
    Ok(())
}

/// A delivery that is given up stays as it is, until it is replayed.
pub async fn what_is_given_up_is_not_sent(fixture: &dyn Fixture) -> Case {
    let (world, webhook) = waiting(fixture, 2).await?;
    let store = &*world.store;
    let claimed = claim(store, webhook, 1, 2).await?;
    settle(store, &claimed, DeliveryOutcome::Dead, 3).await?;
    let all = deliveries(store, webhook).await?;
    assert_eq!((all[0].state, all[0].finished_at, all[0].due_at), (DeliveryState::Dead, Some(at(3)), None));
    let backlog = Backlog { webhook, pending: 1, retrying: 0, dead: 1, oldest: Some(at(2)) };
    assert_eq!(store.backlogs().await?, [backlog]);
    assert_eq!(claim(store, webhook, 10, 99).await?.len(), 1);
    let by_hand = store.claim_one(all[0].id, at(99), at(129)).await?.expect("it may be tried by hand");
    assert_eq!((by_hand.failures, by_hand.claim), (1, 2));
    settle(store, &[by_hand], DeliveryOutcome::Delivered, 100).await?;
    assert_eq!(deliveries(store, webhook).await?[0].state, DeliveryState::Delivered);
    Ok(())
}

/// L16: a claim that was lost settles nothing but a success.
pub async fn a_lost_claim_tells_nothing_but_success(fixture: &dyn Fixture) -> Case {
    let (world, webhook) = waiting(fixture, 3).await?;
    let store = &*world.store;
    let slow = claim(store, webhook, 3, 10).await?;
    assert_eq!(claim(store, webhook, 3, 39).await?, [], "they are somebody's");
    let quick = claim(store, webhook, 3, 40).await?;
    assert_eq!(
        quick.iter().map(|one| (one.id, one.claim)).collect::<Vec<_>>(),
        slow.iter().map(|one| (one.id, 2)).collect::<Vec<_>>()
    );
    let results = [
        tried(&slow[0], DeliveryOutcome::Retry(at(9000)), 41),
        tried(&slow[1], DeliveryOutcome::Dead, 41),
        tried(&slow[2], DeliveryOutcome::Delivered, 41),
    ];
    store.settle_deliveries(&results, at(41)).await?;
    let states = |all: Vec<Delivery>| all.into_iter().map(|one| (one.state, one.due_at)).collect::<Vec<_>>();
    let theirs = (DeliveryState::Pending, Some(at(70)));
    let done = (DeliveryState::Delivered, None);
    assert_eq!(states(deliveries(store, webhook).await?), [theirs, theirs, done]);
    settle(store, &quick, DeliveryOutcome::Retry(at(50)), 42).await?;
    let again = (DeliveryState::Retrying, Some(at(50)));
    assert_eq!(states(deliveries(store, webhook).await?), [again, again, done], "what is delivered stays so");
    let (.., tries) = store.delivery(slow[0].id).await?.expect("it is kept");
    assert_eq!(tries.len(), 2, "each try is kept");
    settle(store, &slow[..1], DeliveryOutcome::Delivered, 43).await?;
    assert_eq!(deliveries(store, webhook).await?[0].state, DeliveryState::Delivered);
    Ok(())
}

/// Several results of one delivery in one call: the good one decides.
pub async fn results_are_stored_in_any_company(fixture: &dyn Fixture) -> Case {
    let (world, webhook) = waiting(fixture, 300).await?;
    let store = &*world.store;
    let slow = claim(store, webhook, 300, 400).await?;
    let quick = claim(store, webhook, 300, 430).await?;
    assert_eq!((slow.len(), quick.len()), (300, 300));
    let late = quick.iter().map(|one| tried(one, DeliveryOutcome::Dead, 431));
    let good = slow.iter().map(|one| tried(one, DeliveryOutcome::Delivered, 431));
    store.settle_deliveries(&late.chain(good).collect::<Vec<Attempted>>(), at(432)).await?;
    let all = deliveries(store, webhook).await?;
    assert!(all.iter().all(|one| one.state == DeliveryState::Delivered && one.finished_at == Some(at(432))));
    store.settle_deliveries(&[], at(433)).await?;
    Ok(())
}

/// An endpoint that asks for rest is left alone until then.
pub async fn an_endpoint_may_ask_for_rest(fixture: &dyn Fixture) -> Case {
    let (world, webhook) = waiting(fixture, 3).await?;
    let store = &*world.store;
    let claimed = claim(store, webhook, 2, 10).await?;
    let asks = |claimed, until| Attempted {
        wait_until: Some(at(until)),
        ..tried(claimed, DeliveryOutcome::Retry(at(20)), 10)
    };
    store.settle_deliveries(&[asks(&claimed[0], 60)], at(10)).await?;
    store.settle_deliveries(&[asks(&claimed[1], 50)], at(10)).await?;
    assert_eq!(store.webhooks().await?[0].wait_until, Some(at(60)));
    assert_eq!(claim(store, webhook, 10, 59).await?, []);
    assert_eq!(store.due_webhooks(at(59)).await?, (Vec::new(), Some(at(60))));
    assert_eq!(store.due_webhooks(at(60)).await?.0, [webhook]);
    assert_eq!(claim(store, webhook, 10, 60).await?.len(), 3);
    Ok(())
}

/// What was not sent is due at once.
pub async fn claims_are_given_back(fixture: &dyn Fixture) -> Case {
    let (world, webhook) = waiting(fixture, 2).await?;
    let store = &*world.store;
    let lost = claim(store, webhook, 1, 10).await?;
    let claimed = claim(store, webhook, 2, 40).await?;
    let of =
        |claims: &[crate::ClaimedDelivery]| claims.iter().map(|one| (one.id, one.claim)).collect::<Vec<_>>();
    store.release_deliveries(&of(&lost), at(41)).await?;
    assert_eq!(claim(store, webhook, 2, 41).await?, [], "they are somebody else's");
    store.release_deliveries(&of(&claimed), at(42)).await?;
    let again = claim(store, webhook, 2, 42).await?;
    assert_eq!(again.len(), 2);
    settle(store, &again, DeliveryOutcome::Delivered, 43).await?;
    store.release_deliveries(&of(&again), at(44)).await?;
    assert_eq!(claim(store, webhook, 2, 99).await?, []);
    Ok(())
}

/// Whoever sends is told where there is something to send, and when there will be.
pub async fn what_is_due_next_is_known(fixture: &dyn Fixture) -> Case {
    let (world, webhook) = waiting(fixture, 2).await?;
    let store = &*world.store;
    listening(store, &["nothing"]).await?;
    assert_eq!(store.due_webhooks(at(0)).await?, (Vec::new(), Some(at(1))));
    assert_eq!(store.due_webhooks(at(1)).await?, (vec![webhook], Some(at(2))));
    assert_eq!(store.due_webhooks(at(2)).await?, (vec![webhook], None));
    let claimed = claim(store, webhook, 2, 3).await?;
    assert_eq!(store.due_webhooks(at(3)).await?, (Vec::new(), Some(at(33))));
    settle(store, &claimed, DeliveryOutcome::Delivered, 4).await?;
    assert_eq!(store.due_webhooks(at(99)).await?, (Vec::new(), None));
    Ok(())
}

/// The events of a device arrive in their order, also those that it shares with others.
pub async fn deliveries_of_a_device_keep_their_order(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    let store = &*world.store;
    world.full(["A", "B"].map(phone).into(), 1).await?;
    let ordered = NewWebhook { ordered: true, ..endpoint(&["device.*", "assignment.*", "profile.*"]) };
    let webhook = add(store, ordered).await?;
    let held = |held| if held { Action::Hold { reason: String::new() } } else { Action::Unhold };
    let elsewhere = add_server(store, "elsewhere").await?;
    let elsewhere =
        World { store: world.store.clone(), server: elsewhere, lease: lease(store, elsewhere, "us").await? };
    elsewhere.full(vec![phone("A")], 1).await?;
    // A, A and B at one MDM server, then both at once, then B; and A at another one, which has nothing to do with it.
    store.operate(world.server, &[serial("A")], &held(true), &operator(2)).await?;
    store.operate(world.server, &[serial("A")], &held(false), &operator(3)).await?;
    store.operate(world.server, &[serial("B")], &held(true), &operator(4)).await?;
    store.operate(world.server, &[serial("B")], &held(false), &operator(5)).await?;
    world.assign(&revision, "UUID-1", 6).await?;
    store.operate(world.server, &[serial("B")], &held(true), &operator(7)).await?;
    store.operate(elsewhere.server, &[serial("A")], &held(true), &operator(8)).await?;
    world.profile("two").await?;

    let mut rounds = Vec::new();
    let mut open = Vec::new();
    loop {
        let claimed = claim(store, webhook, 10, 20).await?;
        if claimed.is_empty() {
            break;
        }
        let mut round: Vec<_> =
            claimed.iter().map(|one| one.event.at.timestamp() - at(0).timestamp()).collect();
        round.sort_unstable();
        rounds.push(round);
        // A failure keeps what comes after it waiting.
        let (fails, works): (Vec<_>, Vec<_>) =
            claimed.into_iter().partition(|one| one.failures == 0 && one.event.at == at(3));
        settle(store, &works, DeliveryOutcome::Delivered, 20).await?;
        settle(store, &fails, DeliveryOutcome::Retry(at(50)), 20).await?;
        open.extend(fails);
    }
    assert_eq!(rounds, [vec![0, 2, 4, 8], vec![3, 5]]);
    assert_eq!(store.due_webhooks(at(20)).await?, (Vec::new(), Some(at(50))), "the rest waits for its turn");
    let mut rounds = Vec::new();
    for _ in 0..3 {
        let claimed = claim(store, webhook, 10, 50).await?;
        rounds.push(claimed.iter().map(|one| one.event.at).collect::<Vec<_>>());
        settle(store, &claimed, DeliveryOutcome::Delivered, 50).await?;
    }
    assert_eq!(rounds, [[at(3)], [at(6)], [at(7)]]);
    Ok(())
}

/// What an operator has sent again arrives as the same event.
pub async fn deliveries_are_replayed(fixture: &dyn Fixture) -> Case {
    let (world, webhook) = waiting(fixture, 4).await?;
    let store = &*world.store;
    let before = deliveries(store, webhook).await?;
    let claimed = claim(store, webhook, 3, 10).await?;
    settle(store, &claimed[..1], DeliveryOutcome::Delivered, 10).await?;
    settle(store, &claimed[1..2], DeliveryOutcome::Dead, 10).await?;
    settle(store, &claimed[2..], DeliveryOutcome::Retry(at(9000)), 10).await?;

    assert_eq!(store.replay(&Replay::One(before[0].id), &operator(20)).await?, 1);
    assert_eq!(store.replay(&Replay::One(adelie_model::DeliveryId(9999)), &operator(20)).await?, 0);
    let again = deliveries(store, webhook).await?.remove(0);
    assert_eq!((again.id, again.event, again.state), (before[0].id, before[0].event, DeliveryState::Pending));
    assert_eq!((again.failures, again.due_at, again.finished_at), (0, Some(at(20)), None));

    assert_eq!(store.replay(&Replay::Failed(Some(WebhookId(999))), &operator(21)).await?, 0);
    assert_eq!(store.replay(&Replay::Failed(Some(webhook)), &operator(21)).await?, 2);
    assert_eq!(store.replay(&Replay::Failed(None), &operator(21)).await?, 0);
    let all = deliveries(store, webhook).await?;
    assert!(all.iter().all(|one| one.state == DeliveryState::Pending && one.failures == 0), "{all:?}");
    assert_eq!(
        all.iter().map(|one| one.event).collect::<Vec<_>>(),
        before.iter().map(|one| one.event).collect::<Vec<_>>()
    );
    assert_eq!(deliver_all(store, webhook, 30).await?.len(), 4);
    let told: Vec<_> =
        fixture.events().await.into_iter().filter(|event| event.kind == "webhook.replayed").collect();
    let told: Vec<_> = told.into_iter().map(|event| event.data).collect();
    assert_eq!(told, [1, 2].map(|number| serde_json::json!({ "by": "kim", "deliveries": number })));
    Ok(())
}

/// A time range is sent again, with what the endpoint never had of it.
pub async fn a_range_is_replayed(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let store = &*world.store;
    happen(&world, 1, 3).await?;
    let webhook = add(store, NewWebhook { ordered: true, ..endpoint(&["server.*", "webhook.*"]) }).await?;
    happen(&world, 4, 3).await?;
    store.add_test_delivery(webhook, &operator(5)).await?;
    for _ in 0..2 {
        let delivered = claim(store, webhook, 1, 10).await?;
        settle(store, &delivered, DeliveryOutcome::Delivered, 10).await?;
    }
    let range = |since, until| Replay::Range { webhook, since: at(since), until: at(until) };
    assert_eq!(store.replay(&range(2, 6), &operator(20)).await?, 4, "two new ones and two again");
    let mut moments: Vec<_> = Vec::new();
    loop {
        let claimed = claim(store, webhook, 10, 30).await?;
        if claimed.is_empty() {
            break;
        }
        settle(store, &claimed, DeliveryOutcome::Delivered, 30).await?;
        moments.extend(claimed.into_iter().filter(|one| one.event.server.is_some()).map(|one| one.event.at));
    }
    assert_eq!(moments, [2, 3, 4, 5, 6].map(at), "in the order of the events, not of the deliveries");
    assert_eq!(store.replay(&range(100, 200), &operator(40)).await?, 0);
    Ok(())
}

/// Deliveries go by their age; what is too old to be worth sending is given up first.
pub async fn old_deliveries_are_forgotten(fixture: &dyn Fixture) -> Case {
    let (world, webhook) = waiting(fixture, 4).await?;
    let store = &*world.store;
    let claimed = claim(store, webhook, 2, 10).await?;
    settle(store, &claimed[..1], DeliveryOutcome::Delivered, 10).await?;
    settle(store, &claimed[1..], DeliveryOutcome::Dead, 11).await?;
    assert_eq!(store.forget_deliveries(EVER, 10).await?, 0);
    assert_eq!(store.forget_deliveries(at(1), 10).await?, 0);
    store.forget_deliveries(at(4), 10).await?;
    let states: Vec<_> = deliveries(store, webhook).await?.into_iter().map(|one| one.state).collect();
    use DeliveryState::{Dead, Delivered, Pending};
    assert_eq!(states, [Delivered, Dead, Dead, Pending], "the third waited for too long");
    store.forget_deliveries(at(11), 10).await?;
    let left: Vec<_> = deliveries(store, webhook).await?.into_iter().map(|one| (one.at, one.state)).collect();
    assert_eq!(left, [(at(2), Dead), (at(3), Dead), (at(4), Dead)], "the first is gone with its tries");
    assert_eq!(store.delivery(claimed[0].id).await?, None);
    let mut gone = 0;
    for _ in 0..3 {
        gone += store.forget_deliveries(at(12), 1).await?;
    }
    assert_eq!(gone, 1);
    assert_eq!(deliveries(store, webhook).await?.len(), 2);
    Ok(())
}

/// An event is kept as long as it is on its way, and takes its deliveries with it when it goes.
pub async fn an_event_on_its_way_is_kept(fixture: &dyn Fixture) -> Case {
    let (world, webhook) = waiting(fixture, 3).await?;
    let store = &*world.store;
    let keep = Retention { tombstones_before: EVER, events_before: at(9000), runs: u32::MAX };
    let claimed = claim(store, webhook, 2, 10).await?;
    settle(store, &claimed[..1], DeliveryOutcome::Delivered, 10).await?;
    settle(store, &claimed[1..], DeliveryOutcome::Retry(at(50)), 10).await?;
    store.forget_old(&world.lease, &keep, 100).await?;
    let left: Vec<_> = fixture.events().await.into_iter().map(|event| event.kind).collect();
    assert_eq!(left, ["server.resumed", "server.paused"]);
    assert_eq!(deliveries(store, webhook).await?.len(), 2);
    deliver_all(store, webhook, 60).await?;
    store.forget_old(&world.lease, &keep, 100).await?;
    assert_eq!((fixture.events().await, deliveries(store, webhook).await?), (Vec::new(), Vec::new()));
    Ok(())
}

/// Whoever waits hears of the commits of others; and nothing is lost when the waiting is broken off.
pub async fn who_waits_is_woken(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    listening(&*world.store, &["*"]).await?;
    let waiter = fixture.another().await;
    let long = Duration::from_secs(10);
    timeout(long, waiter.wait_for_deliveries()).await.expect("the first call does not wait")?;
    while timeout(Duration::from_millis(300), waiter.wait_for_deliveries()).await.is_ok() {}
    for round in 0..3 {
        let waits = timeout(long, waiter.wait_for_deliveries());
        let (woken, ()) = tokio::join!(waits, async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            happen(&world, round, 1).await.expect("it happens");
        });
        woken.expect("somebody has written deliveries")?;
        while timeout(Duration::from_millis(100), waiter.wait_for_deliveries()).await.is_ok() {}
    }
    Ok(())
}

/// All the endpoint gets, whatever the pages of the list are.
pub async fn deliveries_are_listed_in_pages(fixture: &dyn Fixture) -> Case {
    let (world, webhook) = waiting(fixture, 5).await?;
    let store = &*world.store;
    let other = listening(store, &["device.*"]).await?;
    world.full(Vec::new(), 9).await?;
    world.delta(vec![event(phone("A"), OpType::Added, 10)], 10).await?;
    let filter = DeliveryFilter::default();
    let mut all = Vec::new();
    loop {
        let page = store.deliveries(&filter, all.last().map(|one: &Delivery| one.id), 2).await?;
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    assert!(all.is_sorted_by(|newer, older| newer.id > older.id));
    assert_eq!(all.iter().filter(|one| one.webhook == webhook).count(), 5);
    let added = all.iter().find(|one| one.webhook == other).expect("it was told");
    assert_eq!((added.kind.as_str(), added.at), ("device.added", at(10)));
    let of_event = DeliveryFilter { event: Some(added.event), ..DeliveryFilter::default() };
    assert_eq!(store.deliveries(&of_event, None, 10).await?, std::slice::from_ref(added));
    Ok(())
}
