use adelie_dep::Endpoint;
use adelie_dep::endpoints::{
    account, account_driven_enrollment, activation_lock, beta_tokens, replacement_details,
};
use adelie_simulator::Settings;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Apple, Token, key_pair, serials};

#[tokio::test]
async fn the_account_grows_with_the_version() {
    let apple = Apple::devices(1).await;
    let client = apple.client().await;
    let answer = client.get("/account").await;
    let account = account::Request::parse(answer.text.as_bytes()).expect("an account");
    assert_eq!(account.server_name.as_deref(), Some("Lab"));
    assert_eq!(account.limit_for("/server/devices"), 1000);
    assert!(account.extra.is_empty() && account.org_id.is_some());
    assert_eq!(account.server_uuid.as_ref().map(String::len), Some(32));
    let two = client.at(2).get("/account").await.json();
    assert!(two.get("urls").is_none() && two.get("org_id").is_none());
}

#[tokio::test]
async fn a_token_over_the_control_api() {
    let apple = Apple::devices(1).await;
    let (key, certificate) = key_pair();
    let pem = certificate.to_pem().expect("pem");
    let url = format!("{}/_control/servers/Lab/token?cipher=aes256&piece=100", apple.base);
    let response = apple.http.post(&url).body(pem).send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    let token = Token::decrypt(&response.bytes().await.expect("a file"), &key, &certificate);
    assert_eq!(apple.open(&token.header(&apple, "a", 0)).await.status, 200);

    let refused = Answer::of(apple.http.post(&url).body("hello").send().await.expect("an answer")).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("no certificate"), "{}", refused.text);
    assert_eq!(apple.open(&token.header(&apple, "b", 0)).await.status, 200, "the token before is still good");
    let wrong = format!("{}/_control/servers/Lab/token?cypher=aes256", apple.base);
    let refused = Answer::of(apple.http.post(wrong).body("x").send().await.expect("an answer")).await;
    assert!(refused.status == 400 && refused.text.contains("cypher"), "{}", refused.text);
    let nobody = format!("{}/_control/servers/Nobody/token", apple.base);
    let pem = certificate.to_pem().expect("pem");
    assert_eq!(apple.http.post(nobody).body(pem).send().await.expect("an answer").status(), 404);
}

#[tokio::test]
async fn locks_replacements_beta_tokens_and_discovery() {
    let apple = Apple::devices(0).await;
    apple.control("add_devices", json!({"serials": ["MAC000000001"], "device_family": "Mac"})).await;
    apple.control("add_devices", json!({"serials": ["ATV000000001"], "device_family": "AppleTV"})).await;
    let client = apple.client().await;
    let lock = async |serial: &str| {
        let answer = client.post("/device/activationlock", json!({ "device": serial })).await;
        assert!(activation_lock::Request::parse(answer.text.as_bytes()).is_ok());
        answer.json()["response_status"].as_str().expect("a status").to_owned()
    };
    assert_eq!(lock("MAC000000001").await, "SUCCESS");
    assert_eq!(lock("MAC000000001").await, "DEVICE_ALREADY_LOCKED");
    assert_eq!(lock("ATV000000001").await, "DEVICE_NOT_SUPPORTED");
    assert_eq!(lock("NOPE").await, "NOT_ACCESSIBLE");

    client.get("/device/replacementDetails").await.refused(400, "DEVICE_ID_REQUIRED");
    let path = "/device/replacementDetails?device=MAC000000001";
    client.get(path).await.refused(404, "DEVICE_NOT_FOUND");
    let (_, cursor) = client.fetch_all(10).await;
    apple.control("replace_device", json!({"serial": "MAC000000001", "original": "ATV000000001"})).await;
    let details = client.get(path).await;
    let details = replacement_details::Request::parse(details.text.as_bytes()).expect("details");
    assert_eq!(details.replacement_date.as_deref(), Some("2026-03-01"));
    client.at(9).get(path).await.refused(404, "DEVICE_NOT_FOUND");
    let events = client.post("/devices/sync", json!({ "cursor": cursor })).await.json();
    assert_eq!(events["devices"][0]["released_by_replacement"], true);
    assert_eq!(events["devices"][0]["op_type"], "deleted");
    assert_eq!(events["devices"][1]["is_replacement_device"], true);

    let beta = client.get("/os-beta-enrollment/tokens").await;
    assert_eq!(beta_tokens::Request::parse(beta.text.as_bytes()).expect("tokens").tokens.len(), 3);
    apple.control("settings", json!({"beta_program": false})).await;
    client.get("/os-beta-enrollment/tokens").await.refused(403, "APPLE_SEED_FOR_IT_TURNED_OFF");

    let path = account_driven_enrollment::PATH;
    client.get(path).await.refused(404, "NOT_FOUND");
    client.post(path, json!({})).await.refused(400, "MDM_SERVICE_DISCOVERY_URL_REQUIRED");
    let plain = json!({"mdm_service_discovery_url": "http://mdm.example.org/"});
    client.post(path, plain).await.refused(400, "MDM_SERVICE_DISCOVERY_URL_NOT_VALID");
    let set = client.post(path, json!({"mdm_service_discovery_url": "https://mdm.example.org/"})).await;
    assert_eq!((set.status.as_u16(), set.text.as_str()), (200, ""));
    let read =
        account_driven_enrollment::GetRequest::parse(client.get(path).await.text.as_bytes()).expect("set");
    assert_eq!(read.mdm_service_discovery_url.as_deref(), Some("https://mdm.example.org/"));
    assert_eq!(client.send(Method::DELETE, path, "").await.status, 200);
    client.get(path).await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_disowned_device_leaves_the_organization() {
    let apple = Apple::start(Settings { devices: 2, may_release: true, ..Settings::default() }).await;
    let client = apple.client().await;
    let all = serials(&client.post("/server/devices", json!({})).await.json());
    let answer = client.post("/devices/disown", json!({ "devices": all[..1] })).await.json();
    assert_eq!(answer, json!({ "devices": { &all[0]: "SUCCESS" } }));
    assert_eq!(serials(&client.post("/server/devices", json!({})).await.json()), all[1..]);
    assert!(apple.simulator.truth_of(&all[0]).expect("known").disowned);
}
