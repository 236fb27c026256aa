use crate::control::ControlError;

/// The longest serial number that the simulator keeps; Apple's have 10 to 12 characters.
const LONGEST: usize = 23;

/// Thirty-two characters that Apple's serial numbers use; a power of two makes encoding a shift.
const ALPHABET: &[u8; 32] = b"0123456789ACDEFGHJKLMNPQRTUVWXYZ";

/// A serial number in place: a million of them are one block of memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Serial {
    bytes: [u8; LONGEST],
    len: u8,
}

impl Serial {
    /// Reads one. Only characters that need no escape in JSON or in an address are taken.
    pub(crate) fn parse(text: &str) -> Result<Self, ControlError> {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > LONGEST || !text.chars().all(good) {
            return Err(ControlError::Serial(text.to_owned()));
        }
        Ok(Self::from_ascii(text.as_bytes()))
    }

    /// The serial number that belongs to a running number of a seed: unique per seed, 12 characters.
    ///
    /// Three for a factory, five that carry the number (scrambled, one to one), four for the model.
    pub(crate) fn generate(number: u32, seed: u64, kind: u8) -> Self {
        const FACTORIES: [&[u8; 3]; 6] = [b"C02", b"DMP", b"FVF", b"G6T", b"H4X", b"F9F"];
        let mixed = super::mix(seed);
        // A multiplication by an odd number and an xor are one to one on 25 bits.
        let unique = (number.wrapping_mul(0x01A4_E3F5) ^ low25(mixed)) & 0x01FF_FFFF;
        let factory = FACTORIES[usize::from(kind) % FACTORIES.len()];
        let mut bytes = [0; 12];
        bytes[..3].copy_from_slice(factory);
        for (place, byte) in bytes[3..8].iter_mut().enumerate() {
            *byte = ALPHABET[(unique >> (5 * (4 - place)) & 31) as usize];
        }
        let model = super::mix(u64::from(kind) + 77);
        for (place, byte) in bytes[8..].iter_mut().enumerate() {
            *byte = ALPHABET[(model >> (5 * place) & 31) as usize];
        }
        Self::from_ascii(&bytes)
    }

    fn from_ascii(text: &[u8]) -> Self {
        let mut bytes = [0; LONGEST];
        bytes[..text.len()].copy_from_slice(text);
        Self { bytes, len: u8::try_from(text.len()).unwrap_or(0) }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl std::fmt::Debug for Serial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

fn low25(value: u64) -> u32 {
    u32::try_from(value & 0x01FF_FFFF).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn generated_serials_are_unique_and_differ_by_seed() {
        let of = |seed| (0..200_000).map(|n| Serial::generate(n, seed, 3)).collect::<HashSet<_>>();
        let (first, second) = (of(1), of(2));
        assert_eq!((first.len(), second.len()), (200_000, 200_000));
        assert!(first.iter().next().expect("one").as_str().len() == 12);
        assert_ne!(first, second);
    }

    #[test]
    fn a_serial_that_would_break_json_is_refused() {
        for bad in ["", "A B", "A\"B", "A/B", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"] {
            assert!(Serial::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Serial::parse("C02EXAMPLE01").expect("good").as_str(), "C02EXAMPLE01");
    }
}
