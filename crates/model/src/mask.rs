use std::cmp::Reverse;

use secrecy::ExposeSecret;

use crate::Secret;

const MASKED: &str = "[masked]";

/// Cuts secrets out of what others answer before any of it is kept or told: a proxy may repeat what it was sent.
#[derive(Clone, Debug, Default)]
pub struct Mask(Vec<Secret>);

impl Mask {
    /// For these secrets, in the forms in which a text may have them: as they are, in a URL, out of a URL, and in JSON.
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s Secret>) -> Self {
        let forms = secrets.into_iter().flat_map(|secret| forms(secret.expose_secret()));
        let mut forms: Vec<Secret> = forms.filter(|form| !form.is_empty()).map(Secret::from).collect();
        // What is part of something longer would leave the rest of that behind.
        forms.sort_by_key(|form| Reverse(form.expose_secret().len()));
        Self(forms)
    }

    /// The text without them.
    #[must_use]
    pub fn cover(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, form| text.replace(form.expose_secret(), MASKED))
    }

    /// As [`cover`](Self::cover), of the first `longest` bytes. Where those end, so much is left out that no half of a secret
    /// remains.
    #[must_use]
    pub fn cover_beginning(&self, bytes: &[u8], longest: usize) -> String {
        let beginning = &bytes[..bytes.len().min(longest)];
        let mut text = self.cover(&String::from_utf8_lossy(beginning));
        if beginning.len() < bytes.len() {
            text.truncate(text.floor_char_boundary(text.len().saturating_sub(self.longest())));
        }
        text
    }

    /// How many bytes the longest of them has.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.0.first().map_or(0, |form| form.expose_secret().len())
    }
}

fn forms(secret: &str) -> [String; 5] {
    let json = serde_json::to_string(secret).unwrap_or_default();
    let json = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or_default().to_owned();
    let slashes = json.replace('/', "\\/");
    [secret.to_owned(), encoded(secret), decoded(secret).unwrap_or_default(), json, slashes]
}

fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let one = |byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

/// What stands behind `%2F` and the like; `None` when there is nothing of the sort.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits =
            behind.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    let decoded = String::from_utf8(bytes).ok()?;
    (decoded != text).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_covered_and_the_longest_first() {
        let secrets = ["a/b+c=d", "a/b+c=d\"e", "x%2Fy%3D"].map(Secret::from);
        let mask = Mask::new(&secrets);
        for text in
            ["a/b+c=d", "a%2Fb%2Bc%3Dd", "a\\/b+c=d", "a/b+c=d\"e", r#"a/b+c=d\"e"#, "x%2Fy%3D", "x/y="]
        {
            assert_eq!(mask.cover(&format!("<{text}>")), "<[masked]>", "{text}");
        }
        assert_eq!(Mask::new([&Secret::from("")]).cover("all of it"), "all of it");
        assert!(!format!("{mask:?}").contains("b+c"), "{mask:?}");
    }

    /// Wherever the text is cut, no beginning of a secret remains.
    #[test]
    fn no_half_of_a_secret_remains() {
        let mask = Mask::new([&Secret::from("0123456789")]);
        let text = "some words 0123456789 and more words that are no secret";
        for longest in 0..text.len() + 5 {
            let covered = mask.cover_beginning(text.as_bytes(), longest);
            assert!(!covered.contains("01"), "{longest}: {covered}");
        }
        assert_eq!(mask.cover_beginning(b"words 0123456789", 100), "words [masked]");
    }
}
