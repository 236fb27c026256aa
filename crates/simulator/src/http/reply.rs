use std::io::Write;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;

/// The content type of answers (protocol section 2.1).
pub(crate) const JSON: &str = "application/json;charset=UTF8";
/// The content type of errors (protocol section 6).
const TEXT: &str = "text/plain;Charset=UTF8";

/// An answer before it becomes HTTP.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) extra: Vec<(String, String)>,
    /// In pieces, so that cached pages are sent without being copied.
    pub(crate) body: Vec<Bytes>,
    pub(crate) error: Option<String>,
    /// For the log: whose request it was and how many devices it was about.
    pub(crate) server: Option<u16>,
    pub(crate) devices: Option<usize>,
    /// Whether the client takes the body packed.
    pub(crate) gzip: bool,
    /// Close the connection after this many bytes of the body; at 0 before the status line.
    pub(crate) cut_after: Option<usize>,
}

/// An error of Apple's: HTTP status and code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) u16, pub(crate) &'static str);

impl From<Refusal> for Reply {
    fn from(Refusal(status, code): Refusal) -> Self {
        Self::code(status, code)
    }
}

impl Reply {
    /// A status without a body.
    pub(crate) fn status(status: u16) -> Self {
        Self { status, content_type: TEXT, ..Self::default() }
    }

    /// An error of Apple's: a code as plain text.
    pub(crate) fn code(status: u16, code: &str) -> Self {
        let body = if code.is_empty() { Vec::new() } else { vec![Bytes::copy_from_slice(code.as_bytes())] };
        let error = (!code.is_empty() && status >= 300).then(|| code.to_owned());
        Self { body, error, ..Self::status(status) }
    }

    /// A success.
    pub(crate) fn json<T: Serialize>(value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(text) => Self::pieces(vec![Bytes::from(text)]),
            Err(error) => Self::code(500, &error.to_string()),
        }
    }

    /// A success whose JSON is ready.
    pub(crate) fn pieces(body: Vec<Bytes>) -> Self {
        Self { status: 200, content_type: JSON, body, ..Self::default() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.extra.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn about(mut self, devices: usize) -> Self {
        self.devices = Some(devices);
        self
    }

    /// With the error code in double quotes, as Apple's own simulator has it.
    pub(crate) fn quoted(mut self, quoted: bool) -> Self {
        if quoted && let Some(code) = &self.error {
            self.body = vec![Bytes::from(format!("\"{code}\""))];
        }
        self
    }

    /// The answer for a socket.
    pub(crate) fn into_response(self) -> Response<Body> {
        let (head, body, cut_after) = self.into_http();
        let body = match cut_after {
            Some(after) => torn(beginning(body, after)),
            None if body.is_empty() => Body::empty(),
            None => Body::from_stream(stream::iter(body.into_iter().map(Ok::<_, std::io::Error>))),
        };
        head.map(|()| body)
    }

    /// The answer as a client has it once it has come, or what has come of it when the connection was closed.
    pub(crate) fn into_answer(self) -> Result<Response<Bytes>, Cut> {
        let (head, body, cut_after) = self.into_http();
        let length: usize = body.iter().map(Bytes::len).sum();
        match cut_after {
            Some(after) if length == 0 || after < length => {
                let body = joined(beginning(body, after));
                let arrived = (!body.is_empty()).then(|| Box::new(head.map(|()| body)));
                Err(Cut { arrived })
            }
            _ => Ok(head.map(|()| joined(body))),
        }
    }

    /// Status line and headers, the body, and after how many bytes of it the connection is closed.
    fn into_http(mut self) -> (Response<()>, Vec<Bytes>, Option<usize>) {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        if let Some(code) = &self.error
            && code == "APPLE_SEED_FOR_IT_TURNED_OFF"
        {
            // Documented to stand in the reason phrase (protocol section 3.12).
            let phrase = hyper::ext::ReasonPhrase::from_static(b"APPLE_SEED_FOR_IT_TURNED_OFF");
            response.extensions_mut().insert(phrase);
        }
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static(self.content_type));
        for (name, value) in &self.extra {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
        if self.gzip
            && !self.body.is_empty()
            && let Some(packed) = pack(&self.body)
        {
            self.body = vec![packed];
            headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        }
        let length: usize = self.body.iter().map(Bytes::len).sum();
        if self.cut_after.is_some() || !self.body.is_empty() {
            headers.insert(
                "content-length",
                HeaderValue::from(length.max(usize::from(self.cut_after.is_some()))),
            );
        }
        (response, self.body, self.cut_after)
    }
}

/// The connection was closed before the answer was whole.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut by a fault")]
pub struct Cut {
    /// Status, headers and the beginning of the body, when any of it had come by then.
    pub arrived: Option<Box<Response<Bytes>>>,
}

/// The first bytes of a body.
fn beginning(pieces: Vec<Bytes>, bytes: usize) -> Vec<Bytes> {
    let mut left = bytes;
    let mut kept = Vec::new();
    for piece in pieces {
        let part = piece.slice(..piece.len().min(left));
        left -= part.len();
        if !part.is_empty() {
            kept.push(part);
        }
    }
    kept
}

fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    match pieces.len() {
        0 => Bytes::new(),
        1 => pieces.remove(0),
        _ => pieces.concat().into(),
    }
}

/// A body that breaks off. The error makes the server close the connection; at once when nothing was sent.
fn torn(kept: Vec<Bytes>) -> Body {
    let pause = !kept.is_empty();
    Body::from_stream(stream::unfold((kept.into_iter(), false), move |(mut rest, over)| async move {
        if over {
            return None;
        }
        if let Some(part) = rest.next() {
            return Some((Ok(part), (rest, false)));
        }
        if pause {
            // What was given so far is to reach the client first.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        Some((Err(std::io::Error::other(Cut { arrived: None })), (rest, true)))
    }))
}

fn pack(pieces: &[Bytes]) -> Option<Bytes> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for piece in pieces {
        packer.write_all(piece).ok()?;
    }
    packer.finish().ok().map(Bytes::from)
}
