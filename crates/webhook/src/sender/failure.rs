use std::error::Error;
use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use http::header::InvalidHeaderValue;

use crate::guard::{Refusal, Unresolved};

/// Why an attempt failed, in words for the log of deliveries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// We did not connect.
    #[error("nothing was sent: {0}")]
    Refused(#[from] Refusal),
    /// The name has no addresses.
    #[error(
        "nothing was sent: the name {name} could not be resolved ({cause}): look at its entries in the DNS"
    )]
    Name {
        /// The host's name.
        name: String,
        /// What the resolver says.
        cause: String,
    },
    /// Nobody listens, or nobody can be reached.
    #[error("nothing was sent: no connection to the receiver ({0}): see whether it runs and what is between")]
    Unreachable(String),
    /// The receiver's certificate is not trusted, or it speaks no TLS.
    #[error("nothing was sent: TLS with the receiver failed ({0}): look at its certificate")]
    Tls(String),
    /// The connection broke, or what came is not HTTP.
    #[error("{stage} failed ({cause}): the receiver may have the event or not")]
    Broken {
        /// How far it came.
        stage: Stage,
        /// What happened.
        cause: String,
    },
    /// The time of the whole attempt was over.
    #[error("the receiver took longer than {} s; {stage} was not finished", limit.as_secs_f32())]
    Late {
        /// How long the attempt could take.
        limit: Duration,
        /// How far it came.
        stage: Stage,
    },
    /// An answer that is not 2xx.
    #[error("{}", status_in_words(*.0))]
    Status(u16),
    /// The post could not be made.
    #[error("nothing was sent: {0}")]
    Ours(String),
}

/// How far an attempt came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Up to the headers of the answer.
    Connecting,
    /// The body of the answer.
    Reading,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "posting and waiting for an answer",
            Self::Reading => "reading the answer",
        })
    }
}

impl Failure {
    pub(super) fn of(error: &reqwest::Error, stage: Stage) -> Self {
        if let Some(refusal) = find::<Refusal>(error) {
            return Self::Refused(refusal.clone());
        }
        if let Some(Unresolved { name, cause }) = find(error) {
            return Self::Name { name: name.clone(), cause: cause.to_string() };
        }
        let cause = innermost(error);
        if !error.is_connect() {
            return Self::Broken { stage, cause };
        }
        if is_tls(error) { Self::Tls(cause) } else { Self::Unreachable(cause) }
    }
}

impl From<InvalidHeaderValue> for Failure {
    fn from(_: InvalidHeaderValue) -> Self {
        Self::Ours("the id or the signature of the event cannot stand in a header".to_owned())
    }
}

/// An error of TLS, or a connection that ended in its handshake: OpenSSL's errors are in the chain of both.
fn is_tls(error: &reqwest::Error) -> bool {
    find::<openssl::ssl::Error>(error).is_some() || find::<openssl::error::ErrorStack>(error).is_some()
}

fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    chain(error).find_map(|cause| cause.downcast_ref())
}

/// The last cause says what happened; those above it only that something did.
fn innermost(error: &reqwest::Error) -> String {
    let io = find::<std::io::Error>(error).map(std::io::Error::kind);
    match io {
        Some(ErrorKind::ConnectionRefused) => "connection refused".to_owned(),
        Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => "connection reset".to_owned(),
        _ => chain(error).last().map(ToString::to_string).unwrap_or_default(),
    }
}

fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| Error::source(*error))
}

fn status_in_words(status: u16) -> String {
    let what = match status {
        300..=399 => "redirects, which are never followed: change the endpoint's URL",
        401 | 403 => "does not let us in: see whether it verifies with the right secret",
        404 => "knows no such address: look at the endpoint's URL",
        410 => "wants no more events",
        413 => "finds the event too large",
        429 => "asks us to slow down",
        502..=504 => "is overloaded or cannot be reached behind its gateway",
        500..=599 => "failed: look at its log",
        _ => "did not take the event: look at its answer",
    };
    format!("the receiver answered {status}, it {what}")
}
