//! From what PostgreSQL says to what the callers of a store can act on; and trying again what may be.

use std::future::Future;
use std::time::Duration;

use adelie_store::StoreError;

/// How often a transaction that PostgreSQL broke off for the sake of another one is tried in all.
const TRIES: u32 = 6;
/// How long one try may take. Only a dead network or a lock that nobody gives back reaches it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Why a transaction did not commit.
#[derive(Debug)]
pub(crate) enum Failure {
    /// PostgreSQL or the way to it.
    Sql(sqlx::Error),
    /// A reason of our own.
    Store(StoreError),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The result of one try of a transaction.
pub(crate) type Attempt<T> = Result<T, Failure>;

/// Runs a transaction, and again when PostgreSQL broke it off because of a concurrent one.
pub(crate) async fn run<T, F, A>(doing: &'static str, mut transaction: F) -> adelie_store::Result<T>
where
    F: FnMut() -> A + Send,
    A: Future<Output = Attempt<T>> + Send,
{
    let mut tries = 1;
    loop {
        let attempt = tokio::time::timeout(PATIENCE, transaction());
        let error = match attempt.await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(Failure::Store(error))) => return Err(error),
            Ok(Err(Failure::Sql(error))) => error,
            Err(elapsed) => sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, elapsed)),
        };
        if !matches!(code(&error).as_deref(), Some("40001" | "40P01")) || tries == TRIES {
            return Err(store_error(doing, error));
        }
        tracing::debug!(doing, tries, %error, "a concurrent transaction got in the way; trying again");
        tokio::time::sleep(Duration::from_millis(5 << tries)).await;
        tries += 1;
    }
}

/// The SQLSTATE of an error that PostgreSQL reported.
pub(crate) fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned())
}

/// The error of a name that must be unique, or whatever else it was.
pub(crate) fn exists(error: sqlx::Error, what: &'static str, name: &dyn ToString) -> Failure {
    if error.as_database_error().is_some_and(|error| error.is_unique_violation()) {
        return StoreError::Exists { what, name: name.to_string() }.into();
    }
    error.into()
}

pub(crate) fn store_error(doing: &'static str, error: sqlx::Error) -> StoreError {
    match code(&error).as_deref() {
        Some("53100") => StoreError::DiskFull(Box::new(error)),
        _ => StoreError::Database { doing, source: Box::new(error) },
    }
}
