//! Opening, sharing, rotating and renewing the session.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use adelie_dep::endpoints::{account, assign_profile, fetch_devices};
use adelie_dep::{Error, TokenProblem};
use adelie_model::{ProfileUuid, TokenState};
use axum::response::IntoResponse;
use tokio::sync::Barrier;

use crate::support::{EMPTY_PAGE, SESSION_HEADER, Server, refuse, serials, session, with_header};

fn fetch() -> fetch_devices::Request {
    fetch_devices::Request { cursor: None, limit: Some(1000) }
}

/// L45: the User-Agent is sent everywhere, `/session` included; so are the other headers of protocol section 2.3.
#[tokio::test]
async fn every_request_has_the_headers_that_apple_asks_for() {
    let server = Server::in_session(|_| EMPTY_PAGE.into_response()).await;
    let (client, _) = server.client_with(|options| options.user_agent = "Lab/7".into());
    client.send(&fetch()).await.expect("a page");
    let seen = server.seen();
    assert_eq!(server.lines(), ["GET /session", "POST /server/devices"]);
    for request in &seen {
        assert_eq!(request.header("user-agent"), "Lab/7");
        assert_eq!(request.header("content-type"), "application/json;charset=UTF8");
        assert_eq!(request.header("accept"), "application/json;charset=UTF8");
        assert_eq!(request.header("x-server-protocol-version"), "10");
        assert_eq!(request.header("accept-encoding"), "gzip");
    }
    let oauth = seen[0].header("authorization");
    assert!(oauth.starts_with("OAuth realm=\"ADM\",oauth_consumer_key=\"CK_visible\""), "{oauth}");
    assert!(oauth.contains("oauth_timestamp=\"1772359200\""), "the clock that was passed in: {oauth}");
    assert_eq!(seen[0].session(), "");
    assert_eq!((seen[1].session(), seen[1].header("authorization")), ("s1", ""));
    assert_eq!(&seen[1].body[..], br#"{"limit":1000}"#);
}

#[tokio::test]
async fn one_session_serves_all_requests_and_each_nonce_is_new() {
    let server = Server::in_session(|seen| {
        if seen.number == 3 { refuse(401, "UNAUTHORIZED") } else { EMPTY_PAGE.into_response() }
    })
    .await;
    let client = server.client();
    for _ in 0..3 {
        client.clone().send(&fetch()).await.expect("a page");
    }
    assert_eq!(client.requests(), 6);
    let seen = server.seen();
    let nonces: Vec<_> = seen.iter().filter(|seen| seen.is_session_request()).collect();
    assert_eq!(nonces.len(), 2);
    assert_ne!(nonces[0].header("authorization"), nonces[1].header("authorization"));
}

#[tokio::test]
async fn a_new_session_on_any_answer_is_used_from_then_on() {
    let server = Server::in_session(|seen| match seen.number {
        1 => with_header(EMPTY_PAGE.into_response(), SESSION_HEADER, "s2"),
        2 => with_header(refuse(400, "INVALID_CURSOR"), SESSION_HEADER, "s3"),
        3 => with_header(EMPTY_PAGE.into_response(), SESSION_HEADER, ""),
        _ => EMPTY_PAGE.into_response(),
    })
    .await;
    let client = server.client();
    client.send(&fetch()).await.expect("a page");
    client.send(&fetch()).await.expect_err("a refusal");
    client.send(&fetch()).await.expect("a page");
    client.send(&fetch()).await.expect("a page");
    let sessions: Vec<_> = server.seen().iter().map(|seen| seen.session().to_owned()).collect();
    assert_eq!(sessions, ["", "s1", "s2", "s3", "s3"]);
}

#[tokio::test]
async fn an_ended_session_is_renewed_and_the_body_sent_again() {
    for (status, body) in
        [(401, "UNAUTHORIZED"), (403, "FORBIDDEN"), (401, "\"UNAUTHORIZED\"\n"), (401, ""), (403, "")]
    {
        let opened = AtomicUsize::new(0);
        let server = Server::start(move |seen| {
            std::future::ready(if seen.is_session_request() {
                session(if opened.fetch_add(1, Ordering::SeqCst) == 0 { "old" } else { "new" })
            } else if seen.session() == "old" && seen.number > 1 {
                refuse(status, body)
            } else {
                r#"{"devices":{"S00000":"SUCCESS"}}"#.into_response()
            })
        })
        .await;
        let client = server.client();
        let request = assign_profile::Request { profile_uuid: ProfileUuid("B1".into()), devices: serials(1) };
        client.send(&request).await.expect("assigned");
        client.send(&request).await.unwrap_or_else(|error| panic!("{status} {body:?}: {error}"));
        let seen = server.seen();
        assert_eq!(seen.len(), 5, "{status} {body:?}: {:?}", server.lines());
        assert_eq!(seen[2].body, seen[4].body);
        assert_eq!(seen[4].session(), "new");
    }
}

#[tokio::test]
async fn a_session_that_apple_refuses_at_once_is_not_renewed_for_ever() {
    let server = Server::in_session(|seen| match seen.number {
        1 => EMPTY_PAGE.into_response(),
        // Even when every refusal brings another session.
        n => with_header(refuse(401, "UNAUTHORIZED"), SESSION_HEADER, &format!("r{n}")),
    })
    .await;
    let client = server.client();
    client.send(&fetch()).await.expect("a page");
    let error = client.send(&fetch()).await.expect_err("a refusal");
    assert!(matches!(error, Error::Session { .. }), "{error}");
    assert!(error.is_retryable());
    let opened = server.seen().iter().filter(|seen| seen.is_session_request()).count();
    assert_eq!(opened, 2, "one to begin with and one renewal");
    assert_eq!(server.seen().len(), 6, "{:?}", server.lines());

    let fresh = Server::in_session(|_| refuse(403, "FORBIDDEN")).await;
    let error = fresh.client().send(&fetch()).await.expect_err("a refusal");
    assert!(matches!(error, Error::Session { .. }), "{error}");
    assert_eq!(fresh.seen().len(), 2);
}

/// L17: a refusal that a new session does not cure is reported after one request, never repeated.
#[tokio::test]
async fn terms_and_token_refusals_do_not_renew_the_session() {
    for (status, body, state) in [
        (403, "T_C_NOT_SIGNED", Some(TokenState::TermsNotSigned)),
        (403, "\"T_C_NOT_SIGNED\"", Some(TokenState::TermsNotSigned)),
        (403, r#"{"code":"T_C_NOT_SIGNED"}"#, Some(TokenState::TermsNotSigned)),
        (403, "ACCESS_DENIED", None),
        (403, "token_rejected", Some(TokenState::Rejected)),
        (401, "token_rejected", Some(TokenState::Rejected)),
        (401, "token_expiredUnauthorized", Some(TokenState::Expired)),
        (403, "signature_invalid", Some(TokenState::Superseded)),
        (403, "<html>Forbidden</html>", None),
        (401, "SOMETHING_ELSE", None),
    ] {
        let server = Server::in_session(move |_| refuse(status, body)).await;
        let client = server.client();
        let error = client.send(&account::Request).await.expect_err("a refusal");
        assert_eq!(error.token_state(), state, "{body}: {error}");
        assert!(!error.is_retryable(), "{body}");
        assert_eq!(server.lines(), ["GET /session", "GET /account"], "{body}");
    }
}

#[tokio::test]
async fn every_refusal_of_a_session_has_its_meaning() {
    use TokenProblem::{Clock, Expired, Nonce, Rejected, Superseded, Unknown};
    for (status, body, expected) in [
        (401, "token_expired", Expired),
        (401, "token_rejected", Rejected),
        (403, "token_rejected\n", Rejected),
        (401, "consumer_key_unknown", Rejected),
        (401, "signature_invalid", Superseded),
        (403, "oauth_problem=signature_invalid", Superseded),
        (401, "timestamp_refused", Clock),
        (401, "nonce_used", Nonce),
        (401, "Unauthorized", Unknown),
        (401, "", Unknown),
        (400, "some words of Apple", Unknown),
    ] {
        let server = Server::start(move |_| std::future::ready(refuse(status, body))).await;
        let error = server.client().send(&fetch()).await.expect_err("a refusal");
        let Error::Token { problem, answer } = &error else { panic!("{status} {body}: {error}") };
        assert_eq!((*problem, answer.status), (expected, status), "{body}");
        assert!(!error.remedy().is_empty());
        assert_eq!(server.lines(), ["GET /session"], "{body}");
    }
}

#[tokio::test]
async fn an_unexplained_refusal_after_the_expiry_is_an_expired_token() {
    let server = Server::start(|_| std::future::ready(refuse(401, ""))).await;
    let (client, clock) = server.client_with(|_| {});
    clock.advance(std::time::Duration::from_secs(400 * 24 * 3600));
    let error = client.send(&fetch()).await.expect_err("a refusal");
    assert_eq!(error.token_state(), Some(TokenState::Expired), "{error}");
}

#[tokio::test]
async fn a_proxy_that_answers_for_apple_does_not_condemn_the_token() {
    for (status, body) in
        [(403, "<html>ACCESS_DENIED by policy</html>"), (404, "no"), (200, "<html>Sign in</html>")]
    {
        let server = Server::start(move |_| std::future::ready(refuse(status, body))).await;
        let error = server.client().send(&fetch()).await.expect_err("no session");
        assert_eq!(error.token_state(), Some(TokenState::Unreachable), "{status} {body}: {error}");
    }
}

#[tokio::test]
async fn an_empty_session_is_an_error() {
    let server = Server::start(|_| std::future::ready(session(""))).await;
    let error = server.client().send(&fetch()).await.expect_err("no session");
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert!(!error.may_have_taken_effect());
}

/// All requests meet the end of the session at the same time; one of them renews it, the others use it.
#[tokio::test]
async fn concurrent_requests_renew_the_session_once() {
    const AT_ONCE: usize = 4;
    let opened = Arc::new(AtomicUsize::new(0));
    let together = Arc::new(Barrier::new(AT_ONCE));
    let count = Arc::clone(&opened);
    let server = Server::start(move |seen| {
        let (opened, together) = (Arc::clone(&count), Arc::clone(&together));
        async move {
            if seen.is_session_request() {
                return session(if opened.fetch_add(1, Ordering::SeqCst) == 0 { "old" } else { "new" });
            }
            if seen.session() == "old" && seen.number > 1 {
                together.wait().await;
                return refuse(401, "UNAUTHORIZED");
            }
            EMPTY_PAGE.into_response()
        }
    })
    .await;
    let (client, _) = server.client_with(|options| options.in_flight = AT_ONCE);
    client.send(&fetch()).await.expect("a page");
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.send(&fetch()).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic").expect("a page");
    }
    assert_eq!(opened.load(Ordering::SeqCst), 2, "one to begin with and one renewal");
    assert_eq!(server.seen().len(), 2 + AT_ONCE + 1 + AT_ONCE);
}

/// The strictest reading of protocol section 2.2: every answer brings a new session and ends all others. Here
/// it begins in the middle, with several requests under way.
#[tokio::test]
async fn many_requests_survive_a_session_that_changes_with_every_answer() {
    const REQUESTS: usize = 80;
    let valid = Arc::new(Mutex::new("s0".to_owned()));
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    let server = Server::start(move |seen| {
        let mut valid = valid.lock().expect("no panic");
        let response = if seen.is_session_request() {
            *valid = format!("s{}", seen.number);
            session(&valid)
        } else if seen.session() != *valid {
            count.fetch_add(1, Ordering::SeqCst);
            refuse(401, "UNAUTHORIZED")
        } else if seen.number < 20 {
            EMPTY_PAGE.into_response()
        } else {
            *valid = format!("s{}", seen.number);
            with_header(EMPTY_PAGE.into_response(), SESSION_HEADER, &valid)
        };
        std::future::ready(response)
    })
    .await;
    let (client, _) = server.client_with(|options| options.in_flight = 4);
    let tasks: Vec<_> = (0..REQUESTS)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.send(&fetch()).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic").expect("a page");
    }
    let refused = refused.load(Ordering::SeqCst);
    assert!(refused < 12, "only those under way at the first change may be refused, not {refused}");
    assert_eq!(server.seen().len() as u64, client.requests());
}
