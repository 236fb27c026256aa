use std::num::NonZeroU32;

use adelie_model::Entropy;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::PasswordHash;

/// Where the managed administrator's password comes from.
#[derive(Clone, Debug)]
pub enum AdministratorPassword {
    /// This one, on every device.
    Given(SecretString),
    /// One that only its maker knows, on every device.
    Hashed(PasswordHash),
    /// A new one for each device.
    Generated,
    /// The one that the stored profile has, which is not known here: a file that was written from it says so.
    Stored,
}

/// The administrator's password of one device.
#[derive(Clone, Debug)]
pub struct DevicePassword {
    /// What the device receives.
    pub hash: PasswordHash,
    /// The password itself, when it was made for this device. Keep it, sealed: nothing can tell it again.
    pub generated: Option<SecretString>,
}

impl AdministratorPassword {
    /// The password for one device: a fresh salt and `iterations` rounds where the hash is not there already. A
    /// generated password has [`GENERATED_LENGTH`] characters.
    ///
    /// # Errors
    /// When the randomness does not do for a password, or when the password is not known here.
    pub fn for_device(
        &self,
        entropy: &dyn Entropy,
        iterations: NonZeroU32,
    ) -> Result<DevicePassword, PasswordError> {
        Ok(match self {
            Self::Stored => return Err(PasswordError::Stored),
            Self::Hashed(hash) => DevicePassword { hash: hash.clone(), generated: None },
            Self::Given(password) => DevicePassword {
                hash: PasswordHash::with_new_salt(password, entropy, iterations),
                generated: None,
            },
            Self::Generated => {
                let password = generate_password(entropy, GENERATED_LENGTH)?;
                let hash = PasswordHash::with_new_salt(&password, entropy, iterations);
                DevicePassword { hash, generated: Some(password) }
            }
        })
    }

    /// Whether it is to be kept apart from what is shown.
    pub(crate) fn is_secret(&self) -> bool {
        matches!(self, Self::Given(_) | Self::Hashed(_))
    }
}

/// Why a device gets no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// There is no randomness to make one of.
    #[error(transparent)]
    Weak(#[from] WeakEntropy),
    /// It is with the stored profile, and these settings were not given it.
    #[error("the password is with the stored profile and was not loaded")]
    Stored,
}

/// The characters of a generated password: 20 of 64 make 120 bits.
pub const GENERATED_LENGTH: usize = 20;

/// Fewer characters are not generated.
pub const MIN_GENERATED_LENGTH: usize = 15;

/// Randomness that repeats itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source of randomness gives the same again and again, which makes no password")]
pub struct WeakEntropy;

/// 64 characters that nobody takes for one another, so that six random bits are one character: without I, O, i, l,
/// o, 0 and 1, and without signs that sit behind a dead key.
const ALPHABET: &[u8; 64] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789#%+=?@*!-";

const CLASSES: [fn(&u8) -> bool; 4] =
    [u8::is_ascii_uppercase, u8::is_ascii_lowercase, u8::is_ascii_digit, u8::is_ascii_punctuation];

/// A password of `length` characters, at least [`MIN_GENERATED_LENGTH`], with capital and small letters, digits and
/// signs. Every password that has all four is as probable as any other, because one that lacks a class is thrown
/// away as a whole.
///
/// # Errors
/// When a thousand attempts lack a class each, which does not happen with real randomness.
pub fn generate_password(entropy: &dyn Entropy, length: usize) -> Result<SecretString, WeakEntropy> {
    const ATTEMPTS: usize = 1000;
    let mut bytes = Zeroizing::new(vec![0; length.max(MIN_GENERATED_LENGTH)]);
    for _ in 0..ATTEMPTS {
        entropy.fill(&mut bytes);
        for byte in bytes.iter_mut() {
            *byte = ALPHABET[usize::from(*byte & 0x3f)];
        }
        if CLASSES.iter().all(|class| bytes.iter().any(class)) {
            let password: String = bytes.iter().copied().map(char::from).collect();
            return Ok(SecretString::from(password));
        }
    }
    Err(WeakEntropy)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use adelie_model::SeededEntropy;
    use secrecy::ExposeSecret;

    use super::super::DEFAULT_ITERATIONS;
    use super::*;

    struct Zeros;

    impl Entropy for Zeros {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(0);
        }
    }

    #[test]
    fn the_alphabet_has_64_different_characters_and_no_ambiguous_one() {
        assert_eq!(ALPHABET.iter().collect::<BTreeSet<_>>().len(), 64);
        assert!(!ALPHABET.iter().any(|c| b"IOilo01'\"`^~".contains(c)));
        assert!(ALPHABET.iter().all(|c| CLASSES.iter().filter(|class| class(c)).count() == 1));
    }

    #[test]
    fn every_password_is_long_and_has_all_classes() {
        let entropy = SeededEntropy::new(1);
        let mut seen = BTreeSet::new();
        let mut used = BTreeSet::new();
        for length in [0, 15, 20, 40] {
            for _ in 0..200 {
                let password = generate_password(&entropy, length).expect("random");
                let text = password.expose_secret();
                assert_eq!(text.len(), length.max(15));
                assert!(CLASSES.iter().all(|class| text.as_bytes().iter().any(class)), "{text}");
                used.extend(text.bytes());
                assert!(seen.insert(text.to_owned()), "twice");
            }
        }
        assert_eq!(used.len(), 64, "all characters occur");
    }

    /// Each character is as frequent as any other of its class; the classes differ by the redrawing alone.
    #[test]
    fn characters_are_drawn_evenly() {
        let entropy = SeededEntropy::new(2);
        let mut counts = [0_u32; 256];
        for _ in 0..4000 {
            for byte in generate_password(&entropy, 20).expect("random").expose_secret().bytes() {
                counts[usize::from(byte)] += 1;
            }
        }
        let counts: Vec<_> = ALPHABET.iter().map(|byte| counts[usize::from(*byte)]).collect();
        // 80,000 characters over 64: 1250 each, with a standard deviation of 35.
        assert!(counts.iter().all(|count| (1050..1500).contains(count)), "{counts:?}");
    }

    #[test]
    fn constant_randomness_is_refused() {
        assert_eq!(generate_password(&Zeros, 20).err(), Some(WeakEntropy));
    }

    #[test]
    fn each_kind_gives_a_device_its_hash_and_prints_no_secret() {
        let entropy = SeededEntropy::new(3);
        let one = NonZeroU32::MIN;
        let given = AdministratorPassword::Given("hunter2 hunter2".into());
        let first = given.for_device(&entropy, one).expect("given");
        let second = given.for_device(&entropy, one).expect("given");
        assert_ne!(first.hash.salt(), second.hash.salt(), "each device has its own salt");
        assert!(first.generated.is_none());

        let hashed =
            AdministratorPassword::Hashed(first.hash.clone()).for_device(&entropy, one).expect("hashed");
        assert_eq!(hashed.hash.entropy(), first.hash.entropy());

        let made = AdministratorPassword::Generated.for_device(&entropy, one).expect("generated");
        let password = made.generated.clone().expect("generated");
        let again = PasswordHash::derive(&password, *made.hash.salt(), one);
        assert_eq!(again.entropy(), made.hash.entropy());
        assert_eq!(password.expose_secret().len(), GENERATED_LENGTH);

        assert_eq!(
            AdministratorPassword::Stored.for_device(&entropy, one).err(),
            Some(PasswordError::Stored)
        );

        let printed = format!("{given:?} {made:?} {DEFAULT_ITERATIONS}");
        assert!(!printed.contains("hunter2") && !printed.contains(password.expose_secret()), "{printed}");
    }
}
