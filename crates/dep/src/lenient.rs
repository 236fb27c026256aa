//! Reading what is documented in one form and seen in several.

use adelie_model::{Timestamp, to_millis};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// Takes a key out of a record. Absent, `null` and `""` are alike (field lesson L12); a value that does not
/// read as the wanted type stays in the record, so that nothing of Apple's is lost and nothing fails.
pub(crate) fn take<T>(
    record: &mut Map<String, Value>,
    key: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Option<T> {
    let value = record.remove(key)?;
    if is_blank(&value) {
        return None;
    }
    let read = read(&value);
    if read.is_none() {
        record.insert(key.to_owned(), value);
    }
    read
}

/// Whether a value says nothing: `null` or a text of white space.
pub(crate) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

/// A text; a number counts as its digits.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A truth value, also printed as a string like in Apple's roster samples.
pub(crate) fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
        _ => None,
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
/// without an offset is not guessed at.
pub(crate) fn time(value: &Value) -> Option<Timestamp> {
    let text = value.as_str()?.trim();
    DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .ok()
        .map(|moment| to_millis(moment.with_timezone(&Utc)))
}

/// For `deserialize_with` on an optional text.
pub(crate) fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Some(Value::deserialize(deserializer)?).filter(|value| !is_blank(value)).as_ref().and_then(text))
}

/// For `deserialize_with` on an optional moment; one that cannot be read counts as absent.
pub(crate) fn optional_time<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    Ok(time(&Value::deserialize(deserializer)?))
}

/// For `deserialize_with` on an optional number; one that cannot be read counts as absent.
pub(crate) fn optional_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(count(&Value::deserialize(deserializer)?))
}

/// For `deserialize_with` on a truth value that must be there.
pub(crate) fn required_truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let value = Value::deserialize(deserializer)?;
    truth(&value).ok_or_else(|| serde::de::Error::custom("expected true or false"))
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
            assert_eq!(time(&json!(text)), Some(noon), "{text}");
        }
        for bad in [json!("2026-03-01T12:00:00"), json!("yesterday"), json!(17), json!(null)] {
            assert_eq!(time(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_stays_in_the_record() {
        let mut record = json!({"model": ["a"], "color": "", "os": null, "by": -1});
        let record = record.as_object_mut().expect("an object");
        assert_eq!(take(record, "model", text), None);
        assert_eq!(take(record, "color", text), None);
        assert_eq!(take(record, "os", text), None);
        assert_eq!(take(record, "by", text).as_deref(), Some("-1"));
        assert_eq!(Value::Object(record.clone()), json!({"model": ["a"]}));
    }
}
