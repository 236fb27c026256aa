use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A table that refuses a key that is there twice, on any level: JSON and YAML readers would silently take the last
/// one.
pub(super) struct Table(pub(super) Map<String, Value>);

/// Any value, with such tables in it.
struct Node(Value);

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TableVisitor;

        impl<'de> Visitor<'de> for TableVisitor {
            type Value = Table;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of keys")
            }

            fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Table, A::Error> {
                table(entries).map(Table)
            }
        }

        deserializer.deserialize_map(TableVisitor)
    }
}

fn table<'de, A: MapAccess<'de>>(mut entries: A) -> Result<Map<String, Value>, A::Error> {
    let mut table = Map::new();
    while let Some((key, Node(value))) = entries.next_entry::<String, Node>()? {
        if table.contains_key(&key) {
            return Err(A::Error::custom(format_args!("the key `{key}` is there twice")));
        }
        table.insert(key, value);
    }
    Ok(table)
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NodeVisitor;

        impl<'de> Visitor<'de> for NodeVisitor {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E: Error>(self) -> Result<Node, E> {
                Ok(Node(Value::Null))
            }

            fn visit_bool<E: Error>(self, flag: bool) -> Result<Node, E> {
                Ok(Node(flag.into()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Node, E> {
                Ok(Node(number.into()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Node, E> {
                Ok(Node(number.into()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Node, E> {
                match serde_json::Number::from_f64(number) {
                    Some(number) => Ok(Node(number.into())),
                    None => Err(E::custom(format_args!("{number} is no number that Apple takes"))),
                }
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
                Ok(Node(text.into()))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Node, E> {
                Ok(Node(text.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
                let mut list = Vec::new();
                while let Some(Node(item)) = items.next_element()? {
                    list.push(item);
                }
                Ok(Node(list.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Node, A::Error> {
                table(entries).map(|table| Node(table.into()))
            }
        }

        deserializer.deserialize_any(NodeVisitor)
    }
}
