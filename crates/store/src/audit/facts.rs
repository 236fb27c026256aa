use serde_json::{Map, Value};

/// What stands where a secret would.
pub const NOT_KEPT: &str = "(not kept)";

/// What an entry says of how something was or is: names and values, as a JSON object.
///
/// There is one way to put something in, [`with`](Self::with), and it keeps no secret, whoever calls it: what stands
/// under a name of a secret is left out, and from texts everything that has the form of one. What the program holds as a
/// secret ([`Sealed`](crate::Sealed), [`Secret`](adelie_model::Secret)) cannot be put in at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts(Map<String, Value>);

/// A name with one of these in it is that of a secret.
const SECRET_NAMES: [&str; 10] = [
    "password",
    "passphrase",
    "passcode",
    "secret",
    "credential",
    "private_key",
    "access_token",
    "bypass_code",
    "authorization",
    "api_key",
];

/// What secrets of ours begin with, and how long they go on at most: to the next character that cannot be part of one.
const SECRET_BEGINNINGS: [&str; 3] = ["whsec_", "whsk_", "adelie-key-"];

impl Facts {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let mut value = value.into();
        keep_no_secret(name, &mut value);
        self.0.insert(name.to_owned(), value);
        self
    }

    /// What it says.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

impl std::fmt::Display for Facts {
    /// The text that is stored and hashed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::to_string(&self.0).map_err(|_| std::fmt::Error)?)
    }
}

fn keep_no_secret(name: &str, value: &mut Value) {
    let plain = name.to_ascii_lowercase().replace('-', "_");
    if SECRET_NAMES.iter().any(|secret| plain.contains(secret)) && !value.is_null() && !value.is_boolean() {
        *value = NOT_KEPT.into();
        return;
    }
    match value {
        Value::String(text) => *text = without_secrets(text),
        Value::Array(values) => values.iter_mut().for_each(|value| keep_no_secret(name, value)),
        Value::Object(object) => {
            *object = std::mem::take(object)
                .into_iter()
                .map(|(name, mut value)| {
                    keep_no_secret(&name, &mut value);
                    (without_secrets(&name), value)
                })
                .collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A text as both databases store it.
pub(super) fn storable(text: &str) -> String {
    // PostgreSQL stores no NUL.
    text.replace('\0', "")
}

/// A text without what has the form of a secret: users and passwords, queries and fragments of URLs; keys and secrets of
/// ours; private keys in PEM.
#[must_use]
pub fn without_secrets(text: &str) -> String {
    let mut text = storable(text);
    if text.contains("PRIVATE KEY-----") {
        return NOT_KEPT.to_owned();
    }
    for beginning in SECRET_BEGINNINGS {
        while let Some(at) = text.find(beginning) {
            let is_part = |c: char| c.is_ascii_alphanumeric() || "+/=_-:".contains(c);
            let end = text[at..].find(|c| !is_part(c)).map_or(text.len(), |length| at + length);
            text.replace_range(at..end, NOT_KEPT);
        }
    }
    clean_urls(&text)
}

fn clean_urls(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let ends = |c: char| c.is_whitespace() || c.is_control() || "\"'<>`".contains(c);
        let (url, behind) = after.split_at(after.find(ends).unwrap_or(after.len()));
        let authority = url.find(['/', '?', '#']).unwrap_or(url.len());
        let host = url[..authority].rfind('@').map_or(0, |at| at + 1);
        if host > 0 {
            clean.push_str(NOT_KEPT);
            clean.push('@');
        }
        let shown = &url[host..];
        match shown.find(['?', '#']) {
            Some(end) => {
                clean.push_str(&shown[..=end]);
                clean.push_str(NOT_KEPT);
            }
            None => clean.push_str(shown),
        }
        rest = behind;
    }
    clean.push_str(rest);
    clean
}
