//! What the client keeps to for every caller.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use adelie_dep::endpoints::{
    assign_profile, define_profile, device_details, disown, fetch_devices, get_profile, remove_profile,
};
use adelie_dep::{AssignMethod, Client, Endpoint, Error};
use adelie_model::ProfileUuid;
use axum::response::IntoResponse;

use crate::support::{EMPTY_PAGE, Server, serials, session, with_header};

async fn refused<E: Endpoint>(client: &Client, request: E) -> Error {
    client.send(&request).await.err().expect("not sent")
}

fn disown(count: usize) -> disown::Request {
    disown::Request::new(
        serials(count),
        disown::IrreversibleDisown::the_devices_leave_the_organization_for_good(),
    )
}

/// L22: no caller gets more than 1000 serial numbers into one request.
#[tokio::test]
async fn more_than_a_thousand_serial_numbers_are_not_sent() {
    let server = Server::in_session(|_| r#"{"devices":{}}"#.into_response()).await;
    let client = server.client();
    let uuid = ProfileUuid("B1".into());
    let refusals = [
        refused(&client, device_details::Request { devices: serials(1001) }).await,
        refused(&client, assign_profile::Request { profile_uuid: uuid.clone(), devices: serials(1001) })
            .await,
        refused(&client, remove_profile::Request { devices: serials(1001), profile_uuid: None }).await,
        refused(&client, disown(1001)).await,
        refused(&client, define_profile::Request { devices: serials(1001), ..Default::default() }).await,
    ];
    for error in refusals {
        assert!(matches!(&error, Error::TooManySerials { count: 1001, .. }), "{error}");
    }
    let empty = [
        refused(&client, device_details::Request::default()).await,
        refused(&client, assign_profile::Request { profile_uuid: uuid.clone(), devices: vec![] }).await,
        refused(&client, remove_profile::Request::default()).await,
        refused(&client, disown(0)).await,
    ];
    for error in empty {
        assert!(matches!(&error, Error::Invalid { .. }), "{error}");
    }
    assert_eq!((server.seen().len(), client.requests()), (0, 0), "nothing was sent");

    let full = assign_profile::Request { profile_uuid: uuid, devices: serials(1000) };
    client.send(&full).await.expect("1000 are allowed");
}

/// L16: a request that had to wait until it may not leave any more is not sent, however far it has come.
#[tokio::test]
async fn a_request_that_comes_too_late_is_not_sent() {
    let server = Server::in_session(|_| r#"{"devices":{}}"#.into_response()).await;
    let client = server.client();
    let late = assign_profile::Request { profile_uuid: ProfileUuid("B1".into()), devices: serials(1) };
    let asked = AtomicUsize::new(0);
    let may_leave = || {
        // The session has been opened by then.
        asked.store(server.seen().len(), Ordering::SeqCst);
        false
    };
    let error = client.send_while(&late, &may_leave).await.expect_err("not sent");
    assert!(matches!(error, Error::Withheld { .. }) && !error.may_have_taken_effect(), "{error}");
    assert_eq!(
        (asked.into_inner(), server.seen().len()),
        (1, 1),
        "a session was opened, and nothing else was sent"
    );
    client.send_while(&late, &|| true).await.expect("it may be sent");
}

#[tokio::test]
async fn no_more_requests_than_allowed_are_under_way_at_once() {
    let under_way = Arc::new(AtomicUsize::new(0));
    let peak = Arc::new(AtomicUsize::new(0));
    let most = Arc::clone(&peak);
    let server = Server::start(move |seen| {
        let (under_way, peak) = (Arc::clone(&under_way), Arc::clone(&peak));
        async move {
            if seen.is_session_request() {
                return session("s1");
            }
            peak.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            under_way.fetch_sub(1, Ordering::SeqCst);
            EMPTY_PAGE.into_response()
        }
    })
    .await;
    let (client, _) = server.client_with(|options| options.in_flight = 2);
    let tasks: Vec<_> = (0..12)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.send(&fetch_devices::Request::default()).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic").expect("a page");
    }
    assert!((1..=2).contains(&most.load(Ordering::SeqCst)), "{most:?} at once");
}

#[tokio::test]
async fn compressed_answers_are_read_and_huge_ones_are_not() {
    let server = Server::in_session(|seen| {
        let text = if seen.number == 1 { EMPTY_PAGE.to_owned() } else { " ".repeat(1 << 20) };
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(text.as_bytes()).expect("memory");
        with_header(encoder.finish().expect("memory").into_response(), "content-encoding", "gzip")
    })
    .await;
    let (client, _) = server.client_with(|options| options.max_answer = 64 << 10);
    client.send(&fetch_devices::Request::default()).await.expect("a page");
    let error = client.send(&fetch_devices::Request::default()).await.expect_err("too large");
    assert!(matches!(&error, Error::Malformed { .. }), "a megabyte in a kilobyte of gzip: {error}");
}

#[tokio::test]
async fn methods_paths_queries_and_bodies_arrive() {
    let server = Server::in_session(|seen| {
        if seen.line.starts_with("GET /") {
            r#"{"profile_uuid":"B 1","url":"https://mdm.example.org"}"#.into_response()
        } else {
            r#"{"devices":{"S00000":"SUCCESS"}}"#.into_response()
        }
    })
    .await;
    let uuid = ProfileUuid("B 1&x".into());
    let (client, _) = server.client_with(|options| options.assign_method = AssignMethod::Put);
    client.send(&get_profile::Request { profile_uuid: uuid.clone() }).await.expect("a profile");
    client
        .send(&assign_profile::Request { profile_uuid: uuid, devices: serials(1) })
        .await
        .expect("assigned");
    client.send(&remove_profile::Request { devices: serials(1), profile_uuid: None }).await.expect("removed");
    let lines = [
        "GET /session",
        "GET /profile?profile_uuid=B+1%26x",
        "PUT /profile/devices",
        "DELETE /profile/devices",
    ];
    assert_eq!(server.lines(), lines);
    assert_eq!(&server.seen()[3].body[..], br#"{"devices":["S00000"]}"#);

    let (client, _) = server.client_with(|options| options.assign_method = AssignMethod::Post);
    client.send(&disown(1)).await.expect("disowned");
    assert_eq!(server.lines()[4..], ["GET /session", "POST /devices/disown"]);
}

#[tokio::test]
async fn a_path_of_the_base_url_is_kept() {
    let server = Server::start(|seen| {
        std::future::ready(match seen.line.as_str() {
            "GET /apple/session" => session("s1"),
            _ => EMPTY_PAGE.into_response(),
        })
    })
    .await;
    let base = server.base.join("/apple/").expect("a URL");
    let (client, _) = server.client_with(|options| options.base_url = base);
    client.send(&fetch_devices::Request::default()).await.expect("a page");
    assert_eq!(server.lines(), ["GET /apple/session", "POST /apple/server/devices"]);
}
