//! One page of a device list.

use adelie_model::{Cursor, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};

use crate::Device;
use crate::lenient;

/// One page of a device list, in both phases (protocol sections 3.2 and 3.3).
///
/// A page without `cursor` or `more_to_follow`, or with `devices` that is no list, does not read at all: such
/// an answer is never an empty list (field lesson L9).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DevicePage {
    /// The devices. `None` when Apple left the list out or sent `null` in an otherwise complete page; that
    /// counts as a page without devices.
    #[serde(default)]
    pub devices: Option<Vec<Device>>,
    /// Until when this page tells; some servers leave it out.
    #[serde(default, deserialize_with = "lenient::optional_time", skip_serializing_if = "Option::is_none")]
    pub fetched_until: Option<Timestamp>,
    /// Whether another page waits at `cursor`. Also read from the strings `"true"` and `"false"`.
    #[serde(deserialize_with = "lenient::required_truth")]
    pub more_to_follow: bool,
    /// Where to go on.
    #[serde(deserialize_with = "some_cursor")]
    pub cursor: Cursor,
}

impl DevicePage {
    /// The devices of the page, none when the list was left out.
    #[must_use]
    pub fn into_devices(self) -> Vec<Device> {
        self.devices.unwrap_or_default()
    }
}

fn some_cursor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cursor, D::Error> {
    let cursor = Cursor::deserialize(deserializer)?;
    if cursor.as_str().is_empty() {
        return Err(serde::de::Error::custom("an empty cursor"));
    }
    Ok(cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L9: what is no complete page is an error, never an empty list.
    #[test]
    fn an_incomplete_page_is_an_error() {
        for bad in [
            "",
            "{}",
            "null",
            "[]",
            "<html></html>",
            r#"{"devices":[],"more_to_follow":false}"#,
            r#"{"devices":[],"more_to_follow":false,"cursor":""}"#,
            r#"{"devices":[],"more_to_follow":false,"cursor":null}"#,
            r#"{"devices":[],"cursor":"c"}"#,
            r#"{"devices":[],"more_to_follow":"perhaps","cursor":"c"}"#,
            r#"{"devices":{},"more_to_follow":false,"cursor":"c"}"#,
            r#"{"devices":"","more_to_follow":false,"cursor":"c"}"#,
            r#"{"devices":[{}],"more_to_follow":false,"cursor":"c"}"#,
        ] {
            assert!(serde_json::from_str::<DevicePage>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_left_out_of_a_complete_page_is_an_empty_one() {
        for text in [
            r#"{"devices":null,"more_to_follow":"false","cursor":"c"}"#,
            r#"{"more_to_follow":false,"cursor":"c"}"#,
        ] {
            let page: DevicePage = serde_json::from_str(text).expect("a page");
            assert_eq!((page.devices.is_none(), page.more_to_follow), (true, false));
            assert!(page.into_devices().is_empty());
        }
    }
}
