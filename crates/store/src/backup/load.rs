use std::collections::BTreeMap;
use std::io::Read;

use adelie_model::halt;

use super::catalogue::{Fill, TABLES};
use super::{BackupError, BackupStore, Header, Part, Reader, Restoration};
use crate::{NewAudit, Operator};

/// A backup that was loaded, and is not committed.
pub struct Loaded {
    restoration: Box<dyn Restoration>,
    /// Its first line.
    pub header: Header,
    /// How many rows were loaded into each table.
    pub counts: BTreeMap<String, u64>,
    /// How many characters the database cannot keep; in their place is U+FFFD.
    pub replaced: u64,
}

/// Loads a backup into a database without content. `notice` is told how many rows were loaded. The data keys that a new
/// database has made for itself are no content: nothing is sealed under them.
///
/// # Errors
/// [`BackupError`]. Then the database is as it was before; so it is when what is returned is dropped.
pub async fn load<R: Read>(
    store: &dyn BackupStore,
    mut reader: Reader<R>,
    notice: &dyn Fn(u64),
) -> Result<Loaded, BackupError> {
    let mut restoration = store.restoration().await?;
    let mut found = Vec::new();
    for table in TABLES.iter().filter(|table| table.fill == Fill::Rows) {
        match restoration.count(table).await? {
            0 => {}
            rows => found.push(format!("{} ({rows})", table.name)),
        }
    }
    if !found.is_empty() {
        return Err(BackupError::NotEmpty(found.join(", ")));
    }
    match fill(&mut *restoration, &mut reader, notice).await {
        Ok(replaced) => {
            let (header, counts) = (reader.header().clone(), reader.counts().clone());
            Ok(Loaded { restoration, header, counts, replaced })
        }
        Err(error @ BackupError::Store(_)) => {
            // A damaged row may be one that the database refuses. What is wrong with the file says more.
            reader.check(&|_| {})?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

async fn fill<R: Read>(
    restoration: &mut dyn Restoration,
    reader: &mut Reader<R>,
    notice: &dyn Fn(u64),
) -> Result<u64, BackupError> {
    let mut open = None;
    let mut numbers = Vec::new();
    let mut replaced = 0;
    while let Some(part) = reader.part()? {
        match part {
            Part::Table { table, columns, last_number } => {
                if table.fill == Fill::Replace {
                    restoration.clear(table).await?;
                }
                numbers.extend(last_number.filter(|last| *last > 0).map(|last| (table, last)));
                open = Some((table, columns));
                halt::point("restore.table");
            }
            Part::Rows { json, count } => {
                // The reader gives no rows before a table.
                if let Some((table, columns)) = &open {
                    replaced += restoration.add(table, columns, &json).await?;
                }
                notice(count);
            }
        }
    }
    for (table, last) in numbers {
        restoration.set_last_number(table, last).await?;
    }
    Ok(replaced)
}

impl Loaded {
    /// Writes an entry to the audit, and makes what was loaded the content of the database.
    ///
    /// # Errors
    /// [`BackupError::Store`]; then nothing was loaded.
    pub async fn commit(self, entry: &NewAudit, by: &Operator) -> Result<(), BackupError> {
        Ok(self.restoration.commit(entry, by).await?)
    }
}
