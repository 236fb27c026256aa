//! The client over a transport that a test has written: what each outcome means, without network and time.

use std::collections::VecDeque;
use std::error::Error as _;
use std::future::Future;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use adelie_dep::endpoints::{account, assign_profile, beta_tokens, fetch_devices};
use adelie_dep::{
    AppleCode, Client, Delivery, Error, Head, Options, TokenProblem, Transport, TransportError,
};
use adelie_model::{ManualClock, ProfileUuid, SeededEntropy, TokenState};
use async_trait::async_trait;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use chrono::TimeDelta;
use tokio::sync::Notify;

use crate::support::{EMPTY_PAGE, SESSION_HEADER, now, serials, token};

type Outcome = Result<Delivery, TransportError>;

/// Gives the outcomes in their order, after the session, and keeps the requests.
#[derive(Default)]
struct Script {
    outcomes: Mutex<VecDeque<Outcome>>,
    seen: Mutex<Vec<(Request<Bytes>, usize)>>,
}

#[async_trait]
impl Transport for Script {
    async fn round_trip(&self, request: Request<Bytes>, largest_answer: usize) -> Outcome {
        let is_session = request.uri().path() == "/session";
        self.seen.lock().expect("no panic").push((request, largest_answer));
        if is_session {
            return answer(200, r#"{"auth_session_token":"SS_hidden_1"}"#);
        }
        self.outcomes.lock().expect("no panic").pop_front().expect("an outcome for every request")
    }
}

impl Script {
    fn lines(&self) -> Vec<String> {
        let seen = self.seen.lock().expect("no panic");
        seen.iter().map(|(request, _)| format!("{} {}", request.method(), request.uri())).collect()
    }
}

fn scripted(outcomes: impl IntoIterator<Item = Outcome>) -> (Client, Arc<Script>, ManualClock) {
    let script = Script { outcomes: Mutex::new(outcomes.into_iter().collect()), ..Script::default() };
    let script = Arc::new(script);
    let (client, clock) = client_of(Arc::clone(&script) as Arc<dyn Transport>, Options::default());
    (client, script, clock)
}

fn client_of(transport: Arc<dyn Transport>, options: Options) -> (Client, ManualClock) {
    let clock = ManualClock::new(now());
    let entropy = Arc::new(SeededEntropy::new(7));
    let client = Client::with_transport(token(), options, transport, Arc::new(clock.clone()), entropy);
    (client.expect("a client"), clock)
}

fn head(status: u16) -> Head {
    Head { status, headers: HeaderMap::new(), reason: None }
}

fn with(mut head: Head, name: &'static str, value: &'static str) -> Head {
    head.headers
        .insert(HeaderName::from_bytes(name.as_bytes()).expect("a name"), HeaderValue::from_static(value));
    head
}

fn answer(status: u16, body: &'static str) -> Outcome {
    Ok(Delivery { head: head(status), body: Bytes::from_static(body.as_bytes()) })
}

fn cause(kind: ErrorKind) -> std::io::Error {
    std::io::Error::new(kind, "the cable is out")
}

fn broken_off(head: Head) -> TransportError {
    TransportError::NoAnswer { head: Some(Box::new(head)), cause: cause(ErrorKind::ConnectionReset).into() }
}

fn fetch() -> fetch_devices::Request {
    fetch_devices::Request::default()
}

fn assign() -> assign_profile::Request {
    assign_profile::Request { profile_uuid: ProfileUuid("B1".into()), devices: serials(1) }
}

/// Sockets and timers panic in here, so whatever waits waits for the clock or for another request.
fn without_network_and_time<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(test)
}

fn chain(error: &dyn std::error::Error) -> String {
    let below = error.source().map(|source| format!(": {}", chain(source))).unwrap_or_default();
    format!("{error}{below}")
}

#[test]
fn what_has_not_left_has_changed_nothing() {
    without_network_and_time(async {
        let failure = TransportError::unreachable(cause(ErrorKind::ConnectionRefused));
        let (client, ..) = scripted([Err(failure)]);
        let error = client.send(&assign()).await.expect_err("nobody there");
        assert!(matches!(&error, Error::Unreachable { .. }), "{error}");
        assert!(error.is_retryable() && !error.may_have_taken_effect() && error.answer().is_none());
        assert_eq!(error.token_state(), Some(TokenState::Unreachable));
        // The cause is told once.
        assert_eq!(
            chain(&error),
            "POST /profile/devices could not be sent, because Apple cannot be reached: the cable is out"
        );
    });
}

#[test]
fn what_was_not_answered_may_have_changed_something() {
    without_network_and_time(async {
        let lost = || Err(TransportError::no_answer(cause(ErrorKind::ConnectionReset)));
        let (client, ..) = scripted([lost(), lost(), Err(broken_off(head(200)))]);
        let error = client.send(&assign()).await.expect_err("lost");
        assert!(matches!(&error, Error::Ambiguous { writes: true, .. }), "{error}");
        assert!(error.may_have_taken_effect() && error.is_retryable());
        assert_eq!(
            chain(&error),
            "POST /profile/devices was sent and no whole answer came back: the cable is out"
        );
        let error = client.send(&fetch()).await.expect_err("lost");
        assert!(matches!(&error, Error::Ambiguous { writes: false, .. }), "{error}");
        assert!(!error.may_have_taken_effect(), "reading changes nothing");
        let error = client.send(&assign()).await.expect_err("broken off");
        assert!(matches!(&error, Error::Ambiguous { writes: true, .. }), "{error}");
        assert_eq!(client.requests(), 4);
    });
}

#[test]
fn an_answer_that_is_too_large_is_not_apples() {
    without_network_and_time(async {
        let large = || Err(TransportError::TooLarge { head: Box::new(head(200)) });
        let (client, script, _) = scripted([large(), large()]);
        let error = client.send(&assign()).await.expect_err("too large");
        assert!(matches!(&error, Error::Malformed { writes: true, .. }), "{error}");
        assert!(error.may_have_taken_effect());
        assert_eq!(error.answer().map(|answer| answer.status), Some(200));
        assert!(error.source().expect("a reason").to_string().contains("larger"), "{error}");
        assert!(!client.send(&fetch()).await.expect_err("too large").may_have_taken_effect());
        let bounds: Vec<_> = script.seen.lock().expect("no panic").iter().map(|(_, bound)| *bound).collect();
        assert_eq!(bounds, [Options::default().max_answer; 3]);
    });
}

#[test]
fn a_status_has_the_meaning_that_it_has_over_http() {
    type Meaning = fn(&Error) -> bool;
    let cases: [(u16, &str, Meaning); 10] = [
        (400, "MALFORMED_REQUEST_BODY", |error| matches!(error, Error::Refused { .. })),
        (401, "token_rejected", |error| {
            matches!(error, Error::Token { problem: TokenProblem::Rejected, .. })
        }),
        (403, "T_C_NOT_SIGNED", |error| matches!(error, Error::TermsNotSigned { .. })),
        (403, "ACCESS_DENIED", |error| matches!(error, Error::AccessDenied { .. })),
        (404, "", |error| matches!(error, Error::ProfileNotFound { .. })),
        (302, "", |error| matches!(error, Error::Malformed { .. })),
        (429, "", |error| matches!(error, Error::Wait { until: None, may_have_taken_effect: false, .. })),
        (500, "", |error| matches!(error, Error::Server { writes: true, .. })),
        (503, "", |error| matches!(error, Error::Server { writes: true, .. })),
        (200, "", |error| matches!(error, Error::Malformed { writes: true, .. })),
    ];
    without_network_and_time(async {
        for (status, body, meaning) in cases {
            let (client, script, _) = scripted([answer(status, body)]);
            let error = client.send(&assign()).await.expect_err("no success");
            assert!(meaning(&error), "{status} {body}: {error:?}");
            assert_eq!(error.answer().map(|answer| answer.status), Some(status));
            let base = Options::default().base_url;
            assert_eq!(script.lines(), [format!("GET {base}session"), format!("POST {base}profile/devices")]);
        }
        // A session that has ended is renewed once, and the request sent again.
        let page = || answer(200, EMPTY_PAGE);
        let (client, script, _) = scripted([page(), answer(401, "UNAUTHORIZED"), page()]);
        client.send(&fetch()).await.expect("a page");
        client.send(&fetch()).await.expect("a page");
        assert_eq!(script.lines().len(), 5, "{:?}", script.lines());

        let reason = Some("APPLE_SEED_FOR_IT_TURNED_OFF".to_owned());
        let head = Head { reason, ..head(403) };
        let (client, ..) = scripted([Ok(Delivery { head, body: Bytes::from_static(b"no words") })]);
        let error = client.send(&beta_tokens::Request).await.expect_err("switched off");
        assert_eq!(error.code(), Some(&AppleCode::AppleSeedTurnedOff), "{error}");
    });
}

#[test]
fn every_request_carries_what_apple_asks_for() {
    without_network_and_time(async {
        let (client, script, _) = scripted([answer(200, EMPTY_PAGE)]);
        client.send(&fetch()).await.expect("a page");
        let seen = script.seen.lock().expect("no panic");
        for (request, _) in seen.iter() {
            let text = |name: &str| request.headers()[name].to_str().expect("ASCII");
            assert_eq!(text("user-agent"), Options::default().user_agent);
            assert_eq!(text("x-server-protocol-version"), "10");
            assert_eq!(text("content-type"), "application/json;charset=UTF8");
        }
        assert_eq!(seen[1].0.headers()[SESSION_HEADER], "SS_hidden_1");
        let printed = format!("{seen:?}");
        assert!(!printed.contains("hidden") && !printed.contains("oauth_signature"), "{printed}");
    });
}

/// The wish to wait counts as soon as its header is there, whatever becomes of the rest of the answer.
#[test]
fn a_wish_to_wait_counts_even_in_half_an_answer() {
    let wish = || with(head(503), "retry-after", "60");
    let failures = [broken_off(wish()), TransportError::TooLarge { head: Box::new(wish()) }];
    for failure in failures {
        without_network_and_time(async {
            let (client, script, clock) = scripted([Err(failure), answer(200, EMPTY_PAGE)]);
            client.send(&fetch()).await.expect_err("half an answer");
            let error = client.send(&fetch()).await.expect_err("told to wait");
            assert_eq!(error.wait_until(), Some(now() + TimeDelta::seconds(60)), "{error}");
            assert_eq!(script.lines().len(), 2);
            clock.advance(Duration::from_secs(60));
            client.send(&fetch()).await.expect("a page");
        });
    }
}

#[test]
fn no_failure_shows_a_session() {
    let secret = || with(head(200), SESSION_HEADER, "SS_hidden_2");
    without_network_and_time(async {
        for failure in [broken_off(secret()), TransportError::TooLarge { head: Box::new(secret()) }] {
            let shown = format!("{failure} {failure:?}");
            assert!(!shown.contains("hidden"), "{shown}");
            let (client, ..) = scripted([Err(failure)]);
            let error = client.send(&fetch()).await.expect_err("a failure");
            let shown = format!("{} {error:?}", chain(&error));
            assert!(!shown.contains("hidden"), "{shown}");
        }
        let delivery = Delivery { head: secret(), body: Bytes::from_static(b"SS_hidden_3") };
        let shown = format!("{delivery:?}");
        assert!(!shown.contains("hidden"), "{shown}");
    });
}

#[test]
fn options_that_cannot_be_used_are_refused_with_any_transport() {
    let refused = |options: Options| {
        let clock = Arc::new(ManualClock::new(now()));
        let entropy = Arc::new(SeededEntropy::new(7));
        let client = Client::with_transport(token(), options, Arc::new(Script::default()), clock, entropy);
        match client.expect_err("refused") {
            Error::Setting { setting, .. } => setting,
            other => panic!("expected a setting, got {other}"),
        }
    };
    assert_eq!(refused(Options { user_agent: String::new(), ..Options::default() }), "user_agent");
    let base_url = "ftp://example.org".parse().expect("a URL");
    assert_eq!(refused(Options { base_url, ..Options::default() }), "base_url");
}

/// Requests wait for their turn by each other alone: a request that has not been answered holds its lane, and one
/// that is dropped gives it back.
#[test]
fn lanes_and_sessions_need_no_real_time() {
    /// Answers when it is let go.
    #[derive(Default)]
    struct Held {
        asked: Mutex<usize>,
        go: Notify,
    }

    #[async_trait]
    impl Transport for Held {
        async fn round_trip(&self, request: Request<Bytes>, _: usize) -> Outcome {
            if request.uri().path() == "/session" {
                return answer(200, r#"{"auth_session_token":"s1"}"#);
            }
            *self.asked.lock().expect("no panic") += 1;
            self.go.notified().await;
            answer(StatusCode::OK.as_u16(), r#"{"server_name":"Lab"}"#)
        }
    }

    without_network_and_time(async {
        let held = Arc::new(Held::default());
        let options = Options { in_flight: 2, ..Options::default() };
        let (client, _) = client_of(Arc::clone(&held) as Arc<dyn Transport>, options);
        let asked = || *held.asked.lock().expect("no panic") - 1;
        held.go.notify_one();
        client.send(&account::Request).await.expect("an account, and a session for all");
        let mut tasks: VecDeque<_> = (0..4)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.send(&account::Request).await })
            })
            .collect();
        while asked() < 2 {
            tokio::task::yield_now().await;
        }
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert_eq!(asked(), 2, "the others wait");
        // A caller that has crashed.
        tasks.pop_front().expect("a task").abort();
        while asked() < 3 {
            tokio::task::yield_now().await;
        }
        while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
            held.go.notify_one();
            tokio::task::yield_now().await;
        }
        for task in tasks {
            task.await.expect("no panic").expect("an account");
        }
        assert_eq!(asked(), 4);
    });
}
