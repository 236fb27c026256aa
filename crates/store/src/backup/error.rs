use crate::StoreError;

/// Why a backup was not made or not restored. A database into which one was to be loaded is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file is something else.
    #[error("this is no backup of Adelie: {0}")]
    NotABackup(&'static str),
    /// The end of the file is missing.
    #[error(
        "the backup is incomplete: it ends {0}, so that it was cut off, or the disk was full when it was made"
    )]
    Incomplete(String),
    /// The file is not what was written.
    #[error("the backup is damaged: {0}")]
    Damaged(String),
    /// The file has a form that a newer Adelie made.
    #[error("the backup has format {found} and this Adelie reads formats up to {known}: update Adelie")]
    NewerFormat {
        /// That of the file.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// The file has tables or columns that only a newer Adelie knows.
    #[error(
        "the backup was made by Adelie {adelie} with schema {found}, and this Adelie knows schemas up to {known}: update \
         Adelie"
    )]
    NewerSchema {
        /// The version of the program that made it.
        adelie: String,
        /// That of the file.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// The database has something in it already.
    #[error("the database is not empty: it has rows in {0}")]
    NotEmpty(String),
    /// The file cannot be read.
    #[error("the backup cannot be read")]
    Read(#[source] std::io::Error),
    /// The file cannot be written.
    #[error("the backup cannot be written")]
    Write(#[source] std::io::Error),
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}
