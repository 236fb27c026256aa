//! The inside of a server token: text with or without headers and markers, and JSON in it (protocol sections 1.4, 1.5).

use std::borrow::Cow;

use adelie_model::{Secret, ServerToken, Timestamp, to_millis};
use chrono::{DateTime, Datelike, NaiveDateTime, Utc};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use zeroize::{Zeroize, Zeroizing};

use crate::envelope::lines;
use crate::{DecryptError, FieldProblem, Problem};

const BEGIN: &str = "-----BEGIN MESSAGE-----";
const END: &str = "-----END MESSAGE-----";

/// The token in a decrypted message.
pub(crate) fn server_token(plaintext: &[u8]) -> Result<ServerToken, DecryptError> {
    let text = plaintext.strip_prefix(b"\xef\xbb\xbf").unwrap_or(plaintext);
    // What a wrong key makes of the content is no text, and then nothing may show that padding was right.
    let text = std::str::from_utf8(text).map_err(|_| DecryptError::Undecryptable)?;
    if text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\r' | '\n')) {
        return Err(DecryptError::Undecryptable);
    }
    let json = payload(text);
    let json = json.trim();
    let length = json.chars().count();
    // Checked here, because a struct can also be read from a JSON array.
    if !json.starts_with('{') {
        return Err(DecryptError::NotToken { at: 1, length });
    }
    let fields: Fields<'_> = serde_json::from_str(json).map_err(|error| {
        // Only the position is kept: the error's own text may quote what it has read. There is one line, so the
        // column is the place; it counts bytes.
        let before = json.get(..error.column().saturating_sub(1)).unwrap_or(json);
        DecryptError::NotToken { at: before.chars().count() + 1, length }
    })?;
    fields.into_token()
}

/// The JSON, joined. Lines are compared as a whole and nothing is trimmed off a line of JSON: what looks like
/// part of a marker or like white space may be part of a value (field lesson L47).
fn payload(text: &str) -> Zeroizing<String> {
    let all: Vec<&str> = lines(text).collect();
    let begin = all.iter().position(|line| line.trim() == BEGIN);
    let inside = if let Some(begin) = begin {
        &all[begin + 1..]
    } else {
        // Without markers the JSON is all there is, or what comes after the headers.
        let first = all.iter().position(|line| !line.trim().is_empty()).unwrap_or(0);
        let content = &all[first..];
        let headers = !content.first().is_some_and(|line| line.trim_start().starts_with('{'));
        let blank = content.iter().position(|line| line.trim().is_empty());
        match blank {
            Some(blank) if headers => &content[blank + 1..],
            _ => content,
        }
    };
    let end = inside.iter().position(|line| line.trim() == END).unwrap_or(inside.len());

    // As long as the whole text from the start: a string that grows leaves copies behind that nobody zeroes.
    let mut joined = Zeroizing::new(String::with_capacity(text.len()));
    for line in &inside[..end] {
        joined.extend(line.chars().filter(|c| !matches!(c, '\r' | '\n')));
    }
    joined
}

/// The token's JSON as it may be, so that each field can be judged by itself. Unknown fields are passed over.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    consumer_key: Field<'a>,
    #[serde(borrow, default)]
    consumer_secret: Field<'a>,
    #[serde(borrow, default)]
    access_token: Field<'a>,
    #[serde(borrow, default)]
    access_secret: Field<'a>,
    #[serde(borrow, default)]
    access_token_expiry: Field<'a>,
}

impl Fields<'_> {
    fn into_token(self) -> Result<ServerToken, DecryptError> {
        let mut problems = Vec::new();
        let mut check = |field: &'static str, value: &Field<'_>| {
            problems.extend(value.problem().map(|problem| FieldProblem { field, problem }));
        };
        check("consumer_key", &self.consumer_key);
        check("consumer_secret", &self.consumer_secret);
        check("access_token", &self.access_token);
        check("access_secret", &self.access_secret);
        check("access_token_expiry", &self.access_token_expiry);
        if !problems.is_empty() {
            return Err(DecryptError::Fields { problems });
        }
        let expires_at = moment(self.access_token_expiry.text()).ok_or(DecryptError::Expiry)?;
        Ok(ServerToken {
            consumer_key: self.consumer_key.text().to_owned(),
            consumer_secret: Secret::from(self.consumer_secret.text()),
            access_token: Secret::from(self.access_token.text()),
            access_secret: Secret::from(self.access_secret.text()),
            expires_at,
        })
    }
}

/// One field of the JSON. Texts stay where they are, in a buffer that is zeroed, unless JSON has escaped them.
#[derive(Default)]
enum Field<'a> {
    #[default]
    Missing,
    Text(Cow<'a, str>),
    /// A number, a list, an object, true or false.
    Other,
}

impl Field<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Missing | Self::Other => "",
        }
    }

    fn problem(&self) -> Option<Problem> {
        match self {
            Self::Missing => Some(Problem::Missing),
            Self::Text(text) if text.trim().is_empty() => Some(Problem::Empty),
            Self::Text(text) if text.chars().any(char::is_control) => Some(Problem::Malformed),
            Self::Text(_) => None,
            Self::Other => Some(Problem::Malformed),
        }
    }
}

impl Drop for Field<'_> {
    fn drop(&mut self) {
        if let Self::Text(Cow::Owned(text)) = self {
            text.zeroize();
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Field<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

/// Takes every kind of value: what is wrong with it is said later, and without its value.
struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Field<'de>, E> {
        Ok(Field::Missing)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Field<'de>, E> {
        Ok(Field::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Field<'de>, E> {
        Ok(Field::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Field<'de>, E> {
        Ok(Field::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Field<'de>, E> {
        Ok(Field::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Field<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Field<'de>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }
}

/// ISO 8601, in UTC or with an offset, with or without a fraction. Without a zone it is UTC, as Apple says it is.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let with_zone = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%#z"))
        .map(|moment| moment.with_timezone(&Utc));
    let moment = with_zone.or_else(|_| {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|moment| moment.and_utc())
    });
    // Years that neither a store nor a person would take for an expiry.
    moment.ok().filter(|moment| (1970..=9999).contains(&moment.year())).map(to_millis)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const JSON: &str = r#"{"consumer_key":"CK_1","consumer_secret":"CS_2","access_token":"AT_3","access_secret":"AS_4","access_token_expiry":"2027-01-31T12:00:00Z"}"#;

    fn consumer_secret(text: &str) -> String {
        let token = server_token(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        token.consumer_secret.expose_secret().to_owned()
    }

    #[test]
    fn headers_markers_line_ends_and_blank_lines_may_be_there_or_not() {
        let headers = "Content-Type: text/plain;charset=UTF-8\nContent-Transfer-Encoding: 7bit\n\n";
        let marked = format!("{BEGIN}\n{JSON}\n{END}\n");
        let (early, late) = JSON.split_at(50);
        for text in [
            JSON.to_owned(),
            format!("\n\n  {JSON}\n\n"),
            format!("{headers}{JSON}"),
            format!("\n{headers}\n\n{JSON}\n"),
            marked.clone(),
            format!("{headers}{marked}"),
            format!("{headers}\n{BEGIN}  \n\n{JSON}\n\n{END}\ntrailing words"),
            // The end marker is lost, or the begin marker.
            format!("{headers}{BEGIN}\n{JSON}"),
            format!("{headers}{JSON}\n{END}"),
            format!("{headers}{BEGIN}\n{early}\n{late}\n{END}\n"),
            format!("\u{feff}{headers}{JSON}"),
        ] {
            assert_eq!(consumer_secret(&text), "CS_2");
            assert_eq!(consumer_secret(&text.replace('\n', "\r\n")), "CS_2");
            assert_eq!(consumer_secret(&text.replace('\n', "\r\r\n")), "CS_2");
            assert_eq!(consumer_secret(&text.replace('\n', "\r")), "CS_2");
        }
    }

    /// Wherever a line breaks, the JSON is joined with nothing in between, spaces at the break included.
    #[test]
    fn json_may_be_wrapped_at_every_place() {
        let json = JSON.replace("CS_2", "CS a b");
        for at in 1..json.len() {
            let (early, late) = json.split_at(at);
            assert_eq!(consumer_secret(&format!("{BEGIN}\r\n{early}\r\n{late}\r\n{END}\r\n")), "CS a b");
            assert_eq!(consumer_secret(&format!("A: b\n\n{early}\n{late}")), "CS a b");
        }
    }

    /// L47: markers are whole lines; the letters and dashes that they are made of are left in the JSON.
    #[test]
    fn a_value_that_looks_like_a_marker_is_kept() {
        for secret in ["-----BEGIN MESSAGE-----", "-----END MESSAGE-----", "EGASSEM-----", "-----"] {
            let json = JSON.replace("CS_2", secret);
            assert_eq!(consumer_secret(&format!("{BEGIN}\n{json}\n{END}\n")), secret);
            assert_eq!(consumer_secret(&json), secret);
        }
        // Wrapped so that lines begin and end with what a trimmer by character set would eat.
        let text = format!("{BEGIN}\n{}\n{END}", JSON.replace("CS_2", "CS_\nMESSAGE-\nBEGIN\n-----E"));
        assert_eq!(consumer_secret(&text), "CS_MESSAGE-BEGIN-----E");
    }

    #[test]
    fn unknown_fields_and_escapes_are_taken() {
        let json = JSON.replace("\"CS_2\"", r#""CS\/2é\u00e9","new":{"a":[1,null]},"more":[{}]"#);
        assert_eq!(consumer_secret(&json), "CS/2éé");
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        let json = r#"{"consumer_key":"","consumer_secret":null,"access_token":7,"access_secret":{"a":"b"}}"#;
        let Err(DecryptError::Fields { problems }) = server_token(json.as_bytes()) else {
            panic!("not refused")
        };
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "consumer_key is empty",
                "consumer_secret is missing",
                "access_token is not plain text",
                "access_secret is not plain text",
                "access_token_expiry is missing"
            ]
        );
        for other in ["1.5", "true", "[1]", r#""a\tb""#] {
            let json = JSON.replace("\"AT_3\"", other);
            let problem = FieldProblem { field: "access_token", problem: Problem::Malformed };
            assert_eq!(
                server_token(json.as_bytes()).expect_err(other),
                DecryptError::Fields { problems: vec![problem] }
            );
        }
    }

    #[test]
    fn what_is_no_json_object_is_refused_with_its_place() {
        for (text, at) in [
            ("", 1),
            ("A: b\n\n", 1),
            ("hello", 1),
            ("[\"CK\",\"CS\",\"AT\",\"AS\",\"2027-01-31T12:00:00Z\"]", 1),
            ("{\"é\" 1}", 6),
            ("{\"consumer_key\":\"a\",\"consumer_key\":\"b\"}", 34),
        ] {
            let error = server_token(text.as_bytes()).map(|_| ()).expect_err(text);
            let DecryptError::NotToken { at: found, length } = error else { panic!("{text:?}: {error}") };
            assert!(found.abs_diff(at) <= 1, "{text:?}: {found} of {length}");
        }
        assert!(matches!(server_token(&JSON.as_bytes()[..40]), Err(DecryptError::NotToken { .. })));
        assert!(matches!(server_token(format!("{JSON}x").as_bytes()), Err(DecryptError::NotToken { .. })));
    }

    #[test]
    fn what_is_no_text_looks_like_a_wrong_key() {
        for bytes in [&b"\xff\xfe{"[..], b"{\"a\":\"\x07\"}", b"\0"] {
            assert_eq!(server_token(bytes).map(|_| ()), Err(DecryptError::Undecryptable));
        }
    }

    #[test]
    fn the_expiry_may_have_fractions_and_offsets() {
        for text in [
            "2027-01-31T12:00:00Z",
            "2027-01-31T12:00:00.000Z",
            "2027-01-31T14:00:00+02:00",
            "2027-01-31T14:00:00+0200",
            "2027-01-31T04:00:00.0000-08",
            "2027-01-31 12:00:00Z",
            "2027-01-31T12:00:00",
            " 2027-01-31T12:00:00z ",
        ] {
            let found = moment(text).unwrap_or_else(|| panic!("{text} was refused"));
            assert_eq!(found.to_rfc3339(), "2027-01-31T12:00:00+00:00", "{text}");
        }
        for text in ["", "soon", "2027-01-31", "1801310400", "2027-13-01T00:00:00Z", "+12027-01-01T00:00:00Z"]
        {
            assert_eq!(moment(text), None, "{text}");
        }
        let json = JSON.replace("2027-01-31T12:00:00Z", "next year");
        assert_eq!(server_token(json.as_bytes()).map(|_| ()), Err(DecryptError::Expiry));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, cases: 2000, ..Default::default() })]

        #[test]
        fn arbitrary_content_is_answered(
            text in r#"(-----(BEGIN|END) MESSAGE-----|"(consumer|access)_(key|secret|token)":|"[a-zé\\]{0,3}"|[:,{}\[\]\r\n 0-9u\\é-]|A: b){0,30}"#,
        ) {
            let _ = server_token(text.as_bytes());
            let _ = server_token(format!("{{{text}").as_bytes());
        }

        #[test]
        fn changed_content_is_answered(at in 0..JSON.len(), count in 0..5_usize, new in "[\"\\\\\r\n{}é,:\u{0}]{0,4}") {
            let end = (at + count).min(JSON.len());
            let _ = server_token(format!("{}{new}{}", &JSON[..at], &JSON[end..]).as_bytes());
        }
    }
}
