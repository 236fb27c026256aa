use adelie_model::{Entropy, Secret};
use openssl::hash::MessageDigest;
use openssl::pkcs5::pbkdf2_hmac;
use zeroize::Zeroizing;

/// 128 random bits.
const BYTES: usize = 16;
/// 25 symbols of five bits and one of the last three.
const SYMBOLS: usize = 26;
/// Without B, I, O and S, which are taken for 8, 1, 0 and 5.
const ALPHABET: &[u8; 32] = b"0123456789ACDEFGHJKLMNPQRTUVWXYZ";
/// How many symbols stand between dashes.
const GROUPS: [usize; 6] = [5, 5, 4, 4, 4, 4];
const SALT: [u8; 4] = [0; 4];
const ITERATIONS: usize = 50_000;
const HASH: usize = 32;

/// The code that takes a device out of activation lock (protocol section 10.1).
///
/// Apple gets its hash when the device is locked; a person types the code on the device. Whoever knows it can unlock the
/// device, so it is masked in `Debug` and zeroed when it is dropped.
///
/// <https://developer.apple.com/documentation/devicemanagement/creating-and-using-bypass-codes>
#[derive(Clone, PartialEq, Eq)]
pub struct BypassCode(Zeroizing<[u8; BYTES]>);

/// Why a text is no bypass code. It repeats nothing of the text but one symbol that no code has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BypassCodeError {
    /// Too short or too long.
    #[error(
        "a bypass code has {SYMBOLS} letters and digits, like 3UM43-PUYVY-QYD1-UVCC-HEHJ-FKA4, and this has {0}"
    )]
    Length(usize),
    /// A symbol that is in no code.
    #[error(
        "symbol {at} is {symbol:?}, which no bypass code has: look whether it is another (no code has B, I, O or S)"
    )]
    Symbol {
        /// Its place, from 1, without dashes.
        at: usize,
        /// The symbol.
        symbol: char,
    },
    /// The last symbol has three bits only.
    #[error("the last symbol of a bypass code is one of 0 to 7")]
    Last,
    /// OpenSSL failed.
    #[error("the hash of the bypass code could not be made")]
    Hash,
}

impl BypassCode {
    /// Makes a fresh code.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut raw = Zeroizing::new([0; BYTES]);
        entropy.fill(raw.as_mut_slice());
        Self(raw)
    }

    /// Reads the form that people see. Dashes and blanks count for nothing, and small letters for capital ones.
    ///
    /// # Errors
    /// [`BypassCodeError`] when it is none.
    pub fn parse(text: &str) -> Result<Self, BypassCodeError> {
        let symbols: Zeroizing<Vec<char>> =
            Zeroizing::new(text.chars().filter(|c| *c != '-' && !c.is_whitespace()).collect());
        if symbols.len() != SYMBOLS {
            return Err(BypassCodeError::Length(symbols.len()));
        }
        let mut bits = 0_u128;
        for (place, symbol) in symbols.iter().enumerate() {
            let upper = symbol.to_ascii_uppercase();
            let value = ALPHABET.iter().position(|known| char::from(*known) == upper);
            let value = value.ok_or(BypassCodeError::Symbol { at: place + 1, symbol: *symbol })?;
            let width = if place + 1 == SYMBOLS { 3 } else { 5 };
            if value >= 1 << width {
                return Err(BypassCodeError::Last);
            }
            bits = (bits << width) | value as u128;
        }
        Ok(Self(Zeroizing::new(bits.to_be_bytes())))
    }

    /// The form that people see and type: five symbols, a dash, and so on; 31 characters.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let bits = u128::from_be_bytes(*self.0);
        // The last symbol is the last three bits as they are; ordinary base32 would shift them.
        let value = |place: usize| match place {
            25 => bits & 7,
            _ => (bits >> (123 - 5 * place)) & 31,
        };
        let mut text = Zeroizing::new(String::with_capacity(SYMBOLS + GROUPS.len() - 1));
        let mut place = 0;
        for group in GROUPS {
            if place > 0 {
                text.push('-');
            }
            for _ in 0..group {
                text.push(char::from(ALPHABET[usize::try_from(value(place)).unwrap_or(0)]));
                place += 1;
            }
        }
        text
    }

    /// The hash that Apple gets as `escrow_key`: 64 small hexadecimal digits. Takes some 20 milliseconds.
    ///
    /// # Errors
    /// [`BypassCodeError::Hash`] when OpenSSL fails.
    pub fn escrow_key(&self) -> Result<Secret, BypassCodeError> {
        let mut hash = Zeroizing::new([0; HASH]);
        pbkdf2_hmac(self.0.as_slice(), &SALT, ITERATIONS, MessageDigest::sha256(), hash.as_mut_slice())
            .map_err(|_| BypassCodeError::Hash)?;
        Ok(Secret::from(crate::key::hex(hash.as_slice())))
    }
}

impl std::fmt::Debug for BypassCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BypassCode([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use adelie_model::SeededEntropy;
    use secrecy::ExposeSecret;

    use super::*;

    /// Vectors of protocol section 10.1.
    const VECTORS: [(&str, &str, &str); 3] = [
        (
            "00000000000000000000000000000000",
            "00000-00000-0000-0000-0000-0000",
            "deab860d28deb5b7121d6d8fcf0f78e1471756d1b2c566c03277c23ea8930b4f",
        ),
        (
            "1ea841db5edfafe6075b5ae0d845d254",
            "3UM43-PUYVY-QYD1-UVCC-HEHJ-FKA4",
            "6ab40d5eabe7218ec04182f461005600c7e3426bddd82cdb405bde9a1e0014b5",
        ),
        (
            "f398ef9199e9f0aefea0e782ab8b61a9",
            "YFDFZ-4DTX7-RAXZ-N0WY-1AQ2-V1N1",
            "7c7715d092a5cfcd16a6037555e11e4fa53edda9cda4d8464d58ef39ba9b5b0f",
        ),
    ];

    #[test]
    fn codes_and_hashes_are_apples() {
        for (raw, text, hash) in VECTORS {
            let raw = u128::from_str_radix(raw, 16).expect("hexadecimal").to_be_bytes();
            let code = BypassCode(Zeroizing::new(raw));
            assert_eq!(code.text().as_str(), text);
            assert_eq!(code.escrow_key().expect("a hash").expose_secret(), hash);
            assert_eq!(BypassCode::parse(text), Ok(code.clone()));
            assert_eq!(BypassCode::parse(&text.to_lowercase().replace('-', " ")), Ok(code));
        }
    }

    #[test]
    fn a_fresh_code_is_read_back_and_not_printed() {
        let entropy = SeededEntropy::new(7);
        for _ in 0..200 {
            let code = BypassCode::generate(&entropy);
            assert_eq!(BypassCode::parse(&code.text()), Ok(code.clone()));
            assert!(!format!("{code:?}").contains(&code.text()[..5]));
        }
        assert_ne!(BypassCode::generate(&entropy), BypassCode::generate(&entropy));
    }

    #[test]
    fn what_is_no_code_is_told_from_one() {
        assert_eq!(BypassCode::parse(""), Err(BypassCodeError::Length(0)));
        assert_eq!(BypassCode::parse("3UM43-PUYVY"), Err(BypassCodeError::Length(10)));
        let misread = "3UM43-PUYVY-QYD1-UVCC-HEHJ-FKAB";
        assert_eq!(BypassCode::parse(misread), Err(BypassCodeError::Symbol { at: 26, symbol: 'B' }));
        assert_eq!(BypassCode::parse("3UM43-PUYVY-QYD1-UVCC-HEHJ-FKA8"), Err(BypassCodeError::Last));
    }
}
