//! Puts a database back to its first schema, with its rows: what a version before all later migrations has left.

use std::path::{Path, PathBuf};

use crate::harness::Ledger;

/// Makes the database one that only the first migration has been through.
pub fn go_back(ledger: &Ledger) {
    let (driver, move_aside, columns_of) = match ledger {
        Ledger::Sqlite(_) => ("store-sqlite", "", "SELECT name FROM pragma_table_info('{}')"),
        Ledger::Postgres(_) => (
            "store-postgres",
            "-- move_aside\nALTER SCHEMA public RENAME TO later; CREATE SCHEMA public;",
            "SELECT CAST(column_name AS text) FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name = '{}'",
        ),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let first =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(driver).join("migrations/0001_initial.sql");
    std::fs::copy(first, folder.path().join("0001_initial.sql")).expect("the first migration");

    let later = match ledger {
        Ledger::Sqlite(path) => Some(rename(path)),
        Ledger::Postgres(_) => {
            ledger.run(move_aside);
            None
        }
    };
    ledger.migrate(folder.path().to_owned());
    let mut script = match &later {
        Some(file) => format!("-- copy_back\nATTACH '{}' AS later;", file.display()),
        None => "-- copy_back\nSET session_replication_role = replica;".to_owned(),
    };
    for table in tables(ledger) {
        let columns = ledger.column(&format!("-- columns\n{}", columns_of.replace("{}", &table)));
        let columns = columns.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        // Events that concern no MDM server came later.
        let known = if table == "events" { " WHERE server_id IS NOT NULL" } else { "" };
        let from = match table.as_str() {
            // The table of data keys has taken its place.
            "vault" => "SELECT 1, sealed FROM later.data_keys WHERE version = 1;".to_owned(),
            _ => format!("SELECT {columns} FROM later.{table}{known};"),
        };
        match later {
            Some(_) => script += &format!("INSERT INTO main.{table} ({columns}) {from}"),
            None => {
                script += &format!("INSERT INTO public.{table} ({columns}) OVERRIDING SYSTEM VALUE {from}")
            }
        }
    }
    if later.is_none() {
        for table in identities(ledger) {
            script += &format!(
                "SELECT setval(pg_get_serial_sequence('public.{table}', 'id'), (SELECT max(id) FROM later.{table}));"
            );
        }
        script += "DROP SCHEMA later CASCADE;";
    }
    ledger.run(&script);
}

/// Moves a database file away, with its log if it has one.
fn rename(path: &Path) -> PathBuf {
    let name = |end: &str| path.with_file_name(format!("adelie.db{end}"));
    let later = |end: &str| path.with_file_name(format!("later.db{end}"));
    for end in ["", "-wal", "-shm"] {
        if name(end).exists() {
            std::fs::rename(name(end), later(end)).expect("a new name");
        }
    }
    later("")
}

fn tables(ledger: &Ledger) -> Vec<String> {
    ledger.column(match ledger {
        Ledger::Sqlite(_) => {
            "-- tables
             SELECT name FROM sqlite_schema
             WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> '_sqlx_migrations'"
        }
        Ledger::Postgres(_) => {
            "-- tables
             SELECT CAST(table_name AS text) FROM information_schema.tables
             WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'"
        }
    })
}

/// The tables whose rows PostgreSQL numbers.
fn identities(ledger: &Ledger) -> Vec<String> {
    ledger.column(
        "-- identities
         SELECT CAST(table_name AS text) FROM information_schema.columns
         WHERE table_schema = 'public' AND column_name = 'id' AND is_identity = 'YES'",
    )
}
