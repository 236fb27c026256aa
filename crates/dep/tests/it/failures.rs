//! From an answer, or none, to the error that says what to do next.

use std::collections::HashSet;
use std::error::Error as _;
use std::time::Duration;

use adelie_dep::endpoints::{
    account, assign_profile, beta_tokens, define_profile, device_details, fetch_devices, get_profile,
    replacement_details, sync_devices,
};
use adelie_dep::{AppleCode, CursorProblem, Error, Options};
use adelie_model::{Cursor, ProfileUuid, SerialNumber, TokenState};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Server, client, refuse, serials, session, with_header};

fn fetch() -> fetch_devices::Request {
    fetch_devices::Request::default()
}

fn assign() -> assign_profile::Request {
    assign_profile::Request { profile_uuid: ProfileUuid("B1".into()), devices: serials(1) }
}

/// A server that answers the session whole and cuts the connection in the next answer, after `sent` of it.
async fn cutting(sent: &'static str) -> Options {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base_url = format!("http://{}", listener.local_addr().expect("bound")).parse().expect("a URL");
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut head = Vec::new();
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                head.push(stream.read_u8().await.expect("a request"));
            }
            if head.starts_with(b"GET /session ") {
                let body = r#"{"auth_session_token":"s1"}"#;
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.expect("sent");
            } else {
                // The request is read whole, so that closing sends no reset before the answer is out.
                let _ = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut [0; 4096])).await;
                stream.write_all(sent.as_bytes()).await.expect("sent");
            }
            let _ = stream.shutdown().await;
        }
    });
    Options { base_url, ..Options::default() }
}

#[tokio::test]
async fn a_cut_answer_leaves_open_what_has_taken_effect() {
    for sent in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"devices\":{",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"dev\r\n",
    ] {
        let (client, _) = client(cutting(sent).await);
        let error = client.send(&assign()).await.expect_err("cut");
        assert!(matches!(&error, Error::Ambiguous { writes: true, .. }), "{sent:?}: {error}");
        assert!(error.may_have_taken_effect() && error.is_retryable());
        let error = client.send(&fetch()).await.expect_err("cut");
        assert!(matches!(&error, Error::Ambiguous { writes: false, .. }), "{sent:?}: {error}");
        assert!(!error.may_have_taken_effect(), "reading changes nothing");
    }
}

#[tokio::test]
async fn a_request_without_answer_leaves_open_what_has_taken_effect() {
    let server = Server::start(|seen| async move {
        if !seen.is_session_request() {
            std::future::pending::<()>().await;
        }
        session("s1")
    })
    .await;
    let (client, _) = server.client_with(|options| options.request_timeout = Duration::from_millis(300));
    let error = client.send(&assign()).await.expect_err("no answer");
    assert!(matches!(&error, Error::Ambiguous { writes: true, .. }), "{error}");
}

#[tokio::test]
async fn a_closed_port_means_that_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base_url = format!("http://{}", listener.local_addr().expect("bound")).parse().expect("a URL");
    drop(listener);
    let (client, _) = client(Options { base_url, ..Options::default() });
    let error = client.send(&assign()).await.expect_err("nobody there");
    assert!(matches!(&error, Error::Unreachable { .. }), "{error}");
    assert!(error.is_retryable() && !error.may_have_taken_effect());
    assert_eq!(error.token_state(), Some(TokenState::Unreachable));
    // Every cause is told once, down to the system's own word, and none of them with the URL.
    let mut causes = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    let told: HashSet<_> = causes.iter().collect();
    assert_eq!(told.len(), causes.len(), "{causes:?}");
    assert!(causes.last().is_some_and(|cause| cause.contains("onnection refused")), "{causes:?}");
    assert!(!causes.concat().contains("http"), "{causes:?}");
}

/// L9: a success with an empty or malformed body is an error, never an empty list.
#[tokio::test]
async fn a_success_that_is_no_list_is_an_error() {
    for body in [
        "",
        "\n",
        "{}",
        "[]",
        "null",
        r#"{"devices":[]}"#,
        r#"{"devices":"","cursor":"c","more_to_follow":false}"#,
    ] {
        let server = Server::in_session(move |_| body.into_response()).await;
        let client = server.client();
        let error = client.send(&fetch()).await.expect_err("no list");
        assert!(matches!(&error, Error::Malformed { writes: false, .. }), "{body:?}: {error}");
        let sync = sync_devices::Request { cursor: Cursor("c".into()), limit: None };
        let error = client.send(&sync).await.expect_err("no list");
        assert!(matches!(&error, Error::Malformed { .. }), "{body:?}: {error}");
        let error = client.send(&account::Request).await.expect_err("no account");
        assert!(matches!(&error, Error::Malformed { .. }), "{body:?}: {error}");
    }
    let server = Server::in_session(|_| "".into_response()).await;
    let error = server.client().send(&assign()).await.expect_err("no result");
    assert!(error.may_have_taken_effect(), "{error}");
}

#[tokio::test]
async fn cursor_refusals_are_told_apart_in_every_form() {
    for (body, expected) in [
        ("EXPIRED_CURSOR", CursorProblem::Expired),
        ("\"INVALID_CURSOR\"\n", CursorProblem::Invalid),
        (" EXHAUSTED_CURSOR ", CursorProblem::Exhausted),
        (r#"{"code":"CURSOR_REQUIRED"}"#, CursorProblem::Required),
    ] {
        let server = Server::in_session(move |_| refuse(400, body)).await;
        let error = server.client().send(&fetch()).await.expect_err("a refusal");
        let Error::Cursor { problem, .. } = &error else { panic!("{body}: {error}") };
        assert_eq!(*problem, expected);
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn an_unknown_profile_is_found_by_status_or_by_code() {
    let get = get_profile::Request { profile_uuid: ProfileUuid("B1".into()) };
    for (status, body) in [
        (404, ""),
        (404, "NOT_FOUND"),
        (400, "PROFILE_NOT_FOUND"),
        (400, "\"PROFILE_NOT_FOUND\""),
        (400, "NOT_FOUND"),
    ] {
        let server = Server::in_session(move |_| refuse(status, body)).await;
        let client = server.client();
        let error = client.send(&assign()).await.expect_err("unknown");
        assert!(matches!(&error, Error::ProfileNotFound { .. }), "{status} {body}: {error}");
        let error = client.send(&get).await.expect_err("unknown");
        assert!(matches!(&error, Error::ProfileNotFound { .. }), "{status} {body}: {error}");
    }
    let server = Server::in_session(|_| refuse(404, "<html>no such page</html>")).await;
    let error = server.client().send(&assign()).await.expect_err("no Apple");
    assert!(matches!(&error, Error::Refused { .. }), "a web server's page says nothing of profiles: {error}");
}

#[tokio::test]
async fn a_refused_profile_says_what_is_wrong_with_it() {
    for (body, words) in [
        ("CONFIG_NAME_REQUIRED", "profile_name"),
        ("\"FLAGS_INVALID\"", "is_supervised"),
        ("NOT_FOUND", "serial number"),
        ("NEW_RULE_INVALID", "NEW_RULE_INVALID"),
    ] {
        let server = Server::in_session(move |_| refuse(400, body)).await;
        let error = server.client().send(&define_profile::Request::default()).await.expect_err("a refusal");
        assert!(matches!(&error, Error::ProfileRefused { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_refused_user_agent_is_named() {
    for body in ["USER_AGENT_INVALID", "USER_AGENT_MISSING"] {
        let server = Server::start(move |_| std::future::ready(refuse(400, body))).await;
        let error = server.client().send(&define_profile::Request::default()).await.expect_err("a refusal");
        assert!(matches!(&error, Error::UserAgent { .. }), "{error}");
        assert!(error.to_string().contains("Adelie/"), "{error}");
    }
}

#[tokio::test]
async fn outages_leave_open_what_a_change_has_done() {
    for (status, body) in [(500, ""), (500, "Internal Server Error"), (502, "<html>"), (504, "")] {
        let server = Server::in_session(move |_| refuse(status, body)).await;
        let client = server.client();
        let error = client.send(&define_profile::Request::default()).await.expect_err("an outage");
        assert!(matches!(&error, Error::Server { .. }), "{error}");
        assert!(error.may_have_taken_effect() && error.is_retryable());
        assert!(!client.send(&fetch()).await.expect_err("an outage").may_have_taken_effect());
    }
    let server = Server::start(|_| std::future::ready(refuse(500, ""))).await;
    let error = server.client().send(&assign()).await.expect_err("an outage");
    assert!(!error.may_have_taken_effect(), "only the session was asked for: {error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server =
        Server::in_session(|_| with_header(refuse(302, ""), "location", "https://portal.example.org/login"))
            .await;
    let error = server.client().send(&fetch()).await.expect_err("a redirect");
    assert!(matches!(&error, Error::Malformed { .. }), "{error}");
    assert!(error.to_string().contains("portal.example.org"), "{error}");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_code_in_the_reason_phrase_or_under_a_200_is_found() {
    let reason = |mut response: Response, text: &'static [u8]| {
        response.extensions_mut().insert(hyper::ext::ReasonPhrase::from_static(text));
        response
    };
    let server =
        Server::in_session(move |_| reason(refuse(403, "no words"), b"APPLE_SEED_FOR_IT_TURNED_OFF")).await;
    let error = server.client().send(&beta_tokens::Request).await.expect_err("switched off");
    assert_eq!(error.code(), Some(&AppleCode::AppleSeedTurnedOff), "{error}");
    assert!(matches!(&error, Error::Refused { .. }), "{error}");

    let server = Server::in_session(|_| "NOT_FOUND".into_response()).await;
    let error =
        server.client().send(&device_details::Request { devices: serials(1) }).await.expect_err("nothing");
    assert_eq!(error.code(), Some(&AppleCode::NotFound), "{error}");

    let server = Server::in_session(|_| refuse(404, "DEVICE_NOT_FOUND")).await;
    let request = replacement_details::Request { device: SerialNumber::from_apple("A1".into()) };
    let error = server.client().send(&request).await.expect_err("unknown");
    assert!(matches!(&error, Error::DeviceNotFound { .. }), "{error}");
}

/// Whatever a proxy repeats and whatever fails: no secret is in any text that is printed.
#[tokio::test]
async fn no_text_has_a_secret() {
    let echo = |seen: &crate::support::Seen| {
        let text = format!(
            "debug: {} {} AT_hidden_2 CS_hidden_1 AS_hidden_3",
            seen.session(),
            seen.header("authorization")
        );
        (StatusCode::BAD_REQUEST, text).into_response()
    };
    let server = Server::start(move |seen| {
        std::future::ready(if seen.is_session_request() { session("SS_hidden_4") } else { echo(&seen) })
    })
    .await;
    let client = server.client();
    let mut texts = vec![format!("{client:?}")];
    let mut note = |error: Error| texts.push(format!("{error} {error:?} {}", error.remedy()));
    note(client.send(&fetch()).await.expect_err("a refusal"));

    let server = Server::start(move |seen| std::future::ready(echo(&seen))).await;
    note(server.client().send(&fetch()).await.expect_err("a refusal"));
    let server = Server::start(|_| std::future::ready(r#"["SS_hidden_4"]"#.into_response())).await;
    note(server.client().send(&fetch()).await.expect_err("no session"));
    let server =
        Server::start(|_| std::future::ready(r#"{"auth_session_token":["SS_hidden_4"]}"#.into_response()))
            .await;
    note(server.client().send(&fetch()).await.expect_err("no session"));
    let server = Server::in_session(|_| r#"{"betaEnrollmentTokens":"BT_hidden_5"}"#.into_response()).await;
    note(server.client().send(&beta_tokens::Request).await.expect_err("no tokens"));

    let server = Server::start(|seen| {
        let body = r#"{"devices":"SS_hidden_4","more_to_follow":false,"cursor":"c"}"#;
        std::future::ready(if seen.is_session_request() {
            session("SS_hidden_4")
        } else {
            body.into_response()
        })
    })
    .await;
    note(server.client().send(&fetch()).await.expect_err("no list"));

    for text in texts {
        assert!(!text.contains("hidden"), "{text}");
        assert!(text.contains("CK_visible") || !text.starts_with("Client"), "{text}");
    }
}

/// L46: a proxy that repeats what it was sent, in whatever way, puts no secret into an error.
#[tokio::test]
async fn what_a_proxy_repeats_is_in_no_error() {
    type Repeat = fn(&str) -> Response;
    let ways: [Repeat; 5] = [
        |sent| (StatusCode::BAD_GATEWAY, sent.to_owned()).into_response(),
        // The whole body is one word, as a code of Apple's is.
        |sent| (StatusCode::BAD_REQUEST, sent.to_owned()).into_response(),
        |sent| (StatusCode::OK, format!("{{\"devices\": {:?}}}", sent)).into_response(),
        |sent| with_header(StatusCode::FOUND.into_response(), "location", &format!("/login?for={sent}")),
        |sent| (StatusCode::BAD_REQUEST, format!("{}{sent}", "x ".repeat(90))).into_response(),
    ];
    for (place, repeat) in ways.into_iter().enumerate() {
        let server = Server::start(move |seen| {
            let response =
                if seen.is_session_request() { session("session-hidden-4") } else { repeat(seen.session()) };
            std::future::ready(response)
        })
        .await;
        let error = server.client().send(&fetch()).await.expect_err("refused");
        assert!(!format!("{error} {error:?}").contains("hidden"), "{place}: {error:?}");

        let server = Server::start(move |seen| {
            let (_, signature) =
                seen.header("authorization").split_once("oauth_signature=\"").expect("signed");
            let signature = signature.split('"').next().expect("its end").to_owned();
            std::future::ready(repeat(&signature))
        })
        .await;
        let error = server.client().send(&fetch()).await.expect_err("refused");
        let seen = server.seen().remove(0);
        let header = seen.header("authorization").to_owned();
        let signature = header.split("oauth_signature=\"").nth(1).and_then(|rest| rest.split('"').next());
        let signature = signature.expect("a signature");
        assert!(!format!("{error} {error:?}").contains(&signature[..8]), "{place}: {error:?}");
    }
}
