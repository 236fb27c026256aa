use std::time::Duration;

use adelie_simulator::{Scenario, Settings};
use serde_json::json;

use crate::support::{Apple, serials};

#[tokio::test]
async fn wrong_commands_say_what_is_right_and_change_nothing() {
    let apple = Apple::devices(3).await;
    for (command, arguments, status, words) in [
        ("add_devices", json!({"cuont": 5}), 400, vec!["`cuont`", "`count`"]),
        ("add_devices", json!({}), 400, vec!["`count`", "`serials`"]),
        ("add_devices", json!({"server": "Nobody", "count": 1}), 404, vec!["Nobody"]),
        ("add_devices", json!({"serials": ["GOOD00000001", "B D"]}), 400, vec!["B D"]),
        ("add_devices", json!({"count": 1, "device_family": "Toaster"}), 400, vec!["Toaster", "iPad"]),
        ("remove_devices", json!({}), 400, vec!["`serials`", "`all"]),
        ("remove_devices", json!({"serials": ["NOPE"]}), 404, vec!["NOPE"]),
        ("add_server", json!({"name": "Lab"}), 409, vec!["Lab"]),
        ("add_fault", json!({"times": 2}), 400, vec!["status", "cut"]),
        ("settings", json!({"latency": 2}), 400, vec!["`latency`", "latency_ms"]),
        ("explode", json!({}), 404, vec!["explode", "add_devices"]),
    ] {
        let answer = apple.control(command, arguments).await;
        assert_eq!(answer.status.as_u16(), status, "{command}: {}", answer.text);
        let error = answer.json()["error"].as_str().expect("an error").to_owned();
        assert!(words.iter().all(|word| error.contains(word)), "{command}: {error}");
    }
    assert_eq!(apple.simulator.truth("Lab").expect("Lab").len(), 3);
}

#[tokio::test]
async fn the_log_and_the_truth_can_be_read() {
    let apple = Apple::devices(30).await;
    let client = apple.client().await;
    client.post("/server/devices", json!({"limit": 10})).await;
    client.post("/devices/sync", json!({})).await;
    let log = apple.look("log?after=1").await;
    assert_eq!(log["total"], 3);
    let page = &log["requests"][0];
    assert_eq!(
        (&page["path"], &page["devices"], &page["server"]),
        (&json!("/server/devices"), &json!(10), &json!("Lab"))
    );
    assert_eq!((&page["user_agent"], &page["protocol_version"]), (&json!("simulator-test/1"), &json!("10")));
    assert_eq!(
        (&log["requests"][1]["error"], &log["requests"][1]["status"]),
        (&json!("CURSOR_REQUIRED"), &json!(400))
    );
    let state = apple.look("state").await;
    assert_eq!(state["requests_by_outcome"]["POST /devices/sync 400"], 1);
    assert_eq!(state["servers"][0]["devices"], 30);

    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = apple.look(&format!("devices?server=Lab&limit=7{after}")).await;
        seen.extend(serials(&page));
        match page["next_after"].as_str() {
            Some(serial) => after = format!("&after={serial}"),
            None => break,
        }
    }
    let truth: Vec<_> =
        apple.simulator.truth("Lab").expect("Lab").into_iter().map(|device| device.serial_number).collect();
    assert_eq!(seen, truth);
}

/// L5, L12: drift, and fields that are absent, null or empty.
#[tokio::test]
async fn devices_change_behind_the_clients_back() {
    let apple = Apple::devices(1).await;
    let client = apple.client().await;
    let (_, cursor) = client.fetch_all(10).await;
    let set = json!({"profile_status": "removed", "profile_uuid": "F00F", "color": null, "asset_tag": "", "brand_new": [1]});
    apple.control("change_devices", json!({"all": true, "set": set, "drop": ["description"]})).await;
    let page = client.post("/devices/sync", json!({ "cursor": cursor })).await.json();
    let device = &page["devices"][0];
    assert_eq!(
        (&device["op_type"], &device["profile_status"], &device["profile_uuid"]),
        (&json!("modified"), &json!("removed"), &json!("F00F"))
    );
    assert_eq!((device.get("color"), device.get("asset_tag")), (Some(&json!(null)), Some(&json!(""))));
    assert_eq!((device.get("description"), &device["brand_new"]), (None, &json!([1])));
}

/// L5: somebody takes a profile away, as null or as an empty text; one that is assigned later is seen again.
#[tokio::test]
async fn a_profile_that_is_taken_away_can_be_assigned_again() {
    let apple = Apple::devices(1).await;
    let client = apple.client().await;
    let (pages, _) = client.fetch_all(10).await;
    let serial = &pages[0][0];
    for (number, nothing) in [json!(null), json!("")].into_iter().enumerate() {
        let uuid = format!("F00F{number}");
        for set in [
            json!({"profile_status": "assigned", "profile_uuid": "BEFORE"}),
            json!({ "profile_uuid": nothing }),
        ] {
            apple.control("change_devices", json!({"serials": [serial], "set": set})).await;
        }
        let truth = apple.simulator.truth("Lab").expect("Lab").remove(0);
        assert_eq!((truth.profile_uuid, truth.profile_status.as_str()), (None, "empty"), "{nothing}");
        let set = json!({"profile_status": "assigned", "profile_uuid": uuid});
        apple.control("change_devices", json!({"serials": [serial], "set": set})).await;
        let answer = client.post("/devices", json!({ "devices": [serial] })).await.json();
        assert_eq!(answer["devices"][serial.as_str()]["profile_uuid"], json!(uuid), "{answer}");
    }
}

/// L4: events of one serial in one page, with equal dates and odd words.
#[tokio::test]
async fn events_come_as_they_are_given() {
    let apple = Apple::devices(1).await;
    let client = apple.client().await;
    let (pages, cursor) = client.fetch_all(10).await;
    let serial = &pages[0][0];
    let date = "2026-03-02T08:00:01Z";
    let events = json!([
        {"serial": serial, "op_type": "modified", "op_date": date, "set": {"profile_status": "removed"}},
        {"serial": serial, "op_type": "teleported", "op_date": date, "drop": ["op_date"]},
    ]);
    assert_eq!(apple.control("inject_events", json!({ "events": events })).await.status, 200);
    let page = client.post("/devices/sync", json!({ "cursor": cursor })).await.json();
    let (first, second) = (&page["devices"][0], &page["devices"][1]);
    assert_eq!((&first["op_date"], &first["profile_status"]), (&json!(date), &json!("removed")));
    assert_eq!((&second["op_type"], second.get("op_date")), (&json!("teleported"), None));
}

#[tokio::test]
async fn scenario_steps_happen_in_simulated_time() {
    let text = "[simulator]\ndevices = 2\n\
        [[step]]\naction = \"add_server\"\nname = \"School\"\ndevices = 1\n\
        [[step]]\nafter_seconds = 60\naction = \"add_devices\"\nserver = \"Lab\"\ncount = 3\n\
        [[step]]\nafter_seconds = 60\naction = \"set_terms\"\nserver = \"Nobody\"\nstate = \"unsigned\"\n";
    let scenario = Scenario::parse(text, "test.toml").expect("a scenario");
    let apple = Apple::start(scenario.apply(&Settings::default()).expect("applies")).await;
    let count = |server: &str| apple.simulator.truth(server).expect("there").len();
    assert_eq!((count("Lab"), count("School")), (2, 1));
    apple.simulator.advance_clock(Duration::from_secs(59));
    assert_eq!(count("Lab"), 2);
    apple.simulator.advance_clock(Duration::from_secs(1));
    assert_eq!(count("Lab"), 5);
    let state = apple.simulator.state();
    assert_eq!(state["step_errors"].as_array().map(Vec::len), Some(1), "{}", state["step_errors"]);
}

#[tokio::test]
async fn the_same_seed_makes_the_same_organization() {
    let settings = |seed| Settings { devices: 50, seed, ..Settings::default() };
    let (one, two, other) =
        (Apple::start(settings(5)).await, Apple::start(settings(5)).await, Apple::start(settings(6)).await);
    let truth = |apple: &Apple| apple.simulator.truth("Lab").expect("Lab");
    assert_eq!(truth(&one), truth(&two));
    assert_ne!(truth(&one), truth(&other));
    let key = |apple: &Apple| apple.simulator.state()["servers"][0]["consumer_key"].clone();
    assert_eq!(key(&one), key(&two));
}

#[tokio::test]
async fn pages_can_be_compressed() {
    let apple = Apple::start(Settings { devices: 100, gzip: true, ..Settings::default() }).await;
    let client = apple.client().await;
    let plain = client.post("/server/devices", json!({})).await;
    assert_eq!(plain.header("content-encoding"), None, "this client does not ask for it");
    let session = &client.session;
    let request = apple.http.post(format!("{}/server/devices", apple.base)).body("{}");
    let request = request.header("x-adm-auth-session", session).header("Accept-Encoding", "gzip");
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.headers().get("content-encoding").and_then(|v| v.to_str().ok()), Some("gzip"));
    assert!(answer.bytes().await.expect("a body").len() < plain.text.len() / 2);
}
