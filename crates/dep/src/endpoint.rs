//! What every endpoint says of itself.

use adelie_model::SerialNumber;
use serde::de::DeserializeOwned;

use crate::AssignMethod;

/// The most serial numbers in one request (protocol section 3.7). More is not rejected by Apple but has led
/// to thousands of throttled devices (field lesson L22), so the client refuses it for every caller.
pub const MAX_SERIALS: usize = 1000;

/// An HTTP method that Apple uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Sends a body.
    Post,
    /// Sends a body; only for assigning, in its retired form.
    Put,
    /// Takes away, partly with a body.
    Delete,
}

impl Method {
    /// The method as HTTP writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What an answer of "not found" means at an endpoint, because Apple uses the same words for several things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The request names a profile: it is the profile that is unknown.
    Profile,
    /// The request defines a profile: every refusal is about its content.
    Definition,
    /// The request names one device: it is the device that is unknown.
    Device,
    /// Anything else.
    Other,
}

/// One endpoint of Apple's service: implemented by its request type.
pub trait Endpoint: Send + Sync {
    /// What Apple answers with.
    type Response: Send + 'static;

    /// The documented HTTP method.
    const METHOD: Method;
    /// The path below the base URL; it starts with a slash.
    const PATH: &'static str;
    /// Whether it changes something at Apple. After an unclear outcome such a request may have taken effect
    /// and is to be read back, not repeated.
    const WRITES: bool;
    /// What "not found" is about.
    const SUBJECT: Subject = Subject::Other;
    /// Whether its answer may contain secrets; no excerpt of it is then kept in errors.
    const SECRET_ANSWER: bool = false;

    /// The method to send it with; only assigning depends on the setting.
    fn method(&self, assign: AssignMethod) -> Method {
        let _ = assign;
        Self::METHOD
    }

    /// The query parameters, unencoded.
    fn query(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// The JSON body, when there is one. It can be sent again unchanged.
    ///
    /// # Errors
    /// When the request does not serialize, which no request of this crate does.
    fn body(&self) -> Result<Option<Vec<u8>>, serde_json::Error>;

    /// Looks at the request before anything is sent.
    ///
    /// # Errors
    /// When it is outside Apple's limits.
    fn check(&self) -> Result<(), InvalidRequest> {
        Ok(())
    }

    /// Reads the body of a successful answer.
    ///
    /// # Errors
    /// When it is not what Apple sends here.
    fn parse(body: &[u8]) -> Result<Self::Response, MalformedAnswer>;
}

/// Why a request is not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// More serial numbers than [`MAX_SERIALS`].
    #[error("it has {count} serial numbers and the limit is {MAX_SERIALS}")]
    TooManySerials {
        /// How many it has.
        count: usize,
    },
    /// No serial number where Apple asks for one.
    #[error("it has no serial number")]
    NoSerials,
    /// Some other value outside Apple's limits.
    #[error("{0}")]
    Value(&'static str),
}

/// Why an answer is not what Apple sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedAnswer {
    /// Not the expected JSON. The complaint may quote a value; the client cuts out what is secret.
    #[error("it is not the JSON that Apple documents: {0}")]
    Json(String),
    /// The expected JSON without what matters.
    #[error("{0}")]
    Missing(&'static str),
}

/// Checks the number of serial numbers of a request that needs at least one.
pub(crate) fn check_serials(serials: &[SerialNumber]) -> Result<(), InvalidRequest> {
    if serials.is_empty() {
        return Err(InvalidRequest::NoSerials);
    }
    check_most_serials(serials)
}

/// Checks the number of serial numbers of a request that may have none.
pub(crate) fn check_most_serials(serials: &[SerialNumber]) -> Result<(), InvalidRequest> {
    let count = serials.len();
    if count > MAX_SERIALS { Err(InvalidRequest::TooManySerials { count }) } else { Ok(()) }
}

/// The body of a request that is its own JSON.
pub(crate) fn json_body<T: serde::Serialize>(request: &T) -> Result<Option<Vec<u8>>, serde_json::Error> {
    serde_json::to_vec(request).map(Some)
}

/// Reads a response that is its own JSON.
pub(crate) fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, MalformedAnswer> {
    if body.trim_ascii().is_empty() {
        return Err(MalformedAnswer::Missing("it is empty"));
    }
    if !body.trim_ascii_start().starts_with(b"{") {
        // A struct would also be read from an array, field by field; Apple sends objects only.
        return Err(MalformedAnswer::Missing("it is no JSON object"));
    }
    serde_json::from_slice(body).map_err(|error| MalformedAnswer::Json(error.to_string()))
}
