//! The outside of a `.p7m`: S/MIME, bare base64 or bare DER, and what people mistake for one (protocol section 1.2).

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::{DecryptError, MAX_FILE_BYTES, shape};

/// Forgiving about padding, because a file that was cut off shall be called that and not "not base64".
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What the headers of every S/MIME message of this kind have in them.
const NAMED: &[u8] = b"pkcs7-mime";

/// The CMS message (BER, complete, enveloped data) that the file holds in one form or another.
///
/// All copies on the way are zeroed, because somebody may have passed a private key or a decrypted token.
pub(crate) fn cms_bytes(file: &[u8]) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    if file.len() > MAX_FILE_BYTES {
        return Err(DecryptError::TooLarge { size: file.len() });
    }
    let content = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file).trim_ascii_start();
    if content.is_empty() {
        return Err(DecryptError::Empty);
    }
    let body = if is_text(content) { from_text(content)? } else { Zeroizing::new(content.to_vec()) };
    shape::check(&body)?;
    Ok(body)
}

/// DER always has control characters in it, if only the tag of the object identifier at its beginning.
fn is_text(content: &[u8]) -> bool {
    // Some systems end a text file with a control-Z or fill it up with zeros.
    let end = content.iter().rposition(|byte| !matches!(byte, 0 | 0x1a)).map_or(0, |last| last + 1);
    !content[..end].iter().any(|byte| *byte < 0x20 && !byte.is_ascii_whitespace())
}

fn from_text(content: &[u8]) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    let text = Zeroizing::new(String::from_utf8_lossy(content).into_owned());
    let text = text.trim_end_matches(['\0', '\x1a', ' ', '\t', '\r', '\n']);
    let lines: Vec<&str> = lines(text).collect();

    if text.is_empty() {
        return Err(DecryptError::Empty);
    }
    refuse_other_armor(&lines)?;
    let lines = without_armor(&lines);
    if let Some(bytes) = decode(lines) {
        return Ok(bytes);
    }
    // Not base64 as a whole, so it begins with headers. They are not parsed: Apple's printed sample has one that
    // is folded in a way that no parser of headers takes.
    let blank = lines.iter().position(|line| line.trim().is_empty());
    if let Some(bytes) = blank.and_then(|blank| decode(&lines[blank + 1..])) {
        return Ok(bytes);
    }
    let named = text.as_bytes().windows(NAMED.len()).any(|part| part.eq_ignore_ascii_case(NAMED));
    Err(match (named, blank) {
        (true, Some(_)) => DecryptError::Damaged,
        (true, None) => DecryptError::Truncated,
        (false, _) if is_token_text(lines) => DecryptError::AlreadyDecrypted,
        (false, _) => DecryptError::NotCms,
    })
}

/// Lines that end with LF, CRLF or CR, without their ends.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let ended_by_cr = !text.contains('\n');
    text.split(if ended_by_cr { '\r' } else { '\n' }).map(|line| line.strip_suffix('\r').unwrap_or(line))
}

/// Recognizes by their armor the texts that people pass instead of the `.p7m`. The private key goes first: a file
/// with both a key and a certificate is above all a key that has come into the open.
fn refuse_other_armor(lines: &[&str]) -> Result<(), DecryptError> {
    let labels = || lines.iter().filter_map(|line| pem_label(line));
    if labels().any(|label| label.ends_with("PRIVATE KEY")) {
        return Err(DecryptError::PrivateKey);
    }
    if labels().any(|label| label.contains("CERTIFICATE")) {
        return Err(DecryptError::Certificate);
    }
    if labels().any(|label| label == "MESSAGE") {
        return Err(DecryptError::AlreadyDecrypted);
    }
    Ok(())
}

/// Whether it has the token's JSON in it. Joined, because the JSON may be wrapped in the middle of a name.
fn is_token_text(lines: &[&str]) -> bool {
    let joined = Zeroizing::new(lines.concat());
    ["consumer_key", "consumer_secret", "access_token", "access_secret"]
        .iter()
        .any(|name| joined.contains(name))
}

fn pem_label(line: &str) -> Option<&str> {
    line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----")
}

/// The lines between `-----BEGIN PKCS7-----` (or `CMS`) and its end, if there are such; else all of them.
fn without_armor<'a, 'b>(lines: &'a [&'b str]) -> &'a [&'b str] {
    let begin = lines.iter().position(|line| matches!(pem_label(line), Some("PKCS7" | "CMS")));
    let Some(begin) = begin else { return lines };
    let inside = &lines[begin + 1..];
    let end = inside.iter().position(|line| line.trim_start().starts_with("-----END "));
    &inside[..end.unwrap_or(inside.len())]
}

/// Base64 over any number of lines. A letter too many, left over where a file was cut off, is dropped; one letter
/// alone is no base64.
fn decode(lines: &[&str]) -> Option<Zeroizing<Vec<u8>>> {
    let mut letters = Zeroizing::new(Vec::with_capacity(lines.iter().map(|line| line.len()).sum()));
    letters.extend(lines.iter().flat_map(|line| line.bytes()).filter(|byte| !byte.is_ascii_whitespace()));
    if letters.len() == 1 {
        return None;
    }
    if letters.len() % 4 == 1 {
        letters.pop();
    }
    BASE64.decode(&*letters).ok().map(Zeroizing::new)
}
