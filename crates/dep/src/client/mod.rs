//! The client of one server token.

mod classify;
mod exchange;
mod options;
mod session;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use adelie_model::{Clock, Entropy, ServerToken, Timestamp};
use bytes::Bytes;
use chrono::TimeDelta;
use http::HeaderValue;
use tokio::sync::Semaphore;

use self::classify::Context;
use self::exchange::Prepared;
use self::session::Sessions;
use crate::endpoint::{Endpoint, InvalidRequest, MalformedAnswer};
use crate::error::{Call, Error};
use crate::http_transport::HttpTransport;
use crate::transport::Transport;

pub use self::options::{AssignMethod, DEFAULT_BASE_URL, LATEST_PROTOCOL_VERSION, Options};

/// The client of one server token. Cheap to clone; the clones share session, limits and counters.
///
/// There must be only one per server token: Apple may not let two sessions live side by side (protocol
/// section 2.2), and the limits hold per client.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    transport: Arc<dyn Transport>,
    token: ServerToken,
    options: Options,
    user_agent: HeaderValue,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// One permit per request under way; all of them for a request that must be alone. See [`session`].
    lanes: Semaphore,
    sessions: Sessions,
    /// Whether a new session in an answer has been seen to make the old one void.
    rotation_voids: AtomicBool,
    /// The moment before which no request leaves.
    gate: Mutex<Option<Timestamp>>,
    skew: Mutex<Option<TimeDelta>>,
    requests: AtomicU64,
}

/// From how many bytes on an answer is read on a thread of its own.
const LARGE_ANSWER: usize = 64 * 1024;

impl Client {
    /// A client that uses the network and has sent nothing yet.
    ///
    /// # Errors
    /// [`Error::Setting`] when an option cannot be used.
    pub fn new(
        token: ServerToken,
        options: Options,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, Error> {
        let transport = Arc::new(HttpTransport::new(&options)?);
        Self::with_transport(token, options, transport, clock, entropy)
    }

    /// A client that uses another way to Apple, or the way that another client uses. No network and no real time
    /// is in the client itself: it waits for nothing but its turn and the transport.
    ///
    /// # Errors
    /// [`Error::Setting`] when an option cannot be used.
    pub fn with_transport(
        token: ServerToken,
        options: Options,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, Error> {
        let user_agent = options.check()?;
        let lanes = Semaphore::new(options.lanes() as usize);
        let shared = Shared {
            transport,
            token,
            options,
            user_agent,
            clock,
            entropy,
            lanes,
            sessions: Sessions::default(),
            rotation_voids: AtomicBool::new(false),
            gate: Mutex::default(),
            skew: Mutex::default(),
            requests: AtomicU64::new(0),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Sends a request and reads its answer. A session is opened when there is none, and renewed at most once
    /// when Apple says that it has ended (field lesson L17); nothing else is repeated.
    ///
    /// # Errors
    /// Every [`Error`]; the variant says what to do next.
    pub async fn send<E: Endpoint>(&self, request: &E) -> Result<E::Response, Error> {
        self.send_while(request, &|| true).await
    }

    /// Like [`send`](Self::send), and asks in the moment in which the request leaves whether it still may: it may have
    /// waited for its turn or for a session until then, and whoever sent it for a limited time may have been stopped.
    ///
    /// # Errors
    /// [`Error::Withheld`] when it may not; then nothing was sent.
    pub async fn send_while<E: Endpoint>(
        &self,
        request: &E,
        may_leave: &(dyn Fn() -> bool + Sync),
    ) -> Result<E::Response, Error> {
        let call = Call { method: request.method(self.shared.options.assign_method), path: E::PATH };
        request.check().map_err(|source| match source {
            InvalidRequest::TooManySerials { count } => Error::TooManySerials { call, count },
            source => Error::Invalid { call, source },
        })?;
        let body = request.body().map_err(|source| Error::Serialize { call, source })?;
        let body = body.map(Bytes::from);
        let prepared = Prepared { call, query: request.query(), body, writes: E::WRITES, may_leave };
        let raw = Box::pin(self.shared.send_in_session(&prepared)).await?;
        let context = Context { subject: E::SUBJECT, writes: E::WRITES, secret_answer: E::SECRET_ANSWER };
        if !(200..300).contains(&raw.status) {
            return Err(self.shared.refusal(call, &raw, context));
        }
        let parsed = read(E::parse, &raw.body).await;
        parsed.map_err(|source| self.shared.malformed(call, &raw, context, source))
    }

    /// How many HTTP requests have left so far, sessions included.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// How far Apple's clock is ahead of ours, from the header `Date` of the last answer that had one.
    #[must_use]
    pub fn clock_skew(&self) -> Option<TimeDelta> {
        *locked(&self.shared.skew)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("options", &self.shared.options)
            .field("token", &self.shared.token)
            .field("requests", &self.requests())
            .finish_non_exhaustive()
    }
}

/// Reads an answer. A large one, like a page of devices, takes milliseconds, in which whoever asked could do nothing
/// else; it is read on a thread of its own.
async fn read<T: Send + 'static>(
    parse: fn(&[u8]) -> Result<T, MalformedAnswer>,
    body: &Bytes,
) -> Result<T, MalformedAnswer> {
    if body.len() < LARGE_ANSWER {
        return parse(body);
    }
    let own = body.clone();
    match tokio::task::spawn_blocking(move || parse(&own)).await {
        Ok(parsed) => parsed,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is being shut down and starts no more threads.
            Err(_) => parse(body),
        },
    }
}

/// What these locks guard is whole after every statement, so a panic elsewhere does not spoil it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
