//! The pump, with a store in memory and real receivers.

use std::time::Duration;

use adelie_model::{Clock, DeliveryId, WebhookId};
use adelie_store::{DeliveryOutcome, WebhookState};
use adelie_webhook::{Drained, Secret, VerifyingKey, verify};
use chrono::TimeDelta;
use tokio::time::Instant;

use crate::receiver::Receiver;
use crate::world::{SOON, World, hanging, ok, say, until};

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_due_arrives_once_and_signed() {
    let world = World::new();
    let receiver = ok().await;
    let new = world.endpoint(1, &receiver.url(), 5);
    let old = Secret::generate_ed25519(&*world.entropy).expect("a key");
    let over = Secret::generate(&*world.entropy).expect("a secret");
    let now = world.clock.now();
    let more = [
        world.sealed(&old, 100, Some(now + TimeDelta::hours(1))),
        world.sealed(&over, 101, Some(now - TimeDelta::hours(1))),
    ];
    world.change(1, |webhook| webhook.secrets.extend(more));
    world.commit(1, 300);
    let drained = world.pump().drain(SOON).await;
    assert_eq!(drained, Drained { delivered: 300, failed: 0, cut: false });
    assert!(receiver.most_at_once() <= 5, "{} at once", receiver.most_at_once());
    let posts = receiver.posts();
    let mut ids: Vec<String> = posts
        .iter()
        .map(|post| {
            let headers = post.headers();
            for secret in [&new, &old] {
                assert_eq!(verify(&[VerifyingKey::from(secret)], &headers, &post.body, now), Ok(()));
            }
            assert!(verify(&[VerifyingKey::from(&over)], &headers, &post.body, now).is_err());
            headers["webhook-id"].to_str().expect("text").to_owned()
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((posts.len(), ids.len()), (300, 300));
    assert!(ids[0].starts_with("evt_000000000000_"), "{}", ids[0]);
    let state = world.store.state();
    assert!(state.settled_batches < 200, "results are stored in batches, not in {}", state.settled_batches);
    let attempt = &state.rows[&DeliveryId(7)].attempts[0];
    assert_eq!((attempt.status, attempt.error.as_deref()), (Some(200), None));
    assert!(
        attempt.request.contains("webhook-id: evt_") && !attempt.request.contains("v1,"),
        "{}",
        attempt.request
    );
    assert!(attempt.request.contains(r#""data":{"number":7}"#), "{}", attempt.request);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_is_sent_at_once() {
    let world = World::new();
    let receiver = ok().await;
    world.endpoint(1, &receiver.url(), 5);
    let (stop, pump) = world.start();
    for round in 1..=5 {
        // In the middle between two heartbeats.
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.commit(1, 1);
        let begun = Instant::now();
        until("delivered", SOON, || world.delivered(1) == round).await;
        assert!(begun.elapsed() < Duration::from_millis(300), "{:?}", begun.elapsed());
    }
    // An endpoint that is added now is served at once, too.
    world.endpoint(2, &receiver.url(), 5);
    world.commit(2, 1);
    until("delivered to the new one", Duration::from_millis(400), || world.delivered(2) == 1).await;
    stop.cancel();
    pump.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_holds_up_nobody_else() {
    let world = World::new();
    let (hanging, good) = (hanging().await, ok().await);
    world.endpoint(1, &hanging.url(), 4);
    world.endpoint(2, &good.url(), 4);
    world.commit(1, 500);
    world.commit(2, 500);
    let (stop, pump) = world.start();
    until("the good one is served", world.deadline, || world.delivered(2) == 500).await;
    assert_eq!(hanging.posts().len(), 4, "as many as may be under way");
    until("the first have failed", SOON, || world.store.state().rows[&DeliveryId(1)].failures == 1).await;
    stop.cancel();
    pump.await.expect("no panic");
    let state = world.store.state();
    let attempt = &state.rows[&DeliveryId(1)].attempts[0];
    assert!(attempt.error.as_deref().is_some_and(|error| error.contains("longer than 3 s")), "{attempt:?}");
    assert!(state.rows.values().all(|row| row.free), "nothing is left claimed");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_receivers_that_hang_leave_half_to_the_others() {
    let mut world = World::new();
    world.settings.at_once = 8;
    let (hanging, good) = (hanging().await, ok().await);
    let failing = world.clock.now();
    for id in 1..=20 {
        world.endpoint(id, &hanging.url(), 10);
        world.change(id, |webhook| webhook.failing_since = Some(failing));
        world.commit(id, 20);
    }
    world.endpoint(21, &good.url(), 10);
    let (stop, pump) = world.start();
    until("the hanging ones have their half", SOON, || hanging.posts().len() >= 4).await;
    world.commit(21, 200);
    until("the good one is served", Duration::from_secs(2), || world.delivered(21) == 200).await;
    assert_eq!(hanging.posts().len(), 4);
    stop.cancel();
    pump.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_tried_again_by_the_ladder() {
    let world = World::new();
    let receiver = Receiver::start("127.0.0.1:0", say("500 Broken")).await;
    world.endpoint(1, &receiver.url(), 5);
    world.commit(1, 1);
    let begun = world.clock.now();
    assert_eq!(world.pump().drain(SOON).await, Drained { delivered: 0, failed: 1, cut: false });
    let state = world.store.state();
    let row = &state.rows[&DeliveryId(1)];
    let Some(DeliveryOutcome::Retry(at)) = row.outcome else { panic!("{row:?}") };
    assert!((TimeDelta::seconds(4)..TimeDelta::seconds(8)).contains(&(at - begun)), "{}", at - begun);
    assert_eq!((row.failures, row.attempts.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_comes_by_itself_and_has_the_same_id() {
    let world = World::new();
    let receiver = Receiver::start("127.0.0.1:0", say("500 Broken")).await;
    world.endpoint(1, &receiver.url(), 5);
    world.commit(1, 1);
    let (stop, pump) = world.start();
    until("the second attempt", SOON, || receiver.posts().len() == 2).await;
    stop.cancel();
    pump.await.expect("no panic");
    let [first, second] = [0, 1].map(|place| receiver.posts()[place].headers());
    assert_eq!(first["webhook-id"], second["webhook-id"]);
    assert_ne!(first["webhook-timestamp"], second["webhook-timestamp"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_wants_no_more_gets_no_more() {
    let world = World::new();
    let receiver = Receiver::start("127.0.0.1:0", say("410 Gone")).await;
    world.endpoint(1, &receiver.url(), 1);
    world.commit(1, 50);
    let drained = world.pump().drain(SOON).await;
    assert_eq!((drained, receiver.posts().len()), (Drained { delivered: 0, failed: 1, cut: false }, 1));
    let state = world.store.state();
    let webhook = &state.webhooks[&WebhookId(1)];
    assert_eq!(webhook.state, WebhookState::Disabled);
    assert!(webhook.reason.contains("410"), "{}", webhook.reason);
    assert!(state.rows.values().all(|row| row.free), "what stood in line was given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_asks_for_a_pause_gets_it() {
    let world = World::new();
    let receiver = Receiver::start("127.0.0.1:0", say("429 Slow\r\nretry-after: 2")).await;
    world.endpoint(1, &receiver.url(), 1);
    world.commit(1, 50);
    let begun = Instant::now();
    let (stop, pump) = world.start();
    until("the first post", SOON, || receiver.posts().len() == 1).await;
    until("the second post", SOON, || receiver.posts().len() == 2).await;
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    stop.cancel();
    pump.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_has_failed_for_days_is_disabled_unless_it_was_just_repaired() {
    let world = World::new();
    let receiver = Receiver::start("127.0.0.1:0", say("500 Broken")).await;
    world.endpoint(1, &receiver.url(), 1);
    let long_ago = world.clock.now() - TimeDelta::days(6);
    world.change(1, |webhook| webhook.failing_since = Some(long_ago));
    world.commit(1, 1);
    world.pump().drain(SOON).await;
    let state = world.store.state();
    let webhook = &state.webhooks[&WebhookId(1)];
    assert_eq!(webhook.state, WebhookState::Disabled);
    assert!(webhook.reason.contains("every attempt has failed since"), "{}", webhook.reason);
    assert!(
        matches!(state.rows[&DeliveryId(1)].outcome, Some(DeliveryOutcome::Retry(_))),
        "it waits to be resumed"
    );
}
