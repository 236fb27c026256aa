use std::collections::HashSet;
use std::sync::Arc;

use adelie_dep::endpoints::{
    account, assign_profile, define_profile, device_details, fetch_devices, sync_devices,
};
use adelie_dep::{Client, CursorProblem, DeviceResult, Error, Options, TokenProblem};
use adelie_model::{Clock, Cursor, ProfileUuid, SeededEntropy, SerialNumber};
use adelie_simulator::Settings;
use serde_json::json;

use crate::support::{Apple, Token};

pub(crate) fn client(apple: &Apple, token: &Token, seed: u64) -> Client {
    let options = Options { base_url: apple.base.parse().expect("a URL"), ..Options::default() };
    let entropy = Arc::new(SeededEntropy::new(seed));
    Client::new(token.server_token(), options, Arc::new(apple.clock.clone()), entropy).expect("a client")
}

pub(crate) async fn fetch_all(client: &Client) -> (Vec<SerialNumber>, Cursor) {
    let mut serials = Vec::new();
    let mut request = fetch_devices::Request { cursor: None, limit: Some(1000) };
    loop {
        let page = client.send(&request).await.expect("a page");
        let (cursor, more) = (page.cursor.clone(), page.more_to_follow);
        serials.extend(page.into_devices().into_iter().map(|device| device.serial_number));
        if !more {
            return (serials, cursor);
        }
        request.cursor = Some(cursor);
    }
}

#[tokio::test]
async fn it_goes_the_whole_way_through_rotating_sessions() {
    let settings =
        Settings { devices: 2300, rotate_every: 3, old_session_stays_valid: false, ..Settings::default() };
    let apple = Apple::start(settings).await;
    let client = client(&apple, &apple.token(), 1);
    let account = client.send(&account::Request).await.expect("an account");
    assert_eq!(account.server_name.as_deref(), Some("Lab"));
    let (serials, cursor) = fetch_all(&client).await;
    assert_eq!(serials.iter().collect::<HashSet<_>>().len(), 2300);

    let profile = json!({"profile_name": "All", "url": "https://mdm.example.org/"});
    let profile = profile.as_object().cloned().expect("an object");
    let defined =
        client.send(&define_profile::Request { profile, devices: Vec::new() }).await.expect("defined");
    for devices in serials.chunks(1000) {
        let request =
            assign_profile::Request { profile_uuid: defined.profile_uuid.clone(), devices: devices.to_vec() };
        let answer = client.send(&request).await.expect("assigned");
        assert!(answer.devices.values().all(|result| *result == DeviceResult::Success));
        assert_eq!(answer.devices.len(), devices.len());
    }
    let details =
        client.send(&device_details::Request { devices: serials[..3].to_vec() }).await.expect("details");
    assert_eq!(details.devices.len(), 3);
    let request = sync_devices::Request { cursor, limit: Some(1000) };
    let page = client.send(&request).await.expect("a page");
    assert!(page.more_to_follow, "own assigns come back");
    assert_eq!(page.into_devices().len(), 1000);
    let sessions = apple.simulator.requests().iter().filter(|entry| entry.path == "/session").count();
    assert_eq!(sessions, 1, "rotated sessions are taken over");
}

#[tokio::test]
async fn it_understands_every_refusal() {
    let apple = Apple::devices(10).await;
    let token = apple.token();
    let ours = client(&apple, &token, 2);
    let (_, cursor) = fetch_all(&ours).await;
    let again = fetch_devices::Request { cursor: Some(cursor), limit: None };
    let refused = ours.send(&again).await.expect_err("exhausted");
    assert!(matches!(refused, Error::Cursor { problem: CursorProblem::Exhausted, .. }), "{refused}");
    let unknown = assign_profile::Request {
        profile_uuid: ProfileUuid("F00".to_owned()),
        devices: vec![SerialNumber::from_apple("X".to_owned())],
    };
    let refused = ours.send(&unknown).await.expect_err("unknown profile");
    assert!(matches!(refused, Error::ProfileNotFound { .. }), "{refused}");

    apple.control("set_terms", json!({"state": "unsigned_after_session"})).await;
    let refused = ours.send(&account::Request).await.expect_err("terms");
    assert!(matches!(refused, Error::TermsNotSigned { .. }), "{refused}");
    apple.control("set_terms", json!({"state": "signed"})).await;

    apple.control("add_fault", json!({"path": "/account", "status": 503, "retry_after_date": 90})).await;
    let refused = ours.send(&account::Request).await.expect_err("a pause");
    let until = refused.wait_until().expect("a moment");
    assert_eq!((until - apple.clock.now()).num_seconds(), 90, "{refused}");

    for (state, problem) in [
        ("expired", TokenProblem::Expired),
        ("rejected", TokenProblem::Rejected),
        ("replaced", TokenProblem::Superseded),
    ] {
        apple.control("set_token", json!({ "state": state })).await;
        let fresh = client(&apple, &token, 3);
        let refused = fresh.send(&account::Request).await.expect_err("a bad token");
        assert!(matches!(refused, Error::Token { problem: seen, .. } if seen == problem), "{refused}");
    }
    apple.control("set_token", json!({"state": "live"})).await;
    apple.control("end_sessions", json!({})).await;
    assert!(client(&apple, &token, 4).send(&account::Request).await.is_ok());
}
