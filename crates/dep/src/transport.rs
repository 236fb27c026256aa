//! The way to Apple and back, so that the client need not know whether there is a network.

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request};

/// Carries one request to Apple's service and brings its answer.
///
/// [`HttpTransport`](crate::HttpTransport) is the real one. Another one may stand in for Apple in the same
/// process. A transport sends what it is given once, follows no redirect and waits for nothing but the answer;
/// what an answer means is not its business.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends the request once and reads its answer to the end, unless that has more than `largest_answer` bytes
    /// after decompression. A request without a body has an empty one.
    ///
    /// # Errors
    /// [`TransportError`] when there is no whole answer. An answer with an error status is an answer.
    async fn round_trip(
        &self,
        request: Request<Bytes>,
        largest_answer: usize,
    ) -> Result<Delivery, TransportError>;
}

/// A whole answer.
pub struct Delivery {
    /// Status and headers.
    pub head: Head,
    /// The body, decompressed.
    pub body: Bytes,
}

impl std::fmt::Debug for Delivery {
    /// Without the body, because a session is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery").field("head", &self.head).field("bytes", &self.body.len()).finish()
    }
}

/// What comes before the body of an answer.
#[derive(Clone)]
pub struct Head {
    /// The HTTP status.
    pub status: u16,
    /// The headers. One of them may be a session.
    pub headers: HeaderMap,
    /// The reason phrase, where it is not the usual one of the status.
    pub reason: Option<String>,
}

impl std::fmt::Debug for Head {
    /// Without the headers, because a session is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head").field("status", &self.status).finish_non_exhaustive()
    }
}

/// What has failed below a transport. Its text must hold neither a URL with a query nor a header.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no whole answer, sorted by what it says of the request.
///
/// The text is that of the cause and the chain goes on below it, because [`Error`](crate::Error) has said what it
/// means already.
#[derive(Debug)]
pub enum TransportError {
    /// The request has certainly not left: no connection came about, or it cannot be written as HTTP.
    Unreachable(Cause),
    /// The request may have arrived and taken effect, but no whole answer came back.
    NoAnswer {
        /// What came before the answer broke off. It may say when Apple wants to be asked again.
        head: Option<Box<Head>>,
        /// What has failed.
        cause: Cause,
    },
    /// The answer has more bytes than the client reads. The request was worked on.
    TooLarge {
        /// What came before the body.
        head: Box<Head>,
    },
}

impl TransportError {
    /// Nothing was sent.
    pub fn unreachable(cause: impl Into<Cause>) -> Self {
        Self::Unreachable(cause.into())
    }

    /// Something was sent, and nothing came back.
    pub fn no_answer(cause: impl Into<Cause>) -> Self {
        Self::NoAnswer { head: None, cause: cause.into() }
    }

    /// What came of the answer before its body.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        match self {
            Self::Unreachable(_) => None,
            Self::NoAnswer { head, .. } => head.as_deref(),
            Self::TooLarge { head } => Some(head),
        }
    }
}

impl std::fmt::Display for TransportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(cause) | Self::NoAnswer { cause, .. } => cause.fmt(f),
            Self::TooLarge { .. } => f.pad("the answer is larger than any of Apple's"),
        }
    }
}

impl std::error::Error for TransportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable(cause) | Self::NoAnswer { cause, .. } => cause.source(),
            Self::TooLarge { .. } => None,
        }
    }
}
