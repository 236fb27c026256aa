//! Says what is wrong with bytes that should be a CMS message, where OpenSSL only says that something is.

use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use openssl::x509::{X509, X509Req};

use crate::DecryptError;

/// The object identifier arcs of the content types, without their last number: PKCS #7 and S/MIME.
const PKCS7: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07";
const SMIME_CONTENT: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01";

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// Whether the bytes are a whole CMS message of the type enveloped data, as far as its frame shows.
pub(crate) fn check(bytes: &[u8]) -> Result<(), DecryptError> {
    if bytes.is_empty() {
        return Err(DecryptError::Truncated);
    }
    let Some(found) = content_type(bytes) else { return Err(other_der(bytes)) };
    match frame(bytes) {
        Frame::Whole => {}
        Frame::Cut => return Err(DecryptError::Truncated),
        Frame::Broken => return Err(DecryptError::Damaged),
    }
    match found {
        None => Ok(()),
        Some(found) => Err(DecryptError::NotEnveloped { found }),
    }
}

/// `None`: no CMS message. `Some(None)`: enveloped data. `Some(Some(..))`: what it is instead.
fn content_type(bytes: &[u8]) -> Option<Option<&'static str>> {
    let outer = Header::read(bytes).ok()?;
    let inside = bytes.get(outer.size..)?;
    let object = Header::read(inside).ok()?;
    if outer.tag != SEQUENCE || object.tag != OBJECT_IDENTIFIER {
        return None;
    }
    let value = inside.get(object.size..object.size.checked_add(object.length?)?)?;
    if let Some(last) = value.strip_prefix(PKCS7) {
        return Some(match last {
            [1] => Some("plain data"),
            [2] => Some("signed data or a chain of certificates"),
            [3] => None,
            [5] => Some("digested data"),
            [6] => Some("data encrypted with a password"),
            _ => Some("of an unknown kind"),
        });
    }
    match value.strip_prefix(SMIME_CONTENT)? {
        [9] => Some(Some("compressed data")),
        [23] => Some(Some("authenticated enveloped data")),
        _ => Some(Some("of an unknown kind")),
    }
}

/// The other things in DER that lie around where a `.p7m` is looked for.
fn other_der(bytes: &[u8]) -> DecryptError {
    if X509::from_der(bytes).is_ok() || X509Req::from_der(bytes).is_ok() {
        DecryptError::Certificate
    } else if PKey::private_key_from_der(bytes).is_ok()
        || PKey::private_key_from_pkcs8(bytes).is_ok()
        || Pkcs12::from_der(bytes).is_ok()
    {
        DecryptError::PrivateKey
    } else {
        DecryptError::NotCms
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Frame {
    Whole,
    Cut,
    Broken,
}

/// Walks over the outermost element. Elements of definite length are passed over; only those of indefinite length
/// have to be entered to find their end. No recursion, and each step moves on by two bytes at least.
fn frame(bytes: &[u8]) -> Frame {
    let mut rest = bytes;
    let mut open = 0_usize;
    loop {
        let header = match Header::read(rest) {
            Ok(header) => header,
            Err(frame) => return frame,
        };
        let step = match header.length {
            Some(0) if open > 0 && header.tag == 0 => {
                open -= 1;
                header.size
            }
            Some(length) => header.size.saturating_add(length),
            None => {
                open += 1;
                header.size
            }
        };
        rest = match rest.get(step..) {
            Some(rest) => rest,
            None => return Frame::Cut,
        };
        if open == 0 {
            return Frame::Whole;
        }
    }
}

/// The tag and length at the beginning of an element.
struct Header {
    tag: u8,
    /// How many bytes tag and length take.
    size: usize,
    /// `None` when indefinite.
    length: Option<usize>,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, Frame> {
        let &[tag, first, ref more @ ..] = bytes else { return Err(Frame::Cut) };
        // Tags of several bytes do not occur in CMS.
        if tag & 0x1f == 0x1f {
            return Err(Frame::Broken);
        }
        match first {
            0..=0x7f => Ok(Self { tag, size: 2, length: Some(usize::from(first)) }),
            // Only constructed elements can have an indefinite length.
            0x80 if tag & 0x20 != 0 => Ok(Self { tag, size: 2, length: None }),
            0x81..=0x84 => {
                let count = usize::from(first & 0x7f);
                let digits = more.get(..count).ok_or(Frame::Cut)?;
                let length = digits.iter().fold(0_usize, |sum, digit| (sum << 8) | usize::from(*digit));
                Ok(Self { tag, size: 2 + count, length: Some(length) })
            }
            _ => Err(Frame::Broken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_of_an_element_is_whole_cut_or_broken() {
        // An indefinite sequence with an indefinite [0] in it, and bytes behind it that are nobody's.
        let whole = [0x30, 0x80, 0xa0, 0x80, 0x04, 0x01, 0x07, 0, 0, 0, 0, 9, 9];
        assert_eq!(frame(&whole), Frame::Whole);
        for end in 0..11 {
            assert_eq!(frame(&whole[..end]), Frame::Cut, "cut after {end} bytes");
        }
        assert_eq!(frame(&[0x30, 0x82, 0x01]), Frame::Cut);
        assert_eq!(frame(&[0x30, 0x82, 0x01, 0x00, 0x00]), Frame::Cut);
        assert_eq!(frame(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), Frame::Cut);
        assert_eq!(frame(&[0x30, 0x00]), Frame::Whole);
        assert_eq!(frame(&[0x30, 0x85, 0, 0, 0, 0, 0]), Frame::Broken);
        assert_eq!(frame(&[0x04, 0x80, 0, 0]), Frame::Broken);
        assert_eq!(frame(&[0x3f, 0x80]), Frame::Broken);
    }
}
