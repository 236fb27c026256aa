use std::collections::HashSet;
use std::time::Duration;

use adelie_dep::{DevicePage, Endpoint};
use adelie_model::{OpType, ProfileStatus};
use adelie_simulator::{Arrival, Departure, Settings};
use serde_json::{Value, json};

use crate::support::{Apple, serials};

#[tokio::test]
async fn all_pages_then_sync() {
    let apple = Apple::devices(2500).await;
    let client = apple.client().await;
    let (pages, cursor) = client.fetch_all(1000).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [1000, 1000, 500]);
    let all: HashSet<String> = pages.into_iter().flatten().collect();
    let truth: HashSet<String> =
        apple.simulator.truth("Lab").expect("Lab").into_iter().map(|device| device.serial_number).collect();
    assert_eq!(all, truth);

    let again = client.post("/server/devices", json!({ "cursor": cursor })).await;
    again.refused(400, "EXHAUSTED_CURSOR");
    let quiet = client.post("/devices/sync", json!({ "cursor": cursor })).await.json();
    assert_eq!((&quiet["devices"], &quiet["more_to_follow"]), (&json!([]), &json!(false)));
    assert_ne!(quiet["cursor"], json!(cursor));

    let added = apple.simulator.add_devices("Lab", 3).expect("added");
    apple.simulator.remove_devices("Lab", &added[..1], Departure::Deleted).expect("removed");
    let page = client.post("/devices/sync", json!({ "cursor": quiet["cursor"], "limit": 1000 })).await;
    let page: DevicePage =
        adelie_dep::endpoints::sync_devices::Request::parse(page.text.as_bytes()).expect("a page");
    let events: Vec<_> = page
        .into_devices()
        .into_iter()
        .map(|d| (d.serial_number.to_string(), d.op_type.expect("an op")))
        .collect();
    let expected = [
        (added[0].clone(), OpType::Added),
        (added[1].clone(), OpType::Added),
        (added[2].clone(), OpType::Added),
        (added[0].clone(), OpType::Deleted),
    ];
    assert_eq!(events, expected);
}

#[tokio::test]
async fn pages_parse_with_the_clients_types_at_every_version() {
    let apple = Apple::devices(300).await;
    let client = apple.client().await;
    let uuid = client.define().await;
    let first = serials(&client.post("/server/devices", json!({})).await.json());
    client.post("/profile/devices", json!({ "profile_uuid": uuid, "devices": first[..50] })).await;
    for version in 1..=10 {
        let answer = client.at(version).post("/server/devices", json!({ "limit": 1000 })).await;
        assert_eq!(answer.header("content-type"), Some("application/json;charset=UTF8"));
        let page: DevicePage =
            adelie_dep::endpoints::fetch_devices::Request::parse(answer.text.as_bytes()).expect("a page");
        let devices = page.into_devices();
        assert_eq!(devices.len(), 300);
        assert!(
            devices.iter().all(|device| device.op_type.is_none() && device.device_assigned_date.is_some())
        );
        assert!(devices.iter().all(|device| device.device_family.is_some() == (version >= 2)));
        let ipads: Vec<_> =
            devices.iter().filter(|d| d.model.as_deref().is_some_and(|m| m.starts_with("iPad"))).collect();
        let os = match version {
            1 => None,
            2..=6 => Some("iOS"),
            _ => Some("iPadOS"),
        };
        assert!(
            !ipads.is_empty() && ipads.iter().all(|device| device.os.as_deref() == os),
            "version {version}"
        );
        assert_eq!(devices.iter().any(|device| device.extra.get("imei").is_some()), version == 10);
        let assigned = devices.iter().filter(|d| d.profile_status == Some(ProfileStatus::Assigned)).count();
        assert_eq!(assigned, 50);
        assert!(devices.windows(2).all(|pair| pair[0].device_assigned_date <= pair[1].device_assigned_date));
    }
}

#[tokio::test]
async fn limits_have_a_default_and_a_maximum() {
    let apple = Apple::devices(1500).await;
    let client = apple.client().await;
    let size = async |body: Value| serials(&client.post("/server/devices", body).await.json()).len();
    assert_eq!(size(json!({})).await, 100);
    assert_eq!(size(json!({"limit": 5000})).await, 1000);
    assert_eq!(size(json!({"limit": 7, "cursor": ""})).await, 7);
    assert_eq!(size(json!({"limit": 0, "cursor": null})).await, 100);
    let sizes: Vec<_> = client.fetch_all(700).await.0.iter().map(Vec::len).collect();
    assert_eq!(sizes, [700, 700, 100]);
    client.post("/server/devices", json!({"limit": "x"})).await.refused(400, "MALFORMED_REQUEST_BODY");
    client.send(reqwest::Method::POST, "/server/devices", "{").await.refused(400, "MALFORMED_REQUEST_BODY");
}

#[tokio::test]
async fn a_page_shows_changes_at_once() {
    let apple = Apple::devices(30).await;
    let client = apple.client().await;
    let before = serials(&client.post("/server/devices", json!({})).await.json());
    apple.simulator.remove_devices("Lab", &before[3..5], Departure::Silent).expect("removed");
    let new = apple.simulator.add_devices("Lab", 1).expect("added");
    let after = serials(&client.post("/server/devices", json!({})).await.json());
    let expected: Vec<String> = before[..3].iter().chain(&before[5..]).chain(&new).cloned().collect();
    assert_eq!(after, expected);
}

#[tokio::test]
async fn cursors_fail_with_their_codes() {
    let apple = Apple::devices(5).await;
    let client = apple.client().await;
    client.post("/devices/sync", json!({})).await.refused(400, "CURSOR_REQUIRED");
    client.post("/devices/sync", json!({"cursor": "zzz"})).await.refused(400, "INVALID_CURSOR");
    client.post("/server/devices", json!({"cursor": "zzz"})).await.refused(400, "INVALID_CURSOR");
    let (_, cursor) = client.fetch_all(100).await;
    apple.control("advance_clock", json!({"days": 7})).await;
    let client = apple.client().await;
    let kept = client.post("/devices/sync", json!({ "cursor": cursor })).await.json();
    apple.clock.advance(Duration::from_secs(1));
    client.post("/devices/sync", json!({ "cursor": cursor })).await.refused(400, "EXPIRED_CURSOR");
    let sync = async || client.post("/devices/sync", json!({ "cursor": kept["cursor"] })).await;
    assert_eq!(sync().await.status, 200);
    apple.control("spoil_cursors", json!({})).await;
    sync().await.refused(400, "EXPIRED_CURSOR");
    apple.control("spoil_cursors", json!({"state": "invalid"})).await;
    sync().await.refused(400, "INVALID_CURSOR");
    let (_, fresh) = client.fetch_all(100).await;
    assert_eq!(client.post("/devices/sync", json!({ "cursor": fresh })).await.status, 200);
}

/// L6: a moved device may arrive as `modified` only, with profile status `removed`.
#[tokio::test]
async fn devices_move() {
    let apple = Apple::devices(4).await;
    apple.simulator.add_server("School").expect("a server");
    let (lab, school) = (apple.client_of("Lab").await, apple.client_of("School").await);
    let (pages, lab_cursor) = lab.fetch_all(10).await;
    let (_, school_cursor) = school.fetch_all(10).await;
    let serials = pages[0].clone();
    apple.simulator.move_devices("Lab", "School", &serials[..1], Arrival::Added).expect("moved");
    apple.simulator.move_devices("Lab", "School", &serials[1..2], Arrival::Modified).expect("moved");
    let left = lab.post("/devices/sync", json!({ "cursor": lab_cursor })).await.json();
    assert_eq!(left["devices"][0]["op_type"], "deleted");
    assert_eq!(left["devices"][1]["op_type"], "deleted");
    let came = school.post("/devices/sync", json!({ "cursor": school_cursor })).await.json();
    assert_eq!(
        (&came["devices"][0]["op_type"], &came["devices"][0]["profile_status"]),
        (&json!("added"), &json!("empty"))
    );
    assert_eq!(
        (&came["devices"][1]["op_type"], &came["devices"][1]["profile_status"]),
        (&json!("modified"), &json!("removed"))
    );
    let details = lab.post("/devices", json!({ "devices": serials[..1] })).await.json();
    assert_eq!(details["devices"][&serials[0]], json!({"response_status": "NOT_ACCESSIBLE"}));
    assert_eq!(apple.simulator.truth_of(&serials[0]).expect("there").server.as_deref(), Some("School"));
}

/// L7, L8: devices that sync never tells of, and devices that leave without a word.
#[tokio::test]
async fn some_changes_are_never_told() {
    let apple = Apple::devices(2).await;
    let client = apple.client().await;
    let (pages, cursor) = client.fetch_all(10).await;
    apple.control("add_devices", json!({"serials": ["SILENT000001"], "arrival": "silent"})).await;
    apple.control("remove_devices", json!({"serials": [pages[0][0]], "departure": "silent"})).await;
    apple.control("withhold_devices", json!({"serials": [pages[0][1]]})).await;
    apple.control("change_devices", json!({"serials": [pages[0][1]], "set": {"asset_tag": "7"}})).await;
    let page = client.post("/devices/sync", json!({ "cursor": cursor })).await.json();
    assert_eq!(page["devices"], json!([]));
    assert_eq!(client.fetch_all(10).await.0, [[pages[0][1].clone(), "SILENT000001".to_owned()]]);
}

#[tokio::test]
async fn an_event_shows_after_its_delay() {
    let settings = Settings { devices: 1, event_delay: Duration::from_secs(300), ..Settings::default() };
    let apple = Apple::start(settings).await;
    let client = apple.client().await;
    let (_, cursor) = client.fetch_all(10).await;
    apple.simulator.add_devices("Lab", 1).expect("added");
    let sync =
        async || serials(&client.post("/devices/sync", json!({ "cursor": cursor })).await.json()).len();
    assert_eq!(sync().await, 0);
    apple.simulator.advance_clock(Duration::from_secs(300));
    assert_eq!(sync().await, 1);
}
