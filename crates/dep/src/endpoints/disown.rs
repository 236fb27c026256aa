//! `POST /devices/disown`
//!
//! Releases devices from the organization for good (protocol section 3.9). Only a reseller or a manual
//! enrollment brings them back. Nothing in Adelie calls it without an operator's explicit word.
//!
//! <https://developer.apple.com/documentation/devicemanagement/disown-devices>

use adelie_model::SerialNumber;
use serde::{Deserialize, Serialize};

use crate::device_result::DeviceResults;
use crate::endpoint::{
    Endpoint, InvalidRequest, MalformedAnswer, Method, check_serials, json_body, parse_json,
};

pub use crate::endpoint::MAX_SERIALS;

/// Stands for an operator's explicit word that the devices leave the organization and do not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IrreversibleDisown(());

impl IrreversibleDisown {
    /// To be called only where an operator has confirmed these very devices.
    #[must_use]
    pub fn the_devices_leave_the_organization_for_good() -> Self {
        Self(())
    }
}

/// Releases devices: 1 to [`MAX_SERIALS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    #[serde(default)]
    devices: Vec<SerialNumber>,
}

impl Request {
    /// A request that cannot be taken back.
    #[must_use]
    pub fn new(devices: Vec<SerialNumber>, confirmed: IrreversibleDisown) -> Self {
        let IrreversibleDisown(()) = confirmed;
        Self { devices }
    }

    /// The devices that are released.
    #[must_use]
    pub fn devices(&self) -> &[SerialNumber] {
        &self.devices
    }
}

/// What became of it, device by device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// One result per serial number.
    pub devices: DeviceResults,
}

impl Endpoint for Request {
    type Response = Response;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/devices/disown";
    const WRITES: bool = true;

    fn body(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        json_body(self)
    }

    fn check(&self) -> Result<(), InvalidRequest> {
        check_serials(&self.devices)
    }

    fn parse(body: &[u8]) -> Result<Response, MalformedAnswer> {
        parse_json(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden() {
        let confirmed = IrreversibleDisown::the_devices_leave_the_organization_for_good();
        let request = Request::new(vec![SerialNumber::from_apple("A1".into())], confirmed);
        assert_eq!(serde_json::to_string(&request).expect("json"), r#"{"devices":["A1"]}"#);
        let text = r#"{"devices":{"A1":"NOT_ACCESSIBLE"}}"#;
        let response = Request::parse(text.as_bytes()).expect("an answer");
        assert_eq!(serde_json::to_string(&response).expect("json"), text);
    }
}
