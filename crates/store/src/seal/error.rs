use super::Place;
use crate::StoreError;

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The text is not that of a master key.
    #[error("this is no master key: a key is one line, `adelie-key-1:` and 44 characters of base64")]
    BadKey,
    /// A data key of the database is sealed under a master key that is not at hand (field lesson L61).
    #[error(
        "data key {version} of the database was sealed under master key {expected}, and the key at hand is {found}: \
         put the key back that belongs to this database, or restore both from the same backup"
    )]
    WrongKey {
        /// The version of the data key.
        version: u32,
        /// The id of the master key that it needs.
        expected: String,
        /// The ids of the keys at hand, and where they come from.
        found: String,
    },
    /// The place where master keys should be has none that can be used.
    #[error("{problem}: {fix}")]
    NoKey {
        /// What is wrong with it.
        problem: String,
        /// What to do.
        fix: String,
    },
    /// A data key does not open, although the master key is the right one.
    #[error(
        "data key {0} does not open: its row was changed or copied from elsewhere; restore it from a backup"
    )]
    DamagedDataKey(u32),
    /// The database has no data key of this version.
    #[error(
        "the sealed value of {place} needs data key {version}, which this database does not have (it has {known}): \
         the row was copied from elsewhere, or the data key was taken away; restore a backup"
    )]
    UnknownDataKey {
        /// What it was sealed for.
        place: Place,
        /// The version that it says.
        version: u32,
        /// The versions that there are.
        known: String,
    },
    /// A sealed value does not open: it was changed, or belongs to another row.
    #[error(
        "the sealed value of {0} does not open: the row was changed or copied from elsewhere; restore it from a backup"
    )]
    Tampered(Place),
    /// It opens, and does not say what it must.
    #[error("the sealed value of {0} opens and cannot be read: restore the row from a backup")]
    Unreadable(Place),
    /// The data keys could not be read from the database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// OpenSSL failed.
    #[error("sealing failed")]
    Crypto(#[from] openssl::error::ErrorStack),
}
