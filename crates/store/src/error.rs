use adelie_model::{ServerId, Timestamp};

use crate::ConfigurationError;

/// Why a store did not do what it was asked. Nothing was changed in any of these cases.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A name or id that must be unique is taken.
    #[error("{what} {name:?} already exists: choose another name")]
    Exists {
        /// The kind of thing, like `MDM server`.
        what: &'static str,
        /// The name that is taken.
        name: String,
    },
    /// A row that the caller relies on is gone.
    #[error("{what} {name:?} does not exist (any more)")]
    Missing {
        /// The kind of thing, like `MDM server`.
        what: &'static str,
        /// How it was named.
        name: String,
    },
    /// What people decide cannot be changed so.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// Another process has taken over this MDM server; what we hold is stale (field lesson L16).
    #[error("another copy of Adelie has taken over MDM server {0}: this run stops and changes nothing more")]
    LeaseLost(ServerId),
    /// The database was written by a newer Adelie.
    #[error(
        "the database has schema version {found} and this Adelie knows versions up to {known}: update Adelie"
    )]
    SchemaTooNew {
        /// The newest migration in the database.
        found: i64,
        /// The newest migration that this program knows.
        known: i64,
    },
    /// A migration in the database differs from ours.
    #[error(
        "migration {0} of the database is not the one this Adelie knows: the database belongs to another program \
         or to a changed build; restore a backup or use the Adelie that made it"
    )]
    SchemaForeign(i64),
    /// The file or server cannot be opened at all.
    #[error("the database {place} cannot be opened: {hint}")]
    Open {
        /// Path or URL without its password.
        place: String,
        /// What to check.
        hint: String,
        /// What the database said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The disk under the database is full.
    #[error(
        "the disk that holds the database is full: free some space; nothing was changed and work goes on by itself"
    )]
    DiskFull(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Somebody else works on the database, and does not let go of it.
    #[error(
        "another process works on the database: stop the service, and wait for other commands, before it is restored"
    )]
    InUse(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Something stored cannot be read as what it must be.
    #[error("stored data is damaged: {what} holds {value:?}")]
    Damaged {
        /// Table and column.
        what: &'static str,
        /// What stands there, cut short; never a secret.
        value: String,
    },
    /// Anything else that the database refused; worth trying again later.
    #[error("the database refused to {doing}")]
    Database {
        /// The named transaction or statement.
        doing: &'static str,
        /// What the database said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// Whether the same call may succeed later without anybody doing anything about it.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::DiskFull(_) | Self::Database { .. } | Self::Open { .. })
    }

    /// The error of a column that holds what it must not, with its value cut short.
    #[must_use]
    pub fn damaged(what: &'static str, value: impl std::fmt::Display) -> Self {
        Self::Damaged { what, value: value.to_string().chars().take(80).collect() }
    }

    /// Checks the version found in a database against the newest one that the program knows.
    ///
    /// # Errors
    /// [`StoreError::SchemaTooNew`] when the database is ahead.
    pub fn check_schema(found: Option<i64>, known: i64) -> Result<(), Self> {
        match found {
            Some(found) if found > known => Err(Self::SchemaTooNew { found, known }),
            _ => Ok(()),
        }
    }

    /// Says of which MDM server a row is missing.
    #[must_use]
    pub fn no_server(id: ServerId) -> Self {
        Self::Missing { what: "MDM server", name: id.to_string() }
    }
}

/// Reads a stored moment in milliseconds since 1970.
///
/// # Errors
/// [`StoreError::Damaged`] when the number is no moment.
pub fn moment(what: &'static str, millis: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_timestamp_millis(millis).ok_or_else(|| StoreError::damaged(what, millis))
}
