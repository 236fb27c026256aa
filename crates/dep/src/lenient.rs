//! Reading what is documented in one form and seen in several.

use adelie_model::{Timestamp, to_millis};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Whether a value says nothing: `null` or a text of white space.
pub(crate) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

/// A text; a number counts as its digits. Anything else is handed back.
pub(crate) fn text(value: Value) -> Result<String, Value> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(other),
    }
}

/// A truth value, also printed as a string like in Apple's roster samples. Anything else is handed back.
pub(crate) fn truth(value: Value) -> Result<bool, Value> {
    match &value {
        Value::Bool(truth) => Ok(*truth),
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(value),
    }
}

/// A whole number of zero or more, also printed as a string.
pub(crate) fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// An ISO 8601 moment with `Z` or an offset, with or without a fraction, cut to milliseconds. A moment
/// without an offset is not guessed at. Anything else is handed back.
pub(crate) fn time(value: Value) -> Result<Timestamp, Value> {
    let Value::String(text) = &value else { return Err(value) };
    let text = text.trim();
    DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .map(|moment| to_millis(moment.with_timezone(&Utc)))
        .map_err(|_| value)
}

/// For `deserialize_with` on an optional text.
pub(crate) fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Some(Value::deserialize(deserializer)?)
        .filter(|value| !is_blank(value))
        .and_then(|value| text(value).ok()))
}

/// For `deserialize_with` on an optional moment; one that cannot be read counts as absent.
pub(crate) fn optional_time<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    Ok(time(Value::deserialize(deserializer)?).ok())
}

/// For `deserialize_with` on an optional number; one that cannot be read counts as absent.
pub(crate) fn optional_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(count(&Value::deserialize(deserializer)?))
}

/// For `deserialize_with` on a truth value that must be there.
pub(crate) fn required_truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    truth(Value::deserialize(deserializer)?).map_err(|_| serde::de::Error::custom("expected true or false"))
}

/// For `deserialize_with` on a list where `null` stands for an empty one.
pub(crate) fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn moments_are_read_in_every_form_of_iso_8601_with_an_offset() {
        let noon = "2026-03-01T12:00:00Z".parse::<Timestamp>().expect("a moment");
        for text in [
            "2026-03-01T12:00:00Z",
            "2026-03-01T12:00:00.000Z",
            "2026-03-01T13:00:00+01:00",
            "2026-03-01T13:00:00+0100",
            " 2026-03-01T12:00:00.0004Z ",
        ] {
            assert_eq!(time(json!(text)), Ok(noon), "{text}");
        }
        for bad in [json!("2026-03-01T12:00:00"), json!("yesterday"), json!(17), json!(null)] {
            assert_eq!(time(bad.clone()), Err(bad));
        }
    }

    #[test]
    fn a_value_of_another_type_is_handed_back() {
        assert_eq!(text(json!(["a"])), Err(json!(["a"])));
        assert_eq!(text(json!(-1)), Ok("-1".to_owned()));
        assert_eq!(truth(json!(" True ")), Ok(true));
        assert_eq!(truth(json!("perhaps")), Err(json!("perhaps")));
    }
}
