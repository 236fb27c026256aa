use std::path::PathBuf;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection, Database, Row};

use super::apple::RUNTIME;

/// The tables of an installation, looked at and disturbed from outside. Every look is a connection of its own, so
/// that it works whatever has become of the database meanwhile.
#[derive(Clone)]
pub enum Ledger {
    /// A file.
    Sqlite(PathBuf),
    /// A URL.
    Postgres(String),
}

/// The columns of a row, all of which must be texts; NULL is empty.
pub type Texts = Vec<String>;

/// A write lock on the whole of a SQLite file, held by another process than the program's.
pub struct WriteLock(SqliteConnection);

impl WriteLock {
    /// Lets go of it.
    pub fn end(mut self) {
        RUNTIME.block_on(async move {
            sqlx::raw_sql("-- unlock\nROLLBACK").execute(&mut self.0).await.expect("the end of the lock");
        });
    }
}

impl Ledger {
    /// The rows of a query.
    pub fn rows(&self, sql: &str) -> Vec<Texts> {
        RUNTIME.block_on(async {
            match self {
                Self::Sqlite(path) => {
                    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut sqlite(path).await).await;
                    rows.expect("rows").iter().map(texts).collect()
                }
                Self::Postgres(url) => loop {
                    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut postgres(url).await).await;
                    // A look at several tables and a migration of them may wait for each other. PostgreSQL ends one of them.
                    if !rows.as_ref().is_err_and(is_deadlock) {
                        break rows.expect("rows").iter().map(texts).collect();
                    }
                },
            }
        })
    }

    /// The first column of the rows of a query.
    pub fn column(&self, sql: &str) -> Vec<String> {
        self.rows(sql).into_iter().map(|row| row.into_iter().next().unwrap_or_default()).collect()
    }

    /// The MDM servers that somebody holds, and nobody else can work on.
    pub fn leased(&self) -> Vec<String> {
        let now = match self {
            Self::Sqlite(_) => "1000 * unixepoch('subsec')",
            Self::Postgres(_) => "now()",
        };
        self.column(&format!(
            "-- leased_servers\nSELECT name FROM mdm_servers WHERE lease_owner IS NOT NULL AND lease_expires_at > {now}"
        ))
    }

    /// Runs statements.
    #[track_caller]
    pub fn run(&self, sql: &str) {
        self.attempt(sql).expect("done");
    }

    /// Runs statements that may be refused.
    pub fn attempt(&self, sql: &str) -> Result<(), sqlx::Error> {
        RUNTIME.block_on(async {
            let sql = sqlx::raw_sql(AssertSqlSafe(sql));
            match self {
                Self::Sqlite(path) => sql.execute(&mut sqlite(path).await).await.map(drop),
                Self::Postgres(url) => sql.execute(&mut postgres(url).await).await.map(drop),
            }
        })
    }

    /// Brings an empty database to the schema that a folder of migrations makes.
    pub fn migrate(&self, folder: PathBuf) {
        RUNTIME.block_on(async {
            let migrator = Migrator::new(folder).await.expect("migrations");
            match self {
                Self::Sqlite(path) => {
                    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
                    let mut connection = SqliteConnection::connect_with(&options).await.expect("a new file");
                    migrator.run_direct(None, &mut connection, false).await.expect("the old schema");
                    connection.close().await.expect("its end");
                }
                Self::Postgres(url) => {
                    let mut connection = postgres(url).await;
                    migrator.run_direct(None, &mut connection, false).await.expect("the old schema");
                }
            }
        });
    }

    /// Whether nobody stands in the middle of a transaction that writes.
    pub fn is_free(&self) -> bool {
        RUNTIME.block_on(async {
            match self {
                Self::Sqlite(path) => {
                    let options =
                        SqliteConnectOptions::new().filename(path).busy_timeout(std::time::Duration::ZERO);
                    let Ok(mut connection) = SqliteConnection::connect_with(&options).await else {
                        return false;
                    };
                    let both = "-- is_free\nBEGIN IMMEDIATE; ROLLBACK";
                    sqlx::raw_sql(both).execute(&mut connection).await.is_ok()
                }
                Self::Postgres(url) => {
                    let all = "-- is_free\nSELECT id FROM mdm_servers FOR UPDATE NOWAIT";
                    sqlx::query(all).fetch_all(&mut postgres(url).await).await.is_ok()
                }
            }
        })
    }

    /// Takes the write lock of a file; `None` when somebody else has it.
    pub fn lock(&self) -> Option<WriteLock> {
        let Self::Sqlite(path) = self else { panic!("only a file is locked as a whole") };
        RUNTIME.block_on(async {
            let mut connection = sqlite(path).await;
            sqlx::raw_sql("-- lock\nBEGIN IMMEDIATE").execute(&mut connection).await.ok()?;
            Some(WriteLock(connection))
        })
    }

    /// Cuts every connection of the program to PostgreSQL, and says how many there were.
    pub fn cut(&self) -> usize {
        self.column(
            "-- cut_connections
             SELECT CAST(pg_terminate_backend(pid) AS text) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'adelie'",
        )
        .len()
    }
}

async fn sqlite(path: &std::path::Path) -> SqliteConnection {
    let patience = std::time::Duration::from_secs(30);
    let options = SqliteConnectOptions::new().filename(path).foreign_keys(false).busy_timeout(patience);
    loop {
        match SqliteConnection::connect_with(&options).await {
            Ok(connection) => return connection,
            // SQLite does not wait while the last connection of another process cleans up behind itself.
            Err(sqlx::Error::Database(error)) if error.message().contains("locked") => {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
}

async fn postgres(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("a connection to PostgreSQL")
}

fn texts<R: Row>(row: &R) -> Texts
where
    usize: sqlx::ColumnIndex<R>,
    for<'r> Option<String>: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    R::Database: Database,
{
    (0..row.len()).map(|place| row.get::<Option<String>, _>(place).unwrap_or_default()).collect()
}

fn is_deadlock(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "40P01")
}
