//! Finds a secret in an output, in whatever form it may have got there.

use std::collections::{BTreeSet, HashMap};

use openssl::base64::encode_block;

/// So many bytes tell whether a longer look is worth it.
const BEGINNING: usize = 8;

/// Looks for pieces of secrets, because a part of one is too much already.
pub struct Search {
    forms: HashMap<[u8; BEGINNING], Vec<Form>>,
}

struct Form {
    /// Whose it is: its place among the secrets that are looked for.
    secret: usize,
    name: &'static str,
    bytes: Vec<u8>,
}

impl Search {
    /// For secrets, each of which may have several values.
    pub fn new<'v>(secrets: impl IntoIterator<Item = &'v [Vec<u8>]>) -> Self {
        let mut forms: HashMap<_, Vec<Form>> = HashMap::new();
        for (secret, values) in secrets.into_iter().enumerate() {
            for (name, bytes) in values.iter().flat_map(|value| pieces(value)).flat_map(forms_of) {
                let beginning = bytes[..BEGINNING].try_into().expect("eight bytes");
                forms.entry(beginning).or_default().push(Form { secret, name, bytes });
            }
        }
        Self { forms }
    }

    /// Which secrets are in an output, each with the form in which it is there.
    pub fn find(&self, output: &[u8]) -> BTreeSet<(usize, &'static str)> {
        let mut found = BTreeSet::new();
        self.look(output, &mut found);
        // Base64 is cut into lines, and lines in JSON are told by their escapes.
        self.look(&squeezed(output), &mut found);
        found
    }

    fn look(&self, output: &[u8], found: &mut BTreeSet<(usize, &'static str)>) {
        for (at, beginning) in output.windows(BEGINNING).enumerate() {
            for form in self.forms.get(beginning).into_iter().flatten() {
                if output[at..].starts_with(&form.bytes) {
                    found.insert((form.secret, form.name));
                }
            }
        }
    }
}

/// Cuts a secret into pieces of 10 to 24 bytes, at least in two if it is long enough.
fn pieces(secret: &[u8]) -> std::slice::Chunks<'_, u8> {
    assert!(
        secret.len() >= 10,
        "too short to be told from other things: {}",
        String::from_utf8_lossy(secret)
    );
    let count = if secret.len() < 20 { 1 } else { secret.len().div_ceil(24).max(2) };
    secret.chunks(secret.len().div_ceil(count))
}

/// A text or bytes, in all the forms in which programs write them.
fn forms_of(piece: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let hex = hex::encode(piece);
    let encoded = |keep: fn(u8) -> bool| -> String {
        let one =
            |byte: &u8| if keep(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
        piece.iter().map(one).collect()
    };
    let reserved = encoded(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    let all = encoded(|_| false);
    let numbers: Vec<_> = piece.iter().map(u8::to_string).collect();
    let mut forms = vec![
        ("plain", piece.to_vec()),
        ("hex", hex.to_ascii_uppercase().into()),
        ("hex", hex.into()),
        ("percent-encoded", small_digits(&reserved).into()),
        ("percent-encoded", reserved.into()),
        ("percent-encoded", small_digits(&all).into()),
        ("percent-encoded", all.into()),
        ("a list of numbers", numbers.join(", ").into()),
        ("a list of numbers", numbers.join(",").into()),
    ];
    if let Ok(text) = std::str::from_utf8(piece) {
        let json = serde_json::to_string(text).expect("JSON");
        forms.push(("escaped", json[1..json.len() - 1].into()));
        forms.push(("escaped", json[1..json.len() - 1].replace('/', "\\/").into()));
    }
    for before in 0..3 {
        let base64 = base64_behind(before, piece);
        forms.push(("base64", base64.replace('+', "-").replace('/', "_").into()));
        forms.push(("base64", base64.into()));
    }
    let mut known = BTreeSet::new();
    forms.retain(|(_, bytes)| known.insert(bytes.clone()));
    forms
}

/// The digits of `%2F` as `%2f`.
fn small_digits(encoded: &str) -> String {
    let mut digits = 0;
    let small = |letter: char| {
        digits = if letter == '%' { 3 } else { usize::saturating_sub(digits, 1) };
        if digits > 0 { letter.to_ascii_lowercase() } else { letter }
    };
    encoded.chars().map(small).collect()
}

/// What stands in base64 whatever comes behind, when so many bytes come before.
fn base64_behind(before: usize, piece: &[u8]) -> String {
    let whole = encode_block(&[vec![0; before].as_slice(), piece].concat());
    let (first, end) = ((before * 8).div_ceil(6), (before + piece.len()) * 8 / 6);
    whole[first..end].to_owned()
}

/// The output without white space and line ends, escaped ones too.
fn squeezed(output: &[u8]) -> Vec<u8> {
    let mut squeezed = Vec::with_capacity(output.len());
    let mut bytes = output.iter().peekable();
    while let Some(byte) = bytes.next() {
        if *byte == b'\\' && bytes.next_if(|next| matches!(next, b'n' | b'r')).is_some() {
            continue;
        }
        if !byte.is_ascii_whitespace() {
            squeezed.push(*byte);
        }
    }
    squeezed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(secret: &[u8], output: impl AsRef<[u8]>) -> Vec<&'static str> {
        let values = [vec![secret.to_vec()]];
        let found = Search::new(values.iter().map(Vec::as_slice)).find(output.as_ref());
        found.into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn every_form_is_found_wherever_it_stands() {
        let secret = b"can/ary+0 \"secret\"?\\of=1";
        let text = std::str::from_utf8(secret).expect("a text");
        let json = serde_json::json!({ "a": { "b": text } }).to_string();
        for (name, output) in [
            ("plain", format!("before {text} behind")),
            ("hex", format!("00{}ff", hex::encode(secret))),
            ("hex", format!("00{}FF", hex::encode_upper(secret))),
            ("percent-encoded", "?a=can%2Fary%2B0%20%22secret%22%3F%5Cof%3D1&b".to_owned()),
            ("percent-encoded", "?a=can%2fary%2b0%20%22secret%22%3f%5cof%3d1&b".to_owned()),
            ("percent-encoded", secret.iter().map(|byte| format!("%{byte:02x}")).collect()),
            ("percent-encoded", secret.iter().map(|byte| format!("%{byte:02X}")).collect()),
            ("escaped", json.clone()),
            ("escaped", json.replace('/', "\\/")),
            ("escaped", format!("{text:?}")),
            ("a list of numbers", format!("{secret:?}")),
            ("a list of numbers", serde_json::to_string(&secret.to_vec()).expect("JSON")),
        ] {
            assert!(finds(secret, &output).contains(&name), "{name} is not found in {output}");
        }
        assert_eq!(finds(secret, "can/ary 0 secret"), [""; 0]);
    }

    #[test]
    fn base64_is_found_at_every_place_in_both_alphabets_and_in_lines() {
        let secret: Vec<u8> = (0..=255).collect();
        for before in 0..7 {
            for behind in 0..4 {
                let whole = [vec![7; before].as_slice(), &secret, &vec![9; behind]].concat();
                let base64 = encode_block(&whole);
                let lines: Vec<&str> = base64.as_bytes().chunks(64).flat_map(std::str::from_utf8).collect();
                let pem = lines.join("\n");
                for output in [
                    base64.clone(),
                    base64.replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned(),
                    pem.clone(),
                    serde_json::json!({ "pem": pem.replace('\n', "\r\n") }).to_string(),
                ] {
                    assert_eq!(finds(&secret, &output), ["base64"], "{before} {behind}");
                }
            }
        }
    }

    #[test]
    fn a_part_is_found_too() {
        for secret in [
            "0123456789",
            "0123456789abcdefghij",
            "a-much-longer-secret-of-sixty-bytes-0123456789-0123456789-end",
        ] {
            for cut in [&secret[secret.len() / 2..], &secret[..secret.len().div_ceil(2)]] {
                let found = finds(secret.as_bytes(), cut);
                assert_eq!(found.is_empty(), secret.len() < 20, "{cut} of {secret}: {found:?}");
            }
            assert!(!finds(secret.as_bytes(), secret).is_empty(), "{secret}");
        }
    }

    #[test]
    fn each_secret_is_told_by_its_place() {
        let values =
            [vec![b"the first one".to_vec()], vec![b"the second".to_vec(), b"another second".to_vec()]];
        let search = Search::new(values.iter().map(Vec::as_slice));
        assert_eq!(search.find(b"-another second-"), BTreeSet::from([(1, "plain")]));
        assert_eq!(search.find(b"nothing"), BTreeSet::new());
    }
}
