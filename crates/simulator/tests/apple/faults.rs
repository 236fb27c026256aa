use reqwest::Method;
use serde_json::json;

use crate::support::{Apple, serials};

#[tokio::test]
async fn retry_after_in_both_forms() {
    let apple = Apple::devices(1).await;
    let client = apple.client().await;
    apple.control("add_fault", json!({"path": "/account", "status": 429, "body": "TOO_MANY_REQUESTS", "retry_after_seconds": 120})).await;
    let answer = client.get("/account").await;
    answer.refused(429, "TOO_MANY_REQUESTS");
    assert_eq!(answer.header("retry-after"), Some("120"));
    apple.control("add_fault", json!({"status": 503, "retry_after_date": 60})).await;
    let answer = client.get("/account").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (503, ""));
    assert_eq!(answer.header("retry-after"), Some("Sun, 01 Mar 2026 10:01:00 GMT"));
    assert_eq!(client.get("/account").await.status, 200);
}

/// L29: the connection is cut before or after the request took effect.
#[tokio::test]
async fn a_cut_before_and_after_the_effect() {
    let apple = Apple::devices(1).await;
    let client = apple.client().await;
    let uuid = client.define().await;
    let all = serials(&client.post("/server/devices", json!({})).await.json());
    let body = json!({ "profile_uuid": uuid, "devices": all }).to_string();
    for (effect, assigns) in [(false, 0), (true, 1)] {
        apple.control("add_fault", json!({"path": "/profile/devices", "cut": true, "effect": effect})).await;
        let sent = client.try_send(Method::PUT, "/profile/devices", &body).await;
        assert!(sent.is_err(), "no answer");
        assert_eq!(apple.simulator.truth_of(&all[0]).expect("there").assigns, assigns);
    }
    let log = apple.simulator.requests();
    assert_eq!(log.iter().filter(|entry| entry.status == 0 && entry.fault).count(), 2);
}

/// A proxy that repeats in its error page what it was sent.
#[tokio::test]
async fn an_answer_that_repeats_the_request() {
    let apple = Apple::devices(1).await;
    let client = apple.client().await;
    apple.control("add_fault", json!({"path": "/server/devices", "status": 502, "echo": true})).await;
    let answer = client.post("/server/devices", json!({"limit": 7})).await;
    assert_eq!(answer.status, 502);
    let session = apple.simulator.requests().into_iter().rev().find_map(|request| request.session);
    for part in ["POST /server/devices\n", session.expect("a session").as_str(), r#"{"limit":7}"#] {
        assert!(answer.text.contains(part), "{part} is missing in {}", answer.text);
    }
}

/// L9: answers that look like an empty list.
#[tokio::test]
async fn truncated_and_empty_bodies() {
    let apple = Apple::devices(500).await;
    let client = apple.client().await;
    apple.control("add_fault", json!({"path": "/server/devices", "truncate_to": 1000})).await;
    assert!(client.try_send(Method::POST, "/server/devices", "{}").await.is_err());
    apple.control("add_fault", json!({"path": "/server/devices", "empty": true})).await;
    let answer = client.post("/server/devices", json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
    apple
        .control("add_fault", json!({"path": "/server/devices", "status": 200, "body": "{\"devices\":[]}"}))
        .await;
    assert_eq!(client.post("/server/devices", json!({})).await.json(), json!({"devices": []}));
}

/// L2: the request's own cursor with more to follow, in both phases.
#[tokio::test]
async fn the_same_cursor_again() {
    let apple = Apple::devices(20).await;
    let client = apple.client().await;
    let first = client.post("/server/devices", json!({"limit": 10})).await.json();
    let (_, finished) = client.fetch_all(100).await;
    apple.simulator.add_devices("Lab", 2).expect("added");
    for (path, cursor) in [("/server/devices", first["cursor"].clone()), ("/devices/sync", json!(finished))] {
        for (kind, some) in [("with_devices", true), ("without_devices", false)] {
            apple.control("add_fault", json!({"path": path, "same_cursor": kind})).await;
            let page = client.post(path, json!({ "cursor": cursor, "limit": 10 })).await.json();
            assert_eq!((&page["cursor"], &page["more_to_follow"]), (&cursor, &json!(true)));
            assert_eq!(!serials(&page).is_empty(), some);
        }
    }
}

/// L11, L4: repeats within a page, and the same event in two syncs.
#[tokio::test]
async fn repeats() {
    let apple = Apple::devices(3).await;
    let client = apple.client().await;
    let (_, cursor) = client.fetch_all(100).await;
    let new = apple.simulator.add_devices("Lab", 2).expect("added");
    apple.control("add_fault", json!({"path": "/devices/sync", "duplicates": 1, "redeliver": 1})).await;
    let page = client.post("/devices/sync", json!({ "cursor": cursor })).await.json();
    assert_eq!(serials(&page), [new[0].clone(), new[1].clone(), new[0].clone()]);
    let again = client.post("/devices/sync", json!({ "cursor": page["cursor"] })).await.json();
    assert_eq!(serials(&again), new[1..]);
    let quiet = client.post("/devices/sync", json!({ "cursor": again["cursor"] })).await.json();
    assert_eq!(quiet["devices"], json!([]));
}

#[tokio::test]
async fn a_delay_is_on_the_clock_that_was_passed_in() {
    let apple = Apple::devices(1).await;
    let client = apple.client().await;
    apple.control("add_fault", json!({"path": "/account", "delay_ms": 60_000})).await;
    let mut slow = Box::pin(client.get("/account"));
    // The slow request waits; others do not.
    tokio::select! {
        biased;
        _ = &mut slow => panic!("it had to wait"),
        () = async {
            while apple.look("state").await["faults"] != json!([]) {
                tokio::task::yield_now().await;
            }
            assert_eq!(client.get("/account").await.status, 200);
        } => {}
    }
    // It ends as soon as the clock has moved far enough, and the clock moves only here.
    apple.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(slow.await.status, 200);
}

#[tokio::test]
async fn an_answer_can_be_held_back_after_the_effect() {
    let apple = Apple::devices(1).await;
    let client = apple.client().await;
    apple.control("add_fault", json!({"path": "/account", "answer_delay_ms": 60_000})).await;
    let before = apple.look("state").await["requests"].clone();
    let mut held = Box::pin(client.get("/account"));
    tokio::select! {
        biased;
        _ = &mut held => panic!("it had to wait"),
        // It is in the log, and so has happened, before it is answered.
        () = async {
            while apple.look("state").await["requests"] == before {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    apple.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(held.await.status, 200);
}
