//! Retry-After, the gate, and Apple's clock.

use std::time::Duration;

use adelie_dep::endpoints::{assign_profile, fetch_devices};
use adelie_dep::{Error, TokenProblem};
use adelie_model::ProfileUuid;
use axum::response::IntoResponse;
use chrono::TimeDelta;

use crate::support::{EMPTY_PAGE, Server, now, refuse, serials, with_header};

fn fetch() -> fetch_devices::Request {
    fetch_devices::Request::default()
}

#[tokio::test]
async fn nothing_leaves_before_the_moment_that_apple_names_in_either_form() {
    for (status, value) in [
        (429, "120"),
        (503, "120"),
        (429, "Sun, 01 Mar 2026 10:02:00 GMT"),
        (503, "Sun, 01 Mar 2026 10:02:00 GMT"),
    ] {
        let server = Server::in_session(move |seen| {
            if seen.number == 1 {
                with_header(refuse(status, "TOO_MANY_REQUESTS"), "retry-after", value)
            } else {
                EMPTY_PAGE.into_response()
            }
        })
        .await;
        let (client, clock) = server.client_with(|_| {});
        let until = now() + TimeDelta::seconds(120);

        let error = client.send(&fetch()).await.expect_err("told to wait");
        assert_eq!(error.wait_until(), Some(until), "{status} {value}: {error}");
        assert_eq!(error.answer().map(|answer| answer.status), Some(status));

        clock.advance(Duration::from_millis(119_999));
        let error = client.clone().send(&fetch()).await.expect_err("still told to wait");
        assert!(matches!(&error, Error::Wait { answer: None, .. }), "{error}");
        assert_eq!(error.wait_until(), Some(until));
        assert!(error.is_retryable() && !error.may_have_taken_effect());
        assert_eq!(server.seen().len(), 2, "nothing was sent meanwhile");

        clock.advance(Duration::from_millis(1));
        client.send(&fetch()).await.expect("a page");
    }
}

#[tokio::test]
async fn a_session_request_can_be_told_to_wait_too() {
    let server = Server::start(|_| {
        std::future::ready(with_header(refuse(429, "TOO_MANY_REQUESTS"), "retry-after", "30"))
    })
    .await;
    let client = server.client();
    client.send(&fetch()).await.expect_err("told to wait");
    let error = client.send(&fetch()).await.expect_err("told to wait");
    assert_eq!(error.wait_until(), Some(now() + TimeDelta::seconds(30)));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn without_a_moment_the_caller_chooses() {
    let server = Server::in_session(|seen| refuse(if seen.number == 1 { 429 } else { 503 }, "")).await;
    let client = server.client();
    let error = client.send(&fetch()).await.expect_err("told to wait");
    assert!(matches!(&error, Error::Wait { until: None, .. }), "{error}");
    let error = client.send(&fetch()).await.expect_err("an outage");
    assert!(matches!(&error, Error::Server { .. }), "the gate is open, {error}");
}

#[tokio::test]
async fn an_assignment_that_met_a_503_is_to_be_read_back() {
    let server = Server::in_session(|_| with_header(refuse(503, ""), "retry-after", "5")).await;
    let request = assign_profile::Request { profile_uuid: ProfileUuid("B1".into()), devices: serials(1) };
    let error = server.client().send(&request).await.expect_err("told to wait");
    assert!(error.may_have_taken_effect(), "{error}");
}

#[tokio::test]
async fn the_date_of_an_answer_shows_how_far_the_clocks_are_apart() {
    let server = Server::start(|_| {
        let refused = refuse(401, "timestamp_refused");
        std::future::ready(with_header(refused, "date", "Sun, 01 Mar 2026 10:10:00 GMT"))
    })
    .await;
    let client = server.client();
    assert_eq!(client.clock_skew(), None);
    let error = client.send(&fetch()).await.expect_err("a wrong clock");
    assert!(matches!(&error, Error::Token { problem: TokenProblem::Clock, .. }), "{error}");
    assert_eq!(error.token_state(), None, "the token is not to blame");
    assert_eq!(client.clock_skew(), Some(TimeDelta::seconds(600)));
}
