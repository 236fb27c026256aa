use std::time::Duration;

use adelie_simulator::Settings;
use serde_json::json;

use crate::support::{Apple, Token};

#[tokio::test]
async fn good_and_bad_signatures() {
    let apple = Apple::devices(1).await;
    let token = apple.token();
    let answer = apple.open(&token.header(&apple, "a", 0)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(adelie_dep::endpoints::session::parse(answer.text.as_bytes()).is_ok());

    apple.open(&token.header(&apple, "a", 0)).await.refused(401, "nonce_used");
    assert_eq!(apple.open(&token.header(&apple, "a", 1)).await.status, 200, "another timestamp");
    apple.open(&token.header(&apple, "b", -301)).await.refused(401, "timestamp_refused");
    apple.open(&token.header(&apple, "b", 301)).await.refused(401, "timestamp_refused");
    let wrong = Token {
        json: {
            let mut json = token.json.clone();
            json["access_secret"] = json!("AS_wrong");
            json
        },
    };
    apple.open(&wrong.header(&apple, "c", 0)).await.refused(401, "signature_invalid");
    let stranger = Token {
        json: {
            let mut json = token.json.clone();
            json["consumer_key"] = json!("CK_stranger");
            json
        },
    };
    apple.open(&stranger.header(&apple, "d", 0)).await.refused(401, "consumer_key_unknown");
    apple.open("Basic abc").await.refused(400, "parameter_absent");
}

#[tokio::test]
async fn a_new_token_ends_the_old_one_and_keeps_the_consumer_key() {
    let apple = Apple::devices(1).await;
    let old = apple.token();
    let answer = apple.open(&old.header(&apple, "a", 0)).await.json();
    let session = answer["auth_session_token"].as_str().expect("a session").to_owned();
    let new = apple.token();
    assert_eq!(old.json["consumer_key"], new.json["consumer_key"]);
    assert_ne!(old.json["access_secret"], new.json["access_secret"]);
    apple.open(&old.header(&apple, "b", 0)).await.refused(401, "signature_invalid");
    let client = crate::support::Client { apple: &apple, session, version: Some(10) };
    client.get("/account").await.refused(401, "UNAUTHORIZED");
    assert_eq!(apple.open(&new.header(&apple, "c", 0)).await.status, 200);
}

#[tokio::test]
async fn a_token_lives_365_days() {
    let apple = Apple::devices(1).await;
    let token = apple.token();
    assert_eq!(token.json["access_token_expiry"], "2027-03-01T10:00:00Z");
    apple.simulator.advance_clock(Duration::from_secs(365 * 86_400 - 1));
    assert_eq!(apple.open(&token.header(&apple, "a", 0)).await.status, 200);
    apple.simulator.advance_clock(Duration::from_secs(1));
    apple.open(&token.header(&apple, "b", 0)).await.refused(401, "token_expired");
}

#[tokio::test]
async fn every_state_of_a_token_has_its_answer() {
    let settings = Settings { token_error_status: 403, ..Settings::default() };
    let apple = Apple::start(settings).await;
    let client = apple.client().await;
    for (state, text) in
        [("expired", "token_expired"), ("rejected", "token_rejected"), ("replaced", "signature_invalid")]
    {
        let token = apple.token();
        assert_eq!(apple.control("set_token", json!({ "state": state })).await.status, 200);
        apple.open(&token.header(&apple, state, 0)).await.refused(403, text);
    }
    client.get("/account").await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn sessions_rotate() {
    let settings = Settings { rotate_every: 2, old_session_stays_valid: false, ..Settings::default() };
    let apple = Apple::start(settings).await;
    let mut client = apple.client().await;
    assert_eq!(client.get("/account").await.header("x-adm-auth-session"), None);
    // A rotation may come with an error as well.
    let answer = client.post("/devices/sync", json!({})).await;
    answer.refused(400, "CURSOR_REQUIRED");
    let next = answer.header("x-adm-auth-session").expect("a new session").to_owned();
    client.get("/account").await.refused(401, "UNAUTHORIZED");
    client.session = next;
    assert_eq!(client.get("/account").await.status, 200);
}

#[tokio::test]
async fn sessions_end() {
    let apple = Apple::devices(1).await;
    let mut client = apple.client().await;
    apple.simulator.advance_clock(Duration::from_secs(1801));
    client.get("/account").await.refused(401, "UNAUTHORIZED");
    client.session = "nonsense".to_owned();
    client.get("/account").await.refused(403, "FORBIDDEN");
    let client = apple.client().await;
    apple.control("end_sessions", json!({})).await;
    client.get("/account").await.refused(401, "UNAUTHORIZED");
    let client = apple.client().await;
    apple.control("end_sessions", json!({"forget": true})).await;
    client.get("/account").await.refused(403, "FORBIDDEN");
}

/// L17: a new session does not cure terms that nobody has signed.
#[tokio::test]
async fn unsigned_terms_block_at_the_session_or_later() {
    let apple = Apple::devices(1).await;
    let token = apple.token();
    apple.control("set_terms", json!({"state": "unsigned"})).await;
    apple.open(&token.header(&apple, "a", 0)).await.refused(403, "T_C_NOT_SIGNED");
    apple.control("set_terms", json!({"state": "unsigned_after_session"})).await;
    let client = apple.client().await;
    client.get("/account").await.refused(403, "T_C_NOT_SIGNED");
    apple.control("set_terms", json!({"state": "signed"})).await;
    assert_eq!(client.get("/account").await.status, 200);
}

/// L45: the User-Agent is looked at everywhere, `/session` included.
#[tokio::test]
async fn the_user_agent_is_checked() {
    let apple = Apple::devices(1).await;
    let token = apple.token();
    let header = token.header(&apple, "a", 0);
    let send = |agent: Option<&'static str>| {
        let bare =
            reqwest::Client::new().get(format!("{}/session", apple.base)).header("Authorization", &header);
        async move {
            agent
                .map_or(bare.try_clone().expect("plain"), |agent| bare.header("User-Agent", agent))
                .send()
                .await
        }
    };
    let missing = send(None).await.expect("an answer");
    assert_eq!(
        (missing.status().as_u16(), missing.text().await.expect("text").as_str()),
        (400, "USER_AGENT_MISSING")
    );
    let refused = send(Some("nanodep-godep/0")).await.expect("an answer");
    assert_eq!(
        (refused.status().as_u16(), refused.text().await.expect("text").as_str()),
        (400, "USER_AGENT_INVALID")
    );
    assert_eq!(send(Some("nanodep-g-o-dep/0")).await.expect("an answer").status(), 200);
}
