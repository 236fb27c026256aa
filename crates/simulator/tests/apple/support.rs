use std::num::NonZeroU64;
use std::sync::Arc;

use adelie_model::{Clock, ManualClock, Secret, ServerToken};
use adelie_simulator::{Settings, Simulator, TokenShape};
use oauth1_request::signature_method::HmacSha1;
use oauth1_request::{Builder, Credentials, ParameterList};
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::cms::CmsContentInfo;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

pub(crate) const USER_AGENT: &str = "simulator-test/1";

/// A simulator on a free port of the loopback address, with its clock.
pub(crate) struct Apple {
    pub(crate) simulator: Simulator,
    pub(crate) clock: ManualClock,
    pub(crate) base: String,
    pub(crate) http: reqwest::Client,
}

impl Apple {
    pub(crate) async fn start(settings: Settings) -> Self {
        let clock = ManualClock::new("2026-03-01T10:00:00Z".parse().expect("a moment"));
        let simulator = Simulator::new(settings, Arc::new(clock.clone()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(simulator.clone().serve(listener, std::future::pending()));
        let http = reqwest::Client::builder().user_agent(USER_AGENT).no_gzip().build().expect("a client");
        Self { simulator, clock, base, http }
    }

    pub(crate) async fn devices(count: usize) -> Self {
        Self::start(Settings { devices: count, ..Settings::default() }).await
    }

    pub(crate) fn token(&self) -> Token {
        Token::issue(&self.simulator, "Lab")
    }

    pub(crate) async fn open(&self, header: &str) -> Answer {
        let request = self.http.get(format!("{}/session", self.base)).header("Authorization", header);
        Answer::of(request.send().await.expect("an answer")).await
    }

    /// A client with a session for the MDM server Lab.
    pub(crate) async fn client(&self) -> Client<'_> {
        self.client_of("Lab").await
    }

    pub(crate) async fn client_of(&self, server: &str) -> Client<'_> {
        let token = Token::issue(&self.simulator, server);
        let answer = self.open(&token.header(self, "n1", 0)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let session = answer.json()["auth_session_token"].as_str().expect("a session").to_owned();
        Client { apple: self, session, version: Some(10) }
    }

    pub(crate) async fn control(&self, command: &str, arguments: Value) -> Answer {
        let request = self.http.post(format!("{}/_control/{command}", self.base)).body(arguments.to_string());
        Answer::of(request.send().await.expect("an answer")).await
    }

    pub(crate) async fn look(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}/_control/{path}", self.base));
        Answer::of(request.send().await.expect("an answer")).await.json()
    }
}

/// An answer, read in full.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, text: response.text().await.expect("a body") }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Asserts an error with its code.
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.text.as_str()), (status, code));
        assert_eq!(self.header("content-type"), Some("text/plain;Charset=UTF8"));
    }
}

/// A session.
#[derive(Clone)]
pub(crate) struct Client<'a> {
    pub(crate) apple: &'a Apple,
    pub(crate) session: String,
    pub(crate) version: Option<u8>,
}

impl Client<'_> {
    pub(crate) fn at(&self, version: u8) -> Self {
        Self { version: Some(version), ..self.clone() }
    }

    pub(crate) async fn try_send(&self, method: Method, path: &str, body: &str) -> reqwest::Result<Answer> {
        let mut request = self
            .apple
            .http
            .request(method, format!("{}{path}", self.apple.base))
            .header("X-ADM-Auth-Session", &self.session)
            .header("Content-Type", "application/json;charset=UTF8")
            .body(body.to_owned());
        if let Some(version) = self.version {
            request = request.header("X-Server-Protocol-Version", version.to_string());
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, text: response.text().await? })
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: &str) -> Answer {
        self.try_send(method, path, body).await.expect("an answer")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "").await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, &body.to_string()).await
    }

    /// Defines a plain profile and gives its identifier.
    pub(crate) async fn define(&self) -> String {
        let profile = serde_json::json!({"profile_name": "Macs", "url": "https://mdm.example.org/enroll"});
        let answer = self.post("/profile", profile).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["profile_uuid"].as_str().expect("an identifier").to_owned()
    }

    /// Walks the whole list; gives the serial numbers page by page and the last cursor.
    pub(crate) async fn fetch_all(&self, limit: u32) -> (Vec<Vec<String>>, String) {
        let (mut pages, mut body) = (Vec::new(), serde_json::json!({ "limit": limit }));
        loop {
            let page = self.post("/server/devices", body).await.json();
            pages.push(serials(&page));
            let cursor = page["cursor"].as_str().expect("a cursor").to_owned();
            if page["more_to_follow"] == false {
                return (pages, cursor);
            }
            body = serde_json::json!({ "limit": limit, "cursor": cursor });
        }
    }
}

pub(crate) fn serials(page: &Value) -> Vec<String> {
    let devices = page["devices"].as_array().expect("devices");
    devices
        .iter()
        .map(|device| device["serial_number"].as_str().expect("a serial number").to_owned())
        .collect()
}

/// The content of a decrypted token file.
pub(crate) struct Token {
    pub(crate) json: Value,
}

impl Token {
    /// Uploads a new certificate and decrypts what comes back.
    pub(crate) fn issue(simulator: &Simulator, server: &str) -> Self {
        let (key, certificate) = key_pair();
        let pem = String::from_utf8(certificate.to_pem().expect("pem")).expect("text");
        let file = simulator.issue_token(server, &pem, TokenShape::default()).expect("a token");
        Self::decrypt(&file, &key, &certificate)
    }

    pub(crate) fn decrypt(file: &[u8], key: &PKey<Private>, certificate: &X509) -> Self {
        let cms = CmsContentInfo::smime_read_cms(file).expect("S/MIME");
        let plain = String::from_utf8(cms.decrypt(key, certificate).expect("decrypts")).expect("text");
        let json = plain.lines().find(|line| line.starts_with('{')).expect("JSON on a line");
        Self { json: serde_json::from_str(json).expect("JSON") }
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.json[name].as_str().expect("a text")
    }

    /// The token as our client takes it.
    pub(crate) fn server_token(&self) -> ServerToken {
        ServerToken {
            consumer_key: self.text("consumer_key").to_owned(),
            consumer_secret: Secret::from(self.text("consumer_secret")),
            access_token: Secret::from(self.text("access_token")),
            access_secret: Secret::from(self.text("access_secret")),
            expires_at: self.text("access_token_expiry").parse().expect("a moment"),
        }
    }

    /// A signed header for `/session`, some seconds off the clock.
    pub(crate) fn header(&self, apple: &Apple, nonce: &str, seconds_off: i64) -> String {
        let timestamp = u64::try_from(apple.clock.now().timestamp() + seconds_off).expect("after 1970");
        let mut builder = Builder::<_, &str, &str>::new(
            Credentials::new(self.text("consumer_key"), self.text("consumer_secret")),
            HmacSha1::new(),
        );
        builder
            .token(Credentials::new(self.text("access_token"), self.text("access_secret")))
            .version(true)
            .nonce(nonce)
            .timestamp(NonZeroU64::new(timestamp).expect("after 1970"));
        let url = format!("{}/session", apple.base);
        builder.authorize("GET", url, &ParameterList::new(Vec::<(String, String)>::new()))
    }
}

pub(crate) fn key_pair() -> (PKey<Private>, X509) {
    let key = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
    let mut name = X509NameBuilder::new().expect("a name");
    name.append_entry_by_text("CN", "Adelie test").expect("a name");
    let name = name.build();
    let mut builder = X509Builder::new().expect("a builder");
    builder.set_version(2).expect("version");
    let serial = BigNum::from_u32(0x7301_0203).and_then(|number| number.to_asn1_integer()).expect("a serial");
    builder.set_serial_number(&serial).expect("serial");
    builder.set_subject_name(&name).expect("subject");
    builder.set_issuer_name(&name).expect("issuer");
    builder.set_not_before(&Asn1Time::days_from_now(0).expect("time")).expect("from");
    builder.set_not_after(&Asn1Time::days_from_now(2).expect("time")).expect("to");
    builder.set_pubkey(&key).expect("key");
    builder.sign(&key, MessageDigest::sha256()).expect("signed");
    (key, builder.build())
}
