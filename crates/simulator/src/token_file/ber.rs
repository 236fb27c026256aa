//! As much of BER as a token file needs, written out so that every length is under our control.

/// The two ways to say where an element ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Definite,
    /// `80`, the content, and two zero bytes, as Bouncy Castle streams it.
    Indefinite,
}

/// An element of definite length.
pub(super) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    wrap(tag, parts, Length::Definite)
}

/// An element around its parts.
pub(super) fn wrap(tag: u8, parts: &[&[u8]], length: Length) -> Vec<u8> {
    let size: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(size + 8);
    out.push(tag);
    match length {
        Length::Indefinite => out.push(0x80),
        Length::Definite => match u8::try_from(size) {
            Ok(short) if short < 0x80 => out.push(short),
            _ => {
                let bytes = size.to_be_bytes();
                let skip = bytes.iter().take_while(|byte| **byte == 0).count();
                out.push(0x80 | u8::try_from(bytes.len() - skip).unwrap_or(8));
                out.extend_from_slice(&bytes[skip..]);
            }
        },
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    if length == Length::Indefinite {
        out.extend_from_slice(&[0, 0]);
    }
    out
}

/// The recipient identifier of a DER certificate: issuer and serial, byte for byte. A library would read
/// the serial as a number and lose a form that is negative as DER, which Apple's own sample has.
pub(super) fn issuer_and_serial(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    if fields.first() == Some(&0xA0) {
        fields = element(fields)?.2;
    }
    let (serial, _, rest) = element(fields)?;
    let (_, _, rest) = element(rest)?;
    let (issuer, _, _) = element(rest)?;
    Some(tlv(0x30, &[issuer, serial]))
}

/// The first element: all of it, its content, and what follows it.
fn element(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let first = usize::from(*bytes.get(1)?);
    let (head, size) = if first < 0x80 {
        (2, first)
    } else {
        let count = first & 0x7F;
        let digits = bytes.get(2..2 + count)?;
        let size = digits
            .iter()
            .try_fold(0_usize, |size, digit| size.checked_mul(256).map(|size| size + usize::from(*digit)))?;
        (2 + count, size)
    };
    let end = head.checked_add(size)?;
    Some((bytes.get(..end)?, bytes.get(head..end)?, bytes.get(end..)?))
}
