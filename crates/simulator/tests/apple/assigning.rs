use adelie_dep::Endpoint;
use adelie_dep::endpoints::{assign_profile, define_profile, device_details, get_profile};
use adelie_simulator::Settings;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Apple, Client, serials};

async fn assign(client: &Client<'_>, uuid: &str, serials: &[String]) -> Value {
    client.post("/profile/devices", json!({ "profile_uuid": uuid, "devices": serials })).await.json()
}

#[tokio::test]
async fn a_profile_is_defined_read_assigned_and_removed() {
    let apple = Apple::devices(3).await;
    let client = apple.client().await;
    let (pages, cursor) = client.fetch_all(10).await;
    let all = &pages[0];
    let profile = json!({"profile_name": "Macs", "url": "https://mdm.example.org/", "devices": [all[0], "NOPE00000000"],
        "skip_setup_items": ["Siri"], "new_key": {"a": 1}});
    let answer = client.post("/profile", profile).await;
    let defined = define_profile::Request::parse(answer.text.as_bytes()).expect("a definition");
    assert_eq!(answer.json()["devices"], json!({ &all[0]: "SUCCESS", "NOPE00000000": "NOT_ACCESSIBLE" }));
    let uuid = defined.profile_uuid.as_str();
    assert!(uuid.len() == 32 && uuid.bytes().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase()), "{uuid}");
    assert_ne!(client.define().await, uuid, "each call makes a new one");

    let read = client.get(&format!("/profile?profile_uuid={uuid}")).await;
    assert!(get_profile::Request::parse(read.text.as_bytes()).is_ok());
    let read = read.json();
    assert_eq!(
        (&read["new_key"], &read["profile_uuid"], read.get("devices")),
        (&json!({"a": 1}), &json!(uuid), None)
    );
    client.get("/profile").await.refused(400, "PROFILE_UUID_REQUIRED");
    client.get("/profile?profile_uuid=F00").await.refused(400, "NOT_FOUND");

    let body = json!({ "profile_uuid": uuid, "devices": [all[1]] }).to_string();
    let put = client.send(Method::PUT, "/profile/devices", &body).await;
    assert!(assign_profile::Request::parse(put.text.as_bytes()).is_ok());
    assert_eq!(put.json(), json!({ "profile_uuid": uuid, "devices": { &all[1]: "SUCCESS" } }));

    let details = client.post("/devices", json!({ "devices": [all[1], "NOPE00000000"] })).await;
    assert!(device_details::Request::parse(details.text.as_bytes()).is_ok());
    let details = details.json();
    assert_eq!(details["devices"][&all[1]]["profile_status"], "assigned");
    assert_eq!(details["devices"][&all[1]]["profile_uuid"], uuid);
    assert_eq!(details["devices"][&all[1]]["response_status"], "SUCCESS");
    assert_eq!(details["devices"]["NOPE00000000"], json!({"response_status": "NOT_ACCESSIBLE"}));

    let removed =
        client.send(Method::DELETE, "/profile/devices", &json!({ "devices": [all[1]] }).to_string()).await;
    assert_eq!(removed.json(), json!({ "devices": { &all[1]: "SUCCESS" } }));
    // Own calls come back: two assigns and a remove.
    let events = client.post("/devices/sync", json!({ "cursor": cursor })).await.json();
    let seen: Vec<_> = events["devices"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| {
            (event["serial_number"].as_str(), event["op_type"].as_str(), event["profile_status"].as_str())
        })
        .collect();
    let modified = |serial: &'_ String, status| (Some(serial.clone()), Some("modified"), Some(status));
    let seen: Vec<_> =
        seen.into_iter().map(|(serial, op, status)| (serial.map(str::to_owned), op, status)).collect();
    assert_eq!(
        seen,
        [modified(&all[0], "assigned"), modified(&all[1], "assigned"), modified(&all[1], "removed")]
    );
}

#[tokio::test]
async fn wrong_requests_get_their_codes() {
    let apple = Apple::devices(1).await;
    let client = apple.client().await;
    let uuid = client.define().await;
    client.post("/profile", json!({"profile_name": "x"})).await.refused(400, "CONFIG_URL_REQUIRED");
    let flags = json!({"profile_name": "x", "url": "https://a.example.org", "is_mdm_removable": false});
    client.post("/profile", flags).await.refused(400, "FLAGS_INVALID");
    let path = "/profile/devices";
    client.post(path, json!({"profile_uuid": uuid})).await.refused(400, "DEVICE_ID_REQUIRED");
    client.post(path, json!({"devices": ["A"]})).await.refused(400, "PROFILE_UUID_REQUIRED");
    client.post(path, json!({"profile_uuid": "F00", "devices": ["A"]})).await.refused(404, "NOT_FOUND");
    client.send(Method::DELETE, path, "{}").await.refused(400, "DEVICE_ID_REQUIRED");
    client.post("/devices", json!({})).await.refused(400, "DEVICE_ID_REQUIRED");
    client.post("/devices/disown", json!({})).await.refused(400, "DEVICE_ID_REQUIRED");
    client.post("/devices/disown", json!({"devices": ["A"]})).await.refused(403, "ACCESS_DENIED");
    assert_eq!(client.send(Method::PATCH, path, "").await.status, 405);
    assert_eq!(client.get("/devices").await.status, 405);
    assert_eq!(client.get("/nowhere").await.status, 404);
}

/// L21: throttling as each protocol version tells of it.
#[tokio::test]
async fn throttling_by_version() {
    let settings = Settings { devices: 2, throttle_threshold: 1, ..Settings::default() };
    let apple = Apple::start(settings).await;
    let client = apple.client().await;
    let uuid = client.define().await;
    let all = serials(&client.post("/server/devices", json!({})).await.json());
    assert_eq!(assign(&client, &uuid, &all[..1]).await["devices"][&all[0]], "SUCCESS");
    let mixed = assign(&client, &uuid, &all).await;
    assert_eq!(mixed["devices"], json!({ &all[0]: "THROTTLED", &all[1]: "SUCCESS" }));
    assert_eq!(mixed["retry_after_seconds"], 86_400);
    let nine = assign(&client.at(9), &uuid, &all[..1]).await;
    assert_eq!((&nine["devices"][&all[0]], nine.get("retry_after_seconds")), (&json!("THROTTLED"), None));
    assert_eq!(assign(&client.at(8), &uuid, &all[..1]).await["devices"][&all[0]], "FAILED");
    apple.control("advance_clock", json!({"hours": 24})).await;
    let client = apple.client().await;
    assert_eq!(assign(&client, &uuid, &all[..1]).await["devices"][&all[0]], "SUCCESS");
    assert_eq!(apple.simulator.truth_of(&all[0]).expect("there").assigns, 2);
}

/// L20: single devices fail while the request succeeds.
#[tokio::test]
async fn devices_fail_as_often_as_told() {
    let apple = Apple::devices(1).await;
    let client = apple.client().await;
    let uuid = client.define().await;
    let all = serials(&client.post("/server/devices", json!({})).await.json());
    apple.control("fail_devices", json!({"all": true, "times": 2})).await;
    for expected in ["FAILED", "FAILED", "SUCCESS"] {
        assert_eq!(assign(&client, &uuid, &all).await["devices"][&all[0]], expected);
    }
}

#[tokio::test]
async fn a_device_that_was_switched_on_comes_back_pushed() {
    let apple = Apple::devices(1).await;
    let client = apple.client().await;
    let uuid = client.define().await;
    let all = serials(&client.post("/server/devices", json!({})).await.json());
    assign(&client, &uuid, &all).await;
    apple.control("fetch_profile", json!({"all": true})).await;
    let page = client.post("/server/devices", json!({})).await.json();
    assert_eq!(page["devices"][0]["profile_status"], "pushed");
    assert_eq!(page["devices"][0]["profile_push_time"], "2026-03-01T10:00:00Z");
    assign(&client, &uuid, &all).await;
    assert_eq!(apple.simulator.truth_of(&all[0]).expect("there").profile_status, "pushed");
}

#[tokio::test]
async fn apples_own_simulator_is_stricter() {
    let settings = Settings { devices: 1, depsim: true, ..Settings::default() };
    let apple = Apple::start(settings).await;
    let token = apple.token();
    let header = token.header(&apple, "a", 0);
    apple.open(&header).await.refused(400, "\"MALFORMED_REQUEST_BODY\"");
    let request = apple.http.get(format!("{}/session", apple.base)).header("Authorization", header);
    let answer =
        request.header("Content-Type", "application/json;charset=UTF8").send().await.expect("an answer");
    let session: Value = serde_json::from_str(&answer.text().await.expect("text")).expect("JSON");
    let session = session["auth_session_token"].as_str().expect("a session").to_owned();
    let client = Client { apple: &apple, session, version: None };
    let page = client.post("/server/devices", json!({})).await.json();
    assert_eq!(page.get("fetched_until"), None);
    let uuid = client.define().await;
    assert_eq!(uuid.len(), 16);
    let body = json!({ "profile_uuid": uuid, "devices": serials(&page) });
    assert_eq!(client.post("/profile/devices", body.clone()).await.status, 405);
    assert_eq!(client.send(Method::PUT, "/profile/devices", &body.to_string()).await.status, 200);
    client.post("/devices/sync", json!({"cursor": "x"})).await.refused(400, "\"INVALID_CURSOR\"");
}
