//! A server on loopback that answers as a test says and remembers what it was asked.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use adelie_dep::{Client, Options};
use adelie_model::{ManualClock, Secret, SeededEntropy, SerialNumber, ServerToken, Timestamp};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;

pub const SESSION_HEADER: &str = "X-ADM-Auth-Session";
pub const EMPTY_PAGE: &str = r#"{"devices":[],"more_to_follow":false,"cursor":"c1"}"#;

/// One request as the server saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its place in the order of arrival, from 0.
    pub number: usize,
    /// Method, path and query: `GET /session`.
    pub line: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    pub fn session(&self) -> &str {
        self.header(SESSION_HEADER)
    }

    pub fn is_session_request(&self) -> bool {
        self.line == "GET /session"
    }
}

pub struct Server {
    pub base: url::Url,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Answers every request with what `answer` returns.
    pub async fn start<F>(answer: impl Fn(Seen) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let answer = Arc::new(answer);
        let remembered = Arc::clone(&seen);
        let handler = move |State(()): State<()>, request: Request| {
            let (seen, answer) = (Arc::clone(&remembered), Arc::clone(&answer));
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
                let this = {
                    let mut seen = seen.lock().expect("no panic");
                    let line = format!("{} {}", parts.method, parts.uri);
                    let this = Seen { number: seen.len(), line, headers: parts.headers, body };
                    seen.push(this.clone());
                    this
                };
                answer(this).await
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("bound")).parse().expect("a URL");
        let app = Router::new().fallback(handler).with_state(());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { base, seen }
    }

    /// Opens session `s1` and answers everything else with what `answer` returns.
    pub async fn in_session(answer: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Self {
        Self::start(move |seen| {
            let response = if seen.is_session_request() { session("s1") } else { answer(&seen) };
            std::future::ready(response)
        })
        .await
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }

    pub fn client(&self) -> Client {
        self.client_with(|_| {}).0
    }

    pub fn client_with(&self, change: impl FnOnce(&mut Options)) -> (Client, ManualClock) {
        let mut options = Options { base_url: self.base.clone(), ..Options::default() };
        options.request_timeout = Duration::from_secs(20);
        change(&mut options);
        client(options)
    }
}

pub fn client(options: Options) -> (Client, ManualClock) {
    let clock = ManualClock::new(now());
    let entropy = Arc::new(SeededEntropy::new(7));
    (Client::new(token(), options, Arc::new(clock.clone()), entropy).expect("a client"), clock)
}

pub fn now() -> Timestamp {
    "2026-03-01T10:00:00Z".parse().expect("a moment")
}

pub fn token() -> ServerToken {
    ServerToken {
        consumer_key: "CK_visible".into(),
        consumer_secret: Secret::from("CS_hidden_1"),
        access_token: Secret::from("AT_hidden_2"),
        access_secret: Secret::from("AS_hidden_3"),
        expires_at: "2026-12-01T00:00:00Z".parse().expect("a moment"),
    }
}

pub fn serials(count: usize) -> Vec<SerialNumber> {
    (0..count).map(|n| SerialNumber::from_apple(format!("S{n:05}"))).collect()
}

pub fn session(value: &str) -> Response {
    format!(r#"{{"auth_session_token":"{value}"}}"#).into_response()
}

pub fn refuse(status: u16, body: &'static str) -> Response {
    (StatusCode::from_u16(status).expect("a status"), body).into_response()
}

pub fn with_header(mut response: Response, name: &'static str, value: &str) -> Response {
    response.headers_mut().insert(name, value.parse().expect("a header value"));
    response
}
