use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Whatever else Apple sent of a device: a few names with their values, in the order of the names. A map of `serde_json`
/// would take 640 bytes for the first of them; of a first import a hundred thousand devices are in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extra(Vec<(String, Value)>);

impl Extra {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.find(name).ok().map(|place| &self.0[place].1)
    }

    /// Gives a name its value, in place of the one it had.
    pub fn insert(&mut self, name: String, value: Value) {
        match self.find(&name) {
            Ok(place) => self.0[place].1 = value,
            Err(place) => self.0.insert(place, (name, value)),
        }
    }

    /// The names and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }
}

impl Extend<(String, Value)> for Extra {
    fn extend<I: IntoIterator<Item = (String, Value)>>(&mut self, more: I) {
        for (name, value) in more {
            self.insert(name, value);
        }
    }
}

impl FromIterator<(String, Value)> for Extra {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(all: I) -> Self {
        let mut extra = Self::new();
        extra.extend(all);
        extra
    }
}

impl IntoIterator for Extra {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Serialize for Extra {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Extra {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Extra;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Extra, A::Error> {
                let mut extra = Extra::new();
                while let Some((name, value)) = map.next_entry()? {
                    extra.insert(name, value);
                }
                Ok(extra)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_the_object_that_it_was_made_of() {
        let object = json!({ "wifi": "a", "imei": ["35", null], "é": { "b": 1.5 }, "": false });
        let extra: Extra = serde_json::from_value(object.clone()).expect("an object");
        assert_eq!(json!(extra), object);
        assert_eq!(serde_json::to_string(&extra).ok(), serde_json::to_string(&object).ok());
        assert!(serde_json::from_str::<Extra>("[]").is_err());
        assert_eq!(json!(Extra::new()), json!({}));
    }

    #[test]
    fn a_name_has_its_last_value() {
        let mut extra: Extra = [("b".to_owned(), json!(1)), ("a".to_owned(), json!(2))].into_iter().collect();
        extra.extend(Extra::from_iter([("b".to_owned(), json!(3))]));
        assert_eq!(extra.iter().collect::<Vec<_>>(), [("a", &json!(2)), ("b", &json!(3))]);
        assert_eq!((extra.get("b"), extra.get("c")), (Some(&json!(3)), None));
        let again: Extra = serde_json::from_str(r#"{"a": 1, "a": 2}"#).expect("an object");
        assert_eq!(again.get("a"), Some(&json!(2)));
    }
}
