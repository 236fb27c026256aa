use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use adelie_model::halt;
use flate2::Compression;
use flate2::write::GzEncoder;
use openssl::sha::Sha256;
use serde::Serialize;

use super::catalogue::{SCHEMA, TABLES};
use super::format::{End, FORMAT, Header, NUMBER, Opening, Origin};
use super::{BackupError, Snapshot};
use crate::seal::StoredDataKey;

/// A backup with all rows, and without its end.
pub struct Unfinished<W: Write> {
    lines: Lines<W>,
    header: Header,
    counts: BTreeMap<String, u64>,
}

/// Writes everything but the end. `notice` is told how many rows were written.
///
/// # Errors
/// [`BackupError::Write`] when `out` takes no more, [`BackupError::Store`] when the database refuses.
pub async fn write<W: Write>(
    snapshot: &mut dyn Snapshot,
    out: W,
    origin: &Origin,
    begun: &dyn Fn(&Header),
    notice: &dyn Fn(u64),
) -> Result<Unfinished<W>, BackupError> {
    let header = header(snapshot, origin).await?;
    begun(&header);
    let mut lines = Lines { out: GzEncoder::new(out, Compression::default()), hash: Sha256::new() };
    lines.json(&header)?;
    let mut counts = BTreeMap::new();
    for table in TABLES {
        let last_number = match table.numbered {
            Some(_) => Some(snapshot.last_number(table).await?),
            None => None,
        };
        let columns = table.columns.iter().map(|column| column.name.into()).collect();
        lines.json(&Opening { table: table.name.into(), columns, last_number })?;
        snapshot.open(table).await?;
        let mut written = 0;
        loop {
            let rows = snapshot.rows().await?;
            if rows.is_empty() {
                break;
            }
            rows.iter().try_for_each(|row| lines.line(row))?;
            written += rows.len() as u64;
            notice(rows.len() as u64);
        }
        counts.insert(table.name.to_owned(), written);
        halt::point("backup.after_table");
    }
    Ok(Unfinished { lines, header, counts })
}

async fn header(snapshot: &mut dyn Snapshot, origin: &Origin) -> Result<Header, BackupError> {
    let keys = snapshot.data_keys().await?;
    // Each once, in the order of their names.
    let master_keys: BTreeSet<String> = keys.iter().map(StoredDataKey::master_id).collect();
    let mut rows = 0;
    for table in TABLES {
        rows += snapshot.count(table).await?;
    }
    Ok(Header {
        format: FORMAT.to_owned(),
        number: NUMBER,
        adelie: origin.adelie.clone(),
        made_at: origin.made_at,
        database: snapshot.database().to_owned(),
        installation: snapshot.installation().await?.simple().to_string(),
        schema: SCHEMA,
        master_keys: master_keys.into_iter().collect(),
        rows,
    })
}

impl<W: Write> Unfinished<W> {
    /// The first line.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How many rows each table has.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// Writes the end, without which it is no backup, and gives back what it was written to.
    ///
    /// # Errors
    /// [`BackupError::Write`].
    pub fn finish(self) -> Result<W, BackupError> {
        let Self { lines: Lines { mut out, hash }, counts, .. } = self;
        let end = End { end: counts, sha256: hex::encode(hash.finish()) };
        let mut line = serde_json::to_vec(&end).map_err(|error| BackupError::Write(error.into()))?;
        line.push(b'\n');
        out.write_all(&line).map_err(BackupError::Write)?;
        out.finish().map_err(BackupError::Write)
    }
}

/// Lines that are compressed and hashed.
struct Lines<W: Write> {
    out: GzEncoder<W>,
    hash: Sha256,
}

impl<W: Write> Lines<W> {
    fn json(&mut self, value: &impl Serialize) -> Result<(), BackupError> {
        let line = serde_json::to_string(value).map_err(|error| BackupError::Write(error.into()))?;
        self.line(&line)
    }

    fn line(&mut self, line: &str) -> Result<(), BackupError> {
        for part in [line.as_bytes(), b"\n"] {
            self.hash.update(part);
            self.out.write_all(part).map_err(BackupError::Write)?;
        }
        Ok(())
    }
}
