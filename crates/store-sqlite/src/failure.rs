//! From what SQLite says to what the callers of a store can act on.

use std::future::Future;

use adelie_store::StoreError;

/// Why a transaction did not commit.
#[derive(Debug)]
pub(crate) enum Failure {
    /// SQLite or the file under it.
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

/// The result of a transaction on its way.
pub(crate) type Attempt<T> = Result<T, Failure>;

/// Runs a transaction and says what was being done when it failed.
pub(crate) async fn run<T>(
    doing: &'static str,
    transaction: impl Future<Output = Attempt<T>> + Send,
) -> adelie_store::Result<T> {
    match transaction.await {
        Ok(value) => Ok(value),
        Err(Failure::Store(error)) => Err(error),
        Err(Failure::Sql(error)) => Err(store_error(doing, error)),
    }
}

/// SQLite's extended result code.
pub(crate) fn code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

/// The error of a name that must be unique, or whatever else it was.
pub(crate) fn exists(error: sqlx::Error, what: &'static str, name: &dyn ToString) -> Failure {
    if error.as_database_error().is_some_and(|error| error.is_unique_violation()) {
        return StoreError::Exists { what, name: name.to_string() }.into();
    }
    error.into()
}

pub(crate) fn store_error(doing: &'static str, error: sqlx::Error) -> StoreError {
    const FULL: i32 = 13;
    match code(&error) {
        Some(FULL) => StoreError::DiskFull(Box::new(error)),
        _ => StoreError::Database { doing, source: Box::new(error) },
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Connection;
    use sqlx::sqlite::SqliteConnection;

    use super::*;

    #[tokio::test]
    async fn a_full_disk_is_named() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql("PRAGMA max_page_count = 3; CREATE TABLE t (x)")
            .execute(&mut connection)
            .await
            .unwrap();
        let error = sqlx::query("INSERT INTO t VALUES (zeroblob(100000))")
            .execute(&mut connection)
            .await
            .expect_err("three pages are not enough");
        let error = run::<()>("fill it", async { Err(error.into()) }).await.expect_err("as given");
        assert!(matches!(error, StoreError::DiskFull(_)), "{error:?}");
        assert!(error.is_transient());
        let error = sqlx::query("SELECT nothing").execute(&mut connection).await.expect_err("no such column");
        let error = store_error("look", error);
        assert!(matches!(error, StoreError::Database { doing: "look", .. }), "{error:?}");
    }
}
