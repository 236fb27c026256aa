use plist::{Dictionary, Value};
use zeroize::Zeroizing;

use super::{CommandError, xml};
use crate::accounts::PasswordHash;

/// Apple's `passwordHash`: the dictionary `SALTED-SHA512-PBKDF2` with `entropy`, `iterations` and `salt`, written as
/// a property list of its own. Those bytes are the data of the key in a command. XML, because that is the form that
/// MDM servers are known to send.
///
/// # Errors
/// Only when the property list cannot be written.
pub fn password_hash_plist(hash: &PasswordHash) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let mut parts = Dictionary::new();
    parts.insert("entropy".into(), Value::Data(hash.entropy().to_vec()));
    parts.insert("iterations".into(), Value::Integer(hash.iterations().get().into()));
    parts.insert("salt".into(), Value::Data(hash.salt().to_vec()));
    let mut outer = Dictionary::new();
    outer.insert("SALTED-SHA512-PBKDF2".into(), Value::Dictionary(parts));
    xml(outer)
}
