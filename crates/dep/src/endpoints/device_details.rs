//! `POST /devices`
//!
//! What Apple shows of single devices at this moment (protocol section 3.4).
//!
//! <https://developer.apple.com/documentation/devicemanagement/get-device-details>

use std::collections::BTreeMap;

use adelie_model::SerialNumber;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::endpoint::{
    Endpoint, InvalidRequest, MalformedAnswer, Method, check_serials, json_body, parse_json,
};
use crate::{Device, DeviceResult};

pub use crate::endpoint::MAX_SERIALS;

/// Asks for devices: 1 to [`MAX_SERIALS`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Which ones.
    #[serde(default)]
    pub devices: Vec<SerialNumber>,
}

/// The devices by serial number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Response {
    /// An object keyed by serial number, unlike the array of the lists.
    pub devices: BTreeMap<SerialNumber, Detail>,
}

/// What Apple says of one serial number.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// The device.
    Device(Box<Device>),
    /// No device is shown, and why: mostly [`DeviceResult::NotAccessible`].
    Refused(DeviceResult),
}

impl Serialize for Detail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Device(device) => device.serialize(serializer),
            Self::Refused(result) => BTreeMap::from([("response_status", result)]).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Response {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            devices: BTreeMap<SerialNumber, Map<String, Value>>,
        }
        let wire = Wire::deserialize(deserializer)?;
        let devices = wire.devices.into_iter().map(|(serial, record)| {
            let detail = Detail::read(&serial, record);
            (serial, detail)
        });
        Ok(Self { devices: devices.collect() })
    }
}

impl Detail {
    /// A record without `response_status` is a device when it has anything else.
    fn read(serial: &SerialNumber, mut record: Map<String, Value>) -> Self {
        let status = record.get("response_status").and_then(Value::as_str).map(DeviceResult::from);
        match status {
            Some(DeviceResult::Success) => {}
            None if !record.is_empty() => {}
            None => return Self::Refused(DeviceResult::Other(String::new())),
            Some(refusal) => return Self::Refused(refusal),
        }
        let mut device = Device::new(serial.clone());
        if let Some(Value::String(own)) = record.get_mut("serial_number")
            && !own.trim().is_empty()
        {
            device.serial_number = SerialNumber::from_apple(std::mem::take(own));
        }
        for (name, value) in record {
            device.put(name.into(), value);
        }
        Self::Device(Box::new(device))
    }
}

impl Endpoint for Request {
    type Response = Response;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/devices";
    const WRITES: bool = false;

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

    const GOLDEN: &str = r#"{"devices":{"C02EXAMPLE02":{"serial_number":"C02EXAMPLE02","model":"MacBook Air","profile_status":"assigned",
        "profile_uuid":"B1C2D3E4F5061728394A5B6C7D8E9F00","profile_assign_time":"2026-03-02T08:03:00Z","response_status":"SUCCESS"},
        "NOPE00000000":{"response_status":"NOT_ACCESSIBLE"}}}"#;

    #[test]
    fn golden() {
        let response = Request::parse(GOLDEN.as_bytes()).expect("details");
        let sample: Value = serde_json::from_str(GOLDEN).expect("json");
        assert_eq!(serde_json::to_value(&response).expect("json"), sample);
        let nope = response.devices.get(&SerialNumber::from_apple("NOPE00000000".into()));
        assert_eq!(nope, Some(&Detail::Refused(DeviceResult::NotAccessible)));
    }

    #[test]
    fn a_device_without_status_or_serial_number_is_a_device() {
        let response = Request::parse(br#"{"devices":{"A1":{"model":"Mac"},"B2":{}}}"#).expect("details");
        let mut details = response.devices.into_values();
        let Some(Detail::Device(device)) = details.next() else { panic!("A1 is a device") };
        assert_eq!((device.serial_number.as_str(), device.model.as_deref()), ("A1", Some("Mac")));
        assert!(matches!(details.next(), Some(Detail::Refused(_))), "an empty record tells nothing");
    }

    /// L9: an answer without the object is no answer.
    #[test]
    fn an_answer_without_devices_is_an_error() {
        for bad in ["", "{}", r#"{"devices":null}"#, r#"{"devices":[]}"#, "NOT_FOUND"] {
            assert!(Request::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
