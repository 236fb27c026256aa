use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;
use openssl::sha::Sha256;
use serde::de::IgnoredAny;

use super::catalogue::{SCHEMA, tables_of};
use super::format::{END, End, FORMAT, Header, NUMBER, Opening, Recognized};
use super::{BackupError, Column, Table};
use crate::moment;
use crate::seal::StoredDataKey;

/// So many rows, or so many bytes of them, are given at once.
const ROWS: u64 = 1000;
const BYTES: usize = 1 << 20;
/// No row is as long as this; what claims to be one must not fill the memory.
const LONGEST: u64 = 1 << 28;
/// What every gzip file begins with.
const GZIP: u8 = 0x1f;

/// Reads a backup and checks it on the way: only when [`part`](Self::part) has given nothing more, all of it is as it was
/// written.
pub struct Reader<R: Read> {
    lines: Lines<R>,
    header: Header,
    data_keys: Vec<StoredDataKey>,
    /// What was read to find the data keys.
    kept: VecDeque<Part>,
    /// The tables that are still to come.
    expected: VecDeque<&'static Table>,
    /// The table whose rows come now.
    open: Option<(&'static Table, usize)>,
    counts: BTreeMap<String, u64>,
    ended: bool,
}

/// A piece of a backup.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// A table begins.
    Table {
        /// Which.
        table: &'static Table,
        /// Its columns in this backup, in the order of the rows.
        columns: Vec<&'static Column>,
        /// The last number that its numbered column had.
        last_number: Option<i64>,
    },
    /// Rows of the table that began last.
    Rows {
        /// A JSON array with an array for each.
        json: String,
        /// How many there are.
        count: u64,
    },
}

impl<R: Read> Reader<R> {
    /// Reads the beginning: the header and the data keys.
    ///
    /// # Errors
    /// [`BackupError`] when it is no backup, or none that can be read.
    pub fn open(input: R) -> Result<Self, BackupError> {
        let mut input = BufReader::new(input);
        // The decoder takes whatever is shorter than its own header for one that was cut off.
        if input.fill_buf().map_err(BackupError::Read)?.first().is_some_and(|first| *first != GZIP) {
            return Err(BackupError::NotABackup("it is not in gzip format"));
        }
        let mut lines = Lines {
            input: BufReader::with_capacity(1 << 16, MultiGzDecoder::new(input)),
            hash: Sha256::new(),
            number: 0,
            ahead: None,
        };
        let header = read_header(&mut lines)?;
        let mut reader = Self {
            lines,
            expected: tables_of(header.schema).collect(),
            header,
            data_keys: Vec::new(),
            kept: VecDeque::new(),
            open: None,
            counts: BTreeMap::new(),
            ended: false,
        };
        let first = reader.read()?;
        reader.kept.extend(first);
        while reader.lines.peek()?.is_some_and(|line| line.starts_with('[')) {
            let rows = reader.read()?;
            if let Some(Part::Rows { json, .. }) = &rows {
                reader.data_keys.extend(data_keys(json)?);
            }
            reader.kept.extend(rows);
        }
        Ok(reader)
    }

    /// The first line.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The data keys that seal its secrets.
    #[must_use]
    pub fn data_keys(&self) -> &[StoredDataKey] {
        &self.data_keys
    }

    /// How many rows of each table were read.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// What comes next; `None` after the end, when everything was found as it was written.
    ///
    /// # Errors
    /// [`BackupError`] when it is not.
    pub fn part(&mut self) -> Result<Option<Part>, BackupError> {
        match self.kept.pop_front() {
            Some(part) => Ok(Some(part)),
            None => self.read(),
        }
    }

    /// Reads to the end, for those who only want to know whether all is well.
    ///
    /// # Errors
    /// Those of [`part`](Self::part).
    pub fn check(&mut self, notice: &dyn Fn(u64)) -> Result<(), BackupError> {
        while let Some(part) = self.part()? {
            if let Part::Rows { count, .. } = part {
                notice(count);
            }
        }
        Ok(())
    }

    fn read(&mut self) -> Result<Option<Part>, BackupError> {
        if self.ended {
            return Ok(None);
        }
        if self.lines.peek()?.is_some_and(|line| line.starts_with('[')) {
            return self.rows().map(Some);
        }
        let Some(line) = self.lines.take()? else {
            return Err(self.lines.incomplete());
        };
        if line.starts_with(END) {
            self.end(&line)?;
            return Ok(None);
        }
        self.table(&line).map(Some)
    }

    fn table(&mut self, line: &str) -> Result<Part, BackupError> {
        let Ok(Opening { table: name, columns: names, last_number }) = serde_json::from_str(line) else {
            return Err(self.lines.damaged("cannot be read"));
        };
        let Some(table) = self.expected.pop_front().filter(|table| table.name == name) else {
            return Err(self.lines.damaged(&format!("opens table {name:?}, which does not come there")));
        };
        let columns = table.columns_of(self.header.schema);
        if !columns.iter().map(|column| column.name).eq(names.iter().map(|name| &**name)) {
            return Err(self.lines.damaged(&format!("has other columns of {name} than Adelie ever had")));
        }
        if last_number.is_some() != table.numbered.is_some() || last_number.is_some_and(|last| last < 0) {
            return Err(self.lines.damaged(&format!("has a last number of {name} that cannot be")));
        }
        self.open = Some((table, columns.len()));
        self.counts.insert(table.name.to_owned(), 0);
        Ok(Part::Table { table, columns, last_number })
    }

    fn rows(&mut self) -> Result<Part, BackupError> {
        let Some((table, columns)) = self.open else {
            return Err(self.lines.damaged("is a row of no table"));
        };
        let (mut json, mut count) = (String::from("["), 0);
        while count < ROWS
            && json.len() < BYTES
            && self.lines.peek()?.is_some_and(|line| line.starts_with('['))
        {
            let Some(line) = self.lines.take()? else { break };
            let values = serde_json::from_str::<Vec<IgnoredAny>>(&line).map(|values| values.len());
            if values.ok() != Some(columns) {
                return Err(self.lines.damaged(&format!("is no row of {}", table.name)));
            }
            if count > 0 {
                json.push(',');
            }
            json.push_str(&line);
            count += 1;
        }
        json.push(']');
        *self.counts.entry(table.name.to_owned()).or_default() += count;
        Ok(Part::Rows { json, count })
    }

    fn end(&mut self, line: &str) -> Result<(), BackupError> {
        let Ok(End { end, sha256 }) = serde_json::from_str(line) else {
            return Err(self.lines.damaged("cannot be read"));
        };
        let hash = std::mem::replace(&mut self.lines.hash, Sha256::new());
        if hex::encode(hash.finish()) != sha256 {
            return Err(BackupError::Damaged("its lines are not those that were written".to_owned()));
        }
        let all: u64 = self.counts.values().sum();
        if !self.expected.is_empty() || end != self.counts || all != self.header.rows {
            return Err(BackupError::Damaged("it has other rows than it says".to_owned()));
        }
        if self.lines.take()?.is_some() {
            return Err(BackupError::Damaged("something comes behind its end".to_owned()));
        }
        self.ended = true;
        Ok(())
    }
}

fn read_header<R: Read>(lines: &mut Lines<R>) -> Result<Header, BackupError> {
    let not = |_| BackupError::NotABackup("its first line is not that of one");
    let line = match lines.take() {
        Ok(Some(line)) => line,
        Ok(None) => return Err(lines.incomplete()),
        // What is not even compressed, or no text.
        Err(BackupError::Damaged(_)) => return Err(BackupError::NotABackup("it is not in gzip format")),
        Err(error) => return Err(error),
    };
    let known: Recognized = serde_json::from_str(&line).map_err(not)?;
    if known.format != FORMAT {
        return Err(BackupError::NotABackup("its first line is that of something else"));
    }
    if known.number > NUMBER {
        return Err(BackupError::NewerFormat { found: known.number, known: NUMBER });
    }
    let header: Header = serde_json::from_str(&line).map_err(not)?;
    if header.schema > SCHEMA {
        let Header { adelie, schema: found, .. } = header;
        return Err(BackupError::NewerSchema { adelie, found, known: SCHEMA });
    }
    Ok(header)
}

fn data_keys(rows: &str) -> Result<Vec<StoredDataKey>, BackupError> {
    type Row = (u32, String, i64, Option<i64>, Option<i64>);
    let damaged = || BackupError::Damaged("its data keys cannot be read".to_owned());
    let rows: Vec<Row> = serde_json::from_str(rows).map_err(|_| damaged())?;
    let key = |(version, sealed, created_at, completed_at, retired_at): Row| {
        let maybe = |millis: Option<i64>| millis.map(|millis| moment("data_keys", millis)).transpose();
        Ok(StoredDataKey {
            version,
            sealed: hex::decode(sealed).map_err(|_| damaged())?,
            created_at: moment("data_keys", created_at)?,
            completed_at: maybe(completed_at)?,
            retired_at: maybe(retired_at)?,
        })
    };
    rows.into_iter().map(key).collect()
}

/// Lines that are taken apart and hashed, but for the last.
struct Lines<R: Read> {
    input: BufReader<MultiGzDecoder<BufReader<R>>>,
    hash: Sha256,
    number: u64,
    ahead: Option<String>,
}

impl<R: Read> Lines<R> {
    /// The next line, which stays the next.
    fn peek(&mut self) -> Result<Option<&str>, BackupError> {
        if self.ahead.is_none() {
            self.ahead = self.read()?;
        }
        Ok(self.ahead.as_deref())
    }

    /// The next line; `None` at the end of the file.
    fn take(&mut self) -> Result<Option<String>, BackupError> {
        let line = match self.ahead.take() {
            Some(line) => Some(line),
            None => self.read()?,
        };
        if let Some(line) = &line {
            self.number += 1;
            if !line.starts_with(END) {
                self.hash.update(line.as_bytes());
                self.hash.update(b"\n");
            }
        }
        Ok(line)
    }

    fn read(&mut self) -> Result<Option<String>, BackupError> {
        let mut line = Vec::new();
        let read = (&mut self.input).take(LONGEST).read_until(b'\n', &mut line);
        match read.map_err(|error| (error.kind(), error)) {
            Ok(_) => {}
            Err((ErrorKind::UnexpectedEof, _)) => return Err(self.incomplete()),
            // What the decoder says of bytes that are none of its own.
            Err((ErrorKind::InvalidInput | ErrorKind::InvalidData, _)) => {
                let place = self.number + 1;
                return Err(BackupError::Damaged(format!("it cannot be decompressed from line {place} on")));
            }
            Err((_, error)) => return Err(BackupError::Read(error)),
        }
        if line.is_empty() {
            return Ok(None);
        }
        if line.pop() != Some(b'\n') {
            return Err(self.incomplete());
        }
        String::from_utf8(line).map(Some).map_err(|_| {
            let place = self.number + 1;
            BackupError::Damaged(format!("line {place} is no text"))
        })
    }

    fn incomplete(&self) -> BackupError {
        BackupError::Incomplete(match self.number {
            0 => "where it begins".to_owned(),
            number => format!("after line {number}"),
        })
    }

    fn damaged(&self, what: &str) -> BackupError {
        BackupError::Damaged(format!("line {} {what}", self.number))
    }
}
