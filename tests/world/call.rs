//! A request as the witness sees it.

use adelie_dep::endpoints::assign_profile;
use adelie_model::SerialNumber;
use bytes::Bytes;
use http::Request;
use serde::Deserialize;

use crate::executor::Owner;

/// Who asks which of the two MDM servers for what.
#[derive(Clone, Debug)]
pub struct Call {
    pub copy: Owner,
    pub server: usize,
    pub path: String,
    /// The devices of an assignment, and their profile.
    pub assignment: Option<assign_profile::Request>,
    /// The devices that it names.
    pub devices: Vec<SerialNumber>,
    /// The cursor that it goes on from.
    pub cursor: Option<String>,
    /// Whether it begins a listing.
    pub begins_listing: bool,
}

impl Call {
    pub fn of(copy: Owner, request: &Request<Bytes>) -> Self {
        #[derive(Deserialize)]
        struct Body {
            cursor: Option<String>,
            #[serde(default)]
            devices: Vec<SerialNumber>,
        }
        let uri = request.uri();
        let server = usize::from(uri.host().is_some_and(|host| host.starts_with("two")));
        let path = uri.path().to_owned();
        let assignment =
            (path == "/profile/devices").then(|| serde_json::from_slice(request.body()).ok()).flatten();
        let body = serde_json::from_slice::<Body>(request.body()).ok();
        let begins_listing =
            path == "/server/devices" && body.as_ref().is_some_and(|body| body.cursor.is_none());
        let (cursor, devices) = body.map(|body| (body.cursor, body.devices)).unwrap_or_default();
        Self { copy, server, path, assignment, devices, cursor, begins_listing }
    }
}
