//! What Apple says of one serial number of a request.

use std::collections::BTreeMap;

use adelie_model::SerialNumber;

use crate::words::answer_words;

answer_words!(
    /// What Apple says of one serial number of a request (protocol sections 3.4 to 3.9).
    DeviceResult {
        /// Done.
        Success = "SUCCESS",
        /// Not a device of this MDM server.
        NotAccessible = "NOT_ACCESSIBLE",
        /// Unexpected; three tries, then contact Apple. Below protocol version 9 also the face of throttling.
        Failed = "FAILED",
        /// Refused for now, from protocol version 9 on (field lesson L21).
        Throttled = "THROTTLED",
    }
);

/// One result per serial number, in the order of the serial numbers.
pub type DeviceResults = BTreeMap<SerialNumber, DeviceResult>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_unknown_words_and_other_values_are_read() {
        let results: DeviceResults =
            serde_json::from_str(r#"{"A":"SUCCESS","B":" throttled ","C":"LATER","D":null}"#)
                .expect("an object");
        let words: Vec<_> = results.values().map(DeviceResult::as_str).collect();
        assert_eq!(words, ["SUCCESS", "THROTTLED", "LATER", "null"]);
        assert_eq!(results.values().nth(1), Some(&DeviceResult::Throttled));
    }
}
