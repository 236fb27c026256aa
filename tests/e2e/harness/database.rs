use std::io::Write;
use std::sync::LazyLock;

use adelie_store_postgres::cluster::{Cluster, ClusterError};

/// Where a scenario keeps its data.
pub enum Database {
    /// The default: a file in the data directory.
    Sqlite,
    /// The URL of a fresh database in the cluster of this test binary.
    Postgres(String),
}

/// It stops with the process, although statics are never dropped.
static CLUSTER: LazyLock<Option<Cluster>> = LazyLock::new(|| match Cluster::start() {
    Ok(cluster) => Some(cluster),
    Err(ClusterError::NotInstalled | ClusterError::NoUser)
        if std::env::var_os("ADELIE_TEST_SKIP_POSTGRES").is_some_and(|value| value == "1") =>
    {
        // Not by `eprintln!`, which a test captures.
        let text = b"SKIPPED: no PostgreSQL here, and ADELIE_TEST_SKIP_POSTGRES=1 says to do without it\n";
        std::io::stderr().write_all(text).expect("stderr");
        None
    }
    Err(error) => {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        panic!("{error}{cause}; or set ADELIE_TEST_SKIP_POSTGRES=1 to skip the tests that need it")
    }
});

impl Database {
    /// A fresh PostgreSQL database; `None` where there is none and the tests were told to do without.
    pub fn postgres() -> Option<Self> {
        CLUSTER.as_ref().map(|cluster| Self::Postgres(cluster.new_database().expect("a fresh database")))
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }
}

/// Makes a scenario two tests, one for each database.
macro_rules! on_both_databases {
    ($($(#[$doc:meta])* fn $name:ident($database:ident) $body:block)+) => {
        $(
            $(#[$doc])*
            mod $name {
                use super::*;

                fn scenario($database: $crate::harness::Database) $body

                #[test]
                fn on_sqlite() {
                    scenario($crate::harness::Database::Sqlite);
                }

                #[test]
                fn on_postgres() {
                    if let Some(database) = $crate::harness::Database::postgres() {
                        scenario(database);
                    }
                }
            }
        )+
    };
}
