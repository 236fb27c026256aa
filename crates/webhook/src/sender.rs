//! One try to post one webhook.

mod answer;
mod failure;
mod retry_after;

use std::sync::Arc;
use std::time::Duration;

use adelie_model::{Mask, Timestamp};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, InvalidHeaderValue};
use reqwest::{Certificate, Client, Response};
use tokio::time::{Instant, timeout_at};

pub use answer::Tried;
pub use failure::{Failure, Stage};

use crate::guard::{AllowNetworks, Doorman, Guard, Names, SystemNames, Target, Way};
use crate::signature::{ID, SIGNATURE, Signed, TIMESTAMP};

/// What can be set for a [`Sender`].
#[derive(Clone)]
pub struct SenderOptions {
    /// How long one attempt may take in all: looking up the name, connecting, headers and body.
    pub deadline: Duration,
    /// The internal networks that may be posted to, and by plain HTTP too.
    pub allowed: AllowNetworks,
    /// Who knows the addresses behind names.
    pub names: Arc<dyn Names>,
    /// Certificates in PEM that are trusted besides those of the system: for receivers with a private authority.
    pub roots: Vec<Vec<u8>>,
}

impl Default for SenderOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(20),
            allowed: AllowNetworks::default(),
            names: Arc::new(SystemNames),
            roots: Vec::new(),
        }
    }
}

impl std::fmt::Debug for SenderOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (deadline, allowed) = (&self.deadline, &self.allowed);
        f.debug_struct("SenderOptions")
            .field("deadline", deadline)
            .field("allowed", allowed)
            .finish_non_exhaustive()
    }
}

/// Why no sender could be made.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// A certificate that should be trusted cannot be read.
    #[error("certificate {place} of those to trust for webhooks cannot be read: give it in PEM")]
    Root {
        /// Its place among the certificates, counted from 1.
        place: usize,
        /// What is wrong with it.
        source: reqwest::Error,
    },
    /// TLS cannot be set up on this machine.
    #[error("TLS could not be set up for sending webhooks")]
    Tls(#[source] reqwest::Error),
}

/// Posts webhooks. Connections are kept and used again; a clone shares them.
#[derive(Clone, Debug)]
pub struct Sender {
    tls: Client,
    plain: Client,
    guard: Guard,
    deadline: Duration,
}

/// What is posted in one attempt.
#[derive(Clone, Debug)]
pub struct Post<'p> {
    /// Where to: the endpoint's URL as it is stored.
    pub url: &'p str,
    /// Id, moment and signatures.
    pub signed: Signed,
    /// The value of the header `content-type`.
    pub content_type: &'static str,
    /// What was signed.
    pub body: Bytes,
    /// What the receiver may repeat and nobody is to keep.
    pub hidden: Mask,
}

impl Sender {
    /// A sender that has connected to nobody yet.
    ///
    /// # Errors
    /// [`SenderError`] for a certificate that cannot be read, and when TLS cannot be set up.
    pub fn new(options: &SenderOptions) -> Result<Self, SenderError> {
        let roots = roots(&options.roots)?;
        let guard = Guard::new(options.allowed.clone());
        let client = |way| {
            let doorman = Doorman { names: Arc::clone(&options.names), guard: guard.clone(), way };
            client(doorman, roots.clone(), way).map_err(SenderError::Tls)
        };
        Ok(Self {
            tls: client(Way::Tls)?,
            plain: client(Way::Plain)?,
            guard: guard.clone(),
            deadline: options.deadline,
        })
    }

    /// How long one attempt may take in all.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Tries once. Everything that can go wrong is in the result; `now` is what a date in `Retry-After` is compared to.
    pub async fn send(&self, post: Post<'_>, now: Timestamp) -> Tried {
        let begun = Instant::now();
        let mut tried = Tried::default();
        if let Err(failure) = self.attempt(post, now, begun + self.deadline, &mut tried).await {
            tried.failure = Some(failure);
        }
        tried.took = begun.elapsed();
        tried
    }

    async fn attempt(
        &self,
        post: Post<'_>,
        now: Timestamp,
        end: Instant,
        tried: &mut Tried,
    ) -> Result<(), Failure> {
        let Target { url, way } = self.guard.check(post.url)?;
        let client = match way {
            Way::Tls => &self.tls,
            Way::Plain => &self.plain,
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        let late = |stage| Failure::Late { limit: self.deadline, stage };
        let headers = headers(&post.signed, post.content_type)?;
        let answered = timeout_at(end, client.post(url).headers(headers).body(post.body).send());
        let answered = answered.await.map_err(|_| late(Stage::Connecting))?;
        let mut response = answered.map_err(|error| Failure::of(&error, Stage::Connecting))?;
        if let Some(peer) = response.remote_addr() {
            // The last line of defence, should a way to a connection ever lead past the resolver.
            self.guard.permit(&host, peer.ip(), way)?;
        }
        tried.status = Some(response.status().as_u16());
        tried.retry_after = retry_after::read(response.headers(), now);
        timeout_at(end, answer::read(&mut response, &post.hidden, &mut tried.excerpt))
            .await
            .map_err(|_| late(Stage::Reading))?
            .map_err(|error| Failure::of(&error, Stage::Reading))?;
        judge(&response)
    }
}

/// Only 2xx is success. A redirect is none either, and following it would carry the event to somebody else.
fn judge(response: &Response) -> Result<(), Failure> {
    let status = response.status();
    if status.is_success() { Ok(()) } else { Err(Failure::Status(status.as_u16())) }
}

fn client(doorman: Doorman, roots: Vec<Certificate>, way: Way) -> reqwest::Result<Client> {
    Client::builder()
        .user_agent(concat!("Adelie/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(doorman)
        .https_only(way == Way::Tls)
        .tls_certs_merge(roots)
        // A proxy would connect to what the guard never sees.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // When to try again is the ladder's to decide.
        .retry(reqwest::retry::never())
        // Answers are a line or two, and a packed one could unfold to anything.
        .gzip(false)
        // One post per connection at a time: a receiver that is slow with one does not hold up another.
        .http1_only()
        // Shorter than what common servers keep, so that we rarely write to a connection that is just being closed.
        .pool_idle_timeout(Duration::from_secs(15))
        .build()
}

fn roots(pems: &[Vec<u8>]) -> Result<Vec<Certificate>, SenderError> {
    let read = |(place, pem): (usize, &Vec<u8>)| {
        Certificate::from_pem(pem).map_err(|source| SenderError::Root { place: place + 1, source })
    };
    pems.iter().enumerate().map(read).collect()
}

fn headers(signed: &Signed, content_type: &'static str) -> Result<HeaderMap, InvalidHeaderValue> {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(ID, HeaderValue::from_str(&signed.id)?);
    headers.insert(TIMESTAMP, signed.timestamp.into());
    if let Some(signature) = &signed.signature {
        headers.insert(SIGNATURE, HeaderValue::from_str(signature)?);
    }
    Ok(headers)
}
