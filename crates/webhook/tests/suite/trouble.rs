//! The pump when the store fails it, when it is stopped, and when something cannot be sent.

use std::time::Duration;

use adelie_model::DeliveryId;
use adelie_store::WebhookState;
use adelie_webhook::Drained;
use tokio::time::Instant;

use crate::receiver::Receiver;
use crate::world::{SOON, World, hanging, ok, say, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_answer_ends_nothing() {
    let world = World::new();
    let receiver = ok().await;
    world.endpoint(1, &receiver.url(), 5);
    world.store.state().broken = true;
    let (stop, pump) = world.start();
    world.commit(1, 50);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(receiver.posts().is_empty());
    world.store.state().broken = false;
    until("all are delivered", SOON, || world.delivered(1) == 50).await;
    // Broken in the middle: what was posted is stored later, and not posted again.
    world.commit(1, 50);
    until("some arrive", SOON, || receiver.posts().len() > 50).await;
    world.store.state().broken = true;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    world.store.state().broken = false;
    until("all are delivered", SOON, || world.delivered(1) == 100).await;
    assert_eq!(receiver.posts().len(), 100);
    stop.cancel();
    pump.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_result_that_the_store_refuses_does_not_keep_the_others() {
    let mut world = World::new();
    world.deadline = Duration::from_millis(500);
    world.settings.claim = Duration::from_secs(2);
    let receiver = ok().await;
    world.endpoint(1, &receiver.url(), 20);
    world.store.state().poisoned.insert(DeliveryId(3));
    world.commit(1, 20);
    let (stop, pump) = world.start();
    until("the others are stored", SOON, || world.delivered(1) == 19).await;
    stop.cancel();
    pump.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_posts_and_gives_the_rest_back() {
    let mut world = World::new();
    world.deadline = Duration::from_millis(800);
    let receiver = hanging().await;
    world.endpoint(1, &receiver.url(), 3);
    world.commit(1, 50);
    let (stop, pump) = world.start();
    until("some are under way", SOON, || receiver.posts().len() == 3).await;
    stop.cancel();
    pump.await.expect("no panic");
    assert_eq!(receiver.posts().len(), 3, "nothing more was sent");
    let state = world.store.state();
    assert!(state.rows.values().all(|row| row.free), "nothing is left claimed");
    assert_eq!(
        state.rows.values().filter(|row| row.failures == 1).count(),
        3,
        "what was under way is stored"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_longer_than_the_grace_is_given_up_and_given_back() {
    let mut world = World::new();
    world.deadline = Duration::from_secs(20);
    world.settings.grace = Duration::from_millis(300);
    let receiver = hanging().await;
    world.endpoint(1, &receiver.url(), 3);
    world.commit(1, 5);
    let (stop, pump) = world.start();
    until("some are under way", SOON, || receiver.posts().len() == 3).await;
    let begun = Instant::now();
    stop.cancel();
    pump.await.expect("no panic");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let state = world.store.state();
    assert!(state.rows.values().all(|row| row.free && row.due_at.is_some() && row.attempts.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_waited_in_line_for_too_long_is_not_sent_under_its_claim() {
    let mut world = World::new();
    world.deadline = Duration::from_millis(700);
    // Not allowed to be as short: it becomes two attempts.
    world.settings.claim = Duration::ZERO;
    let receiver = hanging().await;
    world.endpoint(1, &receiver.url(), 1);
    world.commit(1, 2);
    let (stop, pump) = world.start();
    // Both are claimed, one of them waits for the other and is too late then.
    until("the second post", SOON, || receiver.posts().len() == 2).await;
    stop.cancel();
    pump.await.expect("no panic");
    let state = world.store.state();
    let mut rows: Vec<_> = state.rows.values().map(|row| (row.claim, row.attempts.len())).collect();
    rows.sort_unstable();
    assert_eq!(rows, [(1, 1), (2, 1)], "one was given back and claimed again");
    assert_eq!(state.claims, 3, "it does not spin");
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_ends_when_its_time_is_over() {
    let mut world = World::new();
    world.deadline = Duration::from_millis(900);
    let receiver = hanging().await;
    world.endpoint(1, &receiver.url(), 1);
    world.commit(1, 100);
    let begun = Instant::now();
    let drained = world.pump().drain(Duration::from_millis(400)).await;
    assert_eq!(drained, Drained { delivered: 0, failed: 1, cut: true });
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(world.store.state().rows.values().all(|row| row.free));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_ever_sent_unsigned() {
    let world = World::new();
    let receiver = ok().await;
    world.endpoint(1, &receiver.url(), 1);
    world.endpoint(2, &receiver.url(), 1);
    world.change(1, |webhook| webhook.secrets[0].secret.0.reverse());
    world.change(2, |webhook| webhook.secrets.clear());
    world.commit(1, 1);
    world.commit(2, 1);
    world.pump().drain(SOON).await;
    assert!(receiver.posts().is_empty());
    let state = world.store.state();
    for (number, expected) in [(1, "does not open"), (2, "has no secret")] {
        let error = state.rows[&DeliveryId(number)].attempts[0].error.clone().unwrap_or_default();
        assert!(error.starts_with("nothing was sent: ") && error.contains(expected), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_can_be_tried_out_although_it_is_paused() {
    let world = World::new();
    let receiver = Receiver::start("127.0.0.1:0", say("403 No")).await;
    world.endpoint(1, &receiver.url(), 1);
    world.change(1, |webhook| webhook.state = WebhookState::Paused);
    world.commit(1, 1);
    let pump = world.pump();
    assert_eq!(pump.drain(SOON).await, Drained::default());
    let tried = pump.send_one(DeliveryId(1)).await.expect("answers").expect("is ours");
    assert_eq!(tried.attempt.status, Some(403));
    assert_eq!(world.store.state().rows[&DeliveryId(1)].attempts.len(), 1);
    assert_eq!(pump.send_one(DeliveryId(9)).await.expect("answers"), None);
}
