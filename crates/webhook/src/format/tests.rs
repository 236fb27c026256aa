use chrono::DateTime;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn notice(data: &Value) -> Notice<'_> {
    Notice {
        id: "evt_1",
        kind: "device.added",
        severity: "info",
        at: DateTime::from_timestamp_millis(1_800_000_000_007).expect("a moment"),
        sequence: 42,
        installation: "main",
        server: Some("Büro 1"),
        serial: Some("C02X"),
        data,
    }
}

/// The form with all data, and that with as little as possible.
const FULL: bool = false;
const THIN: bool = true;

fn rendered(format: WebhookFormat, thin: bool, notice: &Notice<'_>) -> (String, &'static str) {
    let rendered = render(format, thin, notice).expect("rendered");
    assert_eq!(size(format, thin, notice).expect("a size"), rendered.body.len());
    (String::from_utf8(rendered.body.to_vec()).expect("text"), rendered.content_type)
}

#[test]
fn standard_has_all_and_thin_only_who_it_is_about() {
    let data = json!({ "model": "Mac", "serial_numbers": ["C02X", "C02Y"] });
    let (body, content_type) = rendered(WebhookFormat::Standard, FULL, &notice(&data));
    assert_eq!(content_type, "application/json");
    assert_eq!(
        body,
        r#"{"type":"device.added","timestamp":"2027-01-15T08:00:00.007Z","id":"evt_1","severity":"info","sequence":42,"mdm_server":"Büro 1","serial_number":"C02X","data":{"model":"Mac","serial_numbers":["C02X","C02Y"]}}"#
    );
    let about_nobody = Notice { server: None, serial: None, ..notice(&data) };
    let (body, _) = rendered(WebhookFormat::Standard, THIN, &about_nobody);
    assert_eq!(
        body,
        r#"{"type":"device.added","timestamp":"2027-01-15T08:00:00.007Z","id":"evt_1","severity":"info","sequence":42,"mdm_server":null,"serial_number":null,"data":{"serial_numbers":["C02X","C02Y"]}}"#
    );
    let (body, _) = rendered(WebhookFormat::Standard, THIN, &notice(&json!({ "model": "Mac" })));
    assert!(body.ends_with(r#""data":{}}"#), "{body}");
    let (body, _) = rendered(WebhookFormat::CloudEvents, THIN, &about_nobody);
    assert!(body.ends_with(r#""data":{"serial_numbers":["C02X","C02Y"]}}"#), "{body}");
}

#[test]
fn cloudevents_has_the_attributes_of_its_specification() {
    let data = json!({ "model": "Mac" });
    let (body, content_type) = rendered(WebhookFormat::CloudEvents, FULL, &notice(&data));
    assert_eq!(content_type, "application/cloudevents+json");
    assert_eq!(
        body,
        r#"{"specversion":"1.0","id":"evt_1","source":"/adelie/main/B%C3%BCro%201","type":"org.adelie.device.added","time":"2027-01-15T08:00:00.007Z","subject":"C02X","datacontenttype":"application/json","sequence":"42","severity":"info","data":{"model":"Mac"}}"#
    );
    let (body, _) =
        rendered(WebhookFormat::CloudEvents, FULL, &Notice { server: None, serial: None, ..notice(&data) });
    assert!(body.contains(r#""source":"/adelie/main/-""#) && !body.contains("subject"), "{body}");
}

#[test]
fn nanodep_gets_pages_as_depsyncer_posts_them() {
    let data = json!({
        "phase": "sync", "cursor": "abc", "fetched_until": "2027-01-15T07:59:00Z", "more_to_follow": true,
        "devices": [{ "op_type": "added", "serial_number": "C02X" }],
    });
    let (body, content_type) = rendered(WebhookFormat::Nanodep, FULL, &notice(&data));
    assert_eq!(content_type, "application/json");
    assert_eq!(
        body,
        r#"{"topic":"dep.SyncDevices","event_id":"evt_1","created_at":"2027-01-15T08:00:00.007Z","device_response_event":{"dep_name":"Büro 1","device_response":{"cursor":"abc","devices":[{"op_type":"added","serial_number":"C02X"}],"fetched_until":"2027-01-15T07:59:00Z","more_to_follow":true}}}"#
    );
    let empty = json!({ "phase": "fetch", "devices": [], "fetched_until": null });
    let (body, _) = rendered(WebhookFormat::Nanodep, FULL, &notice(&empty));
    assert_eq!(
        body,
        r#"{"topic":"dep.FetchDevices","event_id":"evt_1","created_at":"2027-01-15T08:00:00.007Z","device_response_event":{"dep_name":"Büro 1","device_response":{"cursor":"","fetched_until":"0001-01-01T00:00:00Z","more_to_follow":false}}}"#
    );
}

#[test]
fn nanodep_has_no_form_for_anything_else() {
    let error = render(WebhookFormat::Nanodep, FULL, &notice(&json!({ "model": "Mac" })))
        .expect_err("no page")
        .to_string();
    assert!(error.contains("device.added") && error.contains("`phase` is missing"), "{error}");
    let page = json!({ "phase": "sync" });
    let error = size(WebhookFormat::Nanodep, FULL, &Notice { server: None, ..notice(&page) })
        .expect_err("no server")
        .to_string();
    assert!(error.contains("the MDM server is missing"), "{error}");
}

#[test]
fn a_receiver_of_pages_is_tried_out_with_an_empty_one() {
    let test = Notice { kind: "webhook.test", server: None, ..notice(&Value::Null) };
    let (body, _) = rendered(WebhookFormat::Nanodep, FULL, &test);
    let expected = r#""dep_name":"","device_response":{"cursor":"","fetched_until":"0001-01-01T00:00:00Z","more_to_follow":false}"#;
    assert!(body.contains("dep.SyncDevices") && body.contains(expected), "{body}");
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(".{0,8}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_happens_is_valid_json_with_the_same_id_and_data(
        data in prop::collection::btree_map(".{0,8}", value(), 0..5), id in "evt_[a-z0-9]{1,30}",
        server in prop::option::of(".{1,20}"), sequence in any::<i64>(),
    ) {
        let data = Value::Object(data.into_iter().collect());
        let notice = Notice { id: &id, server: server.as_deref(), sequence, ..notice(&data) };
        for format in [WebhookFormat::Standard, WebhookFormat::CloudEvents] {
            let (body, _) = rendered(format, FULL, &notice);
            let read: Value = serde_json::from_str(&body).expect("JSON");
            prop_assert_eq!(&read["id"], &Value::from(id.as_str()));
            prop_assert_eq!(&read["data"], &data);
        }
    }
}
