use std::fmt;
use std::num::NonZeroU32;

use adelie_model::Entropy;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha512;
use zeroize::Zeroizing;

/// The bytes that PBKDF2 derives. Apple does not say how many; 128 is what Macs take (protocol section 8.4).
pub const ENTROPY_BYTES: usize = 128;

/// The bytes of a salt (Apple's `passwordHash`).
pub const SALT_BYTES: usize = 32;

/// The rounds for a password of ours: the upper end of what Apple names for hashes that are not made on the Mac
/// itself.
pub const DEFAULT_ITERATIONS: NonZeroU32 = match NonZeroU32::new(40_000) {
    Some(iterations) => iterations,
    None => NonZeroU32::MIN,
};

/// A password as a Mac stores it: salted PBKDF2 with HMAC-SHA512. Masked in `Debug` and zeroed when dropped,
/// because weak passwords can be guessed from it.
#[derive(Clone)]
pub struct PasswordHash {
    entropy: Zeroizing<[u8; ENTROPY_BYTES]>,
    iterations: NonZeroU32,
    salt: [u8; SALT_BYTES],
}

impl PasswordHash {
    /// The hash of a password with this salt and this many rounds. Takes about 50 milliseconds of processor time
    /// with [`DEFAULT_ITERATIONS`].
    #[must_use]
    pub fn derive(password: &SecretString, salt: [u8; SALT_BYTES], iterations: NonZeroU32) -> Self {
        let mut entropy = Zeroizing::new([0; ENTROPY_BYTES]);
        let password = password.expose_secret().as_bytes();
        pbkdf2::pbkdf2_hmac::<Sha512>(password, &salt, iterations.get(), entropy.as_mut_slice());
        Self { entropy, iterations, salt }
    }

    /// Like [`derive`](Self::derive), with a fresh salt.
    #[must_use]
    pub fn with_new_salt(password: &SecretString, entropy: &dyn Entropy, iterations: NonZeroU32) -> Self {
        let mut salt = [0; SALT_BYTES];
        entropy.fill(&mut salt);
        Self::derive(password, salt, iterations)
    }

    /// A hash that was made elsewhere.
    #[must_use]
    pub fn from_parts(entropy: [u8; ENTROPY_BYTES], salt: [u8; SALT_BYTES], iterations: NonZeroU32) -> Self {
        Self { entropy: Zeroizing::new(entropy), iterations, salt }
    }

    /// The derived bytes.
    #[must_use]
    pub fn entropy(&self) -> &[u8; ENTROPY_BYTES] {
        &self.entropy
    }

    /// The salt.
    #[must_use]
    pub fn salt(&self) -> &[u8; SALT_BYTES] {
        &self.salt
    }

    /// The number of rounds.
    #[must_use]
    pub fn iterations(&self) -> NonZeroU32 {
        self.iterations
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHash").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use adelie_model::SeededEntropy;

    use super::*;

    fn rounds(count: u32) -> NonZeroU32 {
        NonZeroU32::new(count).expect("not zero")
    }

    /// Computed with `hashlib.pbkdf2_hmac("sha512", password, salt, iterations, 128)` of Python 3.11; the first one
    /// is also in the protocol reference (section 8.4).
    #[test]
    fn the_derived_bytes_are_those_of_another_implementation() {
        let counting = std::array::from_fn(|at| u8::try_from(at).expect("small"));
        for (password, salt, iterations, entropy) in [
            (
                "correct horse",
                counting,
                25_000,
                "b35ed820825dbb56071a763c968e87d561e500ac372ca43766e6672ca8e467d2\
                 624d1acd34563a04c0d9470d7abaf86a2d134a265b90b1bae92bfd97d37e425c\
                 5c164d8559d559e5dff89b9e7e90566fb6306c19d1fd7f115dd584495a0363f3\
                 5ca7791a2bec89029ba62630c8ce6c2e301eb7907e98e4074e784ab0c6f134f3",
            ),
            (
                "Grüße, 世界",
                [0xff; SALT_BYTES],
                1,
                "62778e644fda2f688807ab24754fa1555362e68230478ce0fac0033dc48dce89\
                 d54be89ad505b9c7c132b947f2e7f9871802338dd4b398f636e0b7adc2daeeff\
                 96103f1e42c771f7777f6bb1bac36dbb6861276e943058a496f969c439d4f6e3\
                 e4401e5019bba235c165ef71d4727fc22665ac4295b410c14939d92bd27132cb",
            ),
        ] {
            let hash = PasswordHash::derive(&password.into(), salt, rounds(iterations));
            assert_eq!(hex::encode(hash.entropy()), entropy, "{password}");
        }
    }

    #[test]
    fn salts_come_from_the_randomness_that_is_passed_in() {
        let entropy = SeededEntropy::new(7);
        let one = PasswordHash::with_new_salt(&"x".into(), &entropy, rounds(1));
        let two = PasswordHash::with_new_salt(&"x".into(), &entropy, rounds(1));
        assert_ne!(one.salt(), two.salt());
        let again = PasswordHash::with_new_salt(&"x".into(), &SeededEntropy::new(7), rounds(1));
        assert_eq!((one.salt(), one.entropy()), (again.salt(), again.entropy()));
        let copy = PasswordHash::from_parts(*one.entropy(), *one.salt(), one.iterations());
        assert_eq!(copy.entropy(), one.entropy());
    }

    #[test]
    fn a_printed_hash_shows_neither_salt_nor_entropy() {
        let hash = PasswordHash::derive(&"secret".into(), [7; SALT_BYTES], rounds(2));
        assert_eq!(format!("{hash:?}"), "PasswordHash { iterations: 2, .. }");
    }
}
