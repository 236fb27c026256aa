use adelie_model::Entropy;
use openssl::error::ErrorStack;
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use zeroize::Zeroizing;

pub(super) const KEY: usize = 32;
pub(super) const NONCE: usize = 12;
pub(super) const TAG: usize = 16;

/// A key of AES-256.
pub(super) type Key = Zeroizing<[u8; KEY]>;

/// A fresh key.
pub(super) fn fresh(entropy: &dyn Entropy) -> Key {
    let mut key = Zeroizing::new([0; KEY]);
    entropy.fill(key.as_mut_slice());
    key
}

/// A key of these bytes, if they are as many.
pub(super) fn key(bytes: &[u8]) -> Option<Key> {
    <[u8; KEY]>::try_from(bytes).ok().map(Zeroizing::new)
}

/// Nonce, ciphertext and tag.
pub(super) fn encrypt(
    key: &Key,
    bound_to: &[u8],
    plain: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, ErrorStack> {
    let mut nonce = [0; NONCE];
    entropy.fill(&mut nonce);
    let mut tag = [0; TAG];
    let ciphertext =
        encrypt_aead(Cipher::aes_256_gcm(), key.as_slice(), Some(&nonce), bound_to, plain, &mut tag)?;
    Ok([nonce.as_slice(), &ciphertext, &tag].concat())
}

/// What was encrypted; `None` when it was changed, or bound to something else, or encrypted with another key.
pub(super) fn decrypt(key: &Key, bound_to: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_at_checked(NONCE)?;
    let (ciphertext, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
    decrypt_aead(Cipher::aes_256_gcm(), key.as_slice(), Some(nonce), bound_to, ciphertext, tag)
        .ok()
        .map(Zeroizing::new)
}
