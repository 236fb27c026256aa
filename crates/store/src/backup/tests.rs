use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use async_trait::async_trait;
use flate2::Compression;
use flate2::write::GzEncoder;
use openssl::sha::sha256;
use uuid::Uuid;

use super::format::{END, End, FORMAT, NUMBER};
use super::*;
use crate::moment;

/// A database with a data key and three MDM servers.
struct Small {
    open: Vec<String>,
}

#[async_trait]
impl Snapshot for Small {
    fn database(&self) -> &'static str {
        "small"
    }

    async fn installation(&mut self) -> Result<Uuid> {
        Ok(Uuid::from_u128(7))
    }

    async fn data_keys(&mut self) -> Result<Vec<StoredDataKey>> {
        Ok(vec![data_key()])
    }

    async fn count(&mut self, table: &'static Table) -> Result<u64> {
        Ok(rows_of(table).len() as u64)
    }

    async fn last_number(&mut self, _: &'static Table) -> Result<i64> {
        Ok(9)
    }

    async fn open(&mut self, table: &'static Table) -> Result<()> {
        self.open = rows_of(table);
        Ok(())
    }

    async fn rows(&mut self) -> Result<Vec<String>> {
        Ok(std::mem::take(&mut self.open))
    }
}

fn data_key() -> StoredDataKey {
    let created_at = moment("test", 1_770_000_000_789).expect("a moment");
    StoredDataKey {
        version: 1,
        sealed: b"5f2c09d1:sealed".to_vec(),
        created_at,
        completed_at: Some(created_at),
        retired_at: None,
    }
}

fn rows_of(table: &Table) -> Vec<String> {
    let filled = |first: &str| {
        let rest = table.columns.iter().skip(1).map(|_| "null".to_owned());
        let values: Vec<_> = std::iter::once(first.to_owned()).chain(rest).collect();
        format!("[{}]", values.join(","))
    };
    match table.name {
        "data_keys" => {
            let sealed = hex::encode(data_key().sealed);
            vec![format!("[1,{sealed:?},1770000000789,1770000000789,null]")]
        }
        "mdm_servers" => vec![filled("1"), filled("2"), filled("\"ü\"")],
        _ => Vec::new(),
    }
}

async fn made() -> Vec<u8> {
    let made_at = moment("test", 1_770_000_000_789).expect("a moment");
    let origin = Origin { adelie: "0.1.0".to_owned(), made_at };
    let mut snapshot = Small { open: Vec::new() };
    let unfinished = write(&mut snapshot, Vec::new(), &origin, &|_| {}, &|_| {}).await.expect("written");
    unfinished.finish().expect("finished")
}

fn text(packed: &[u8]) -> String {
    let mut text = String::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(packed);
    std::io::Read::read_to_string(&mut decoder, &mut text).expect("gzip");
    text
}

fn pack(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).and_then(|()| packed.finish()).expect("packed")
}

/// A backup whose lines were changed by somebody who knows how to make its end.
fn forged(text: &str, change: impl FnOnce(&mut Vec<String>)) -> Vec<u8> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let end = lines.pop().expect("an end");
    let mut end: End = serde_json::from_str(&end).expect("an end");
    change(&mut lines);
    let mut all = lines.join("\n");
    all.push('\n');
    end.sha256 = hex::encode(sha256(all.as_bytes()));
    all.push_str(&serde_json::to_string(&end).expect("an end"));
    all.push('\n');
    pack(&all)
}

fn read(packed: &[u8]) -> Result<BTreeMap<String, u64>, BackupError> {
    let mut reader = Reader::open(packed)?;
    reader.check(&|_| {})?;
    assert!(matches!(reader.part(), Ok(None)), "the end stays the end");
    Ok(reader.counts().clone())
}

#[tokio::test]
async fn what_is_written_is_read() {
    let packed = made().await;
    let mut reader = Reader::open(&*packed).expect("a backup");
    assert_eq!(reader.data_keys(), [data_key()]);
    let header = reader.header().clone();
    assert_eq!((header.rows, header.schema, header.database.as_str()), (4, SCHEMA, "small"));
    assert_eq!(header.master_keys, ["5f2c09d1"]);
    assert_eq!(header.installation, "00000000000000000000000000000007");
    let (mut tables, mut servers) = (Vec::new(), Vec::new());
    while let Some(part) = reader.part().expect("a part") {
        match part {
            Part::Table { table, columns, last_number } => {
                assert_eq!(columns.len(), table.columns.len());
                assert_eq!(last_number, table.numbered.map(|_| 9), "{}", table.name);
                tables.push(table.name);
            }
            Part::Rows { json, count } => servers.push((*tables.last().expect("a table"), json, count)),
        }
    }
    assert_eq!(tables, TABLES.iter().map(|table| table.name).collect::<Vec<_>>());
    let [("data_keys", _, 1), ("mdm_servers", json, 3)] = &servers[..] else { panic!("{servers:?}") };
    let rows: Vec<Vec<serde_json::Value>> = serde_json::from_str(json).expect("rows");
    assert_eq!(rows[2][0], "ü");
    assert_eq!((reader.counts()["mdm_servers"], reader.counts()["devices"]), (3, 0));
}

/// Wherever a backup is cut off, and whichever byte is another one, it is seen.
#[tokio::test]
async fn no_piece_passes_for_the_whole() {
    let packed = made().await;
    assert_eq!(read(&packed).expect("whole").len(), TABLES.len());
    for length in 0..packed.len() {
        let error = read(&packed[..length]).expect_err("cut off");
        assert!(matches!(error, BackupError::Incomplete(_)), "{length} bytes: {error:?}");
    }
    for place in 0..packed.len() {
        let mut flipped = packed.clone();
        flipped[place] ^= 0x10;
        // Some bits of gzip say nothing: when and on which system it was made, and the rest of its last byte but eight.
        if read(&flipped).is_ok() {
            assert!((4..10).contains(&place) || place == packed.len() - 9, "byte {place} was flipped");
            assert_eq!(text(&flipped), text(&packed));
        }
    }
    let longer = [packed.as_slice(), b"more"].concat();
    assert!(read(&longer).is_err());
    let twice = [packed.as_slice(), &packed].concat();
    let error = read(&twice).expect_err("two backups are not one");
    assert!(error.to_string().contains("behind its end"), "{error}");
}

#[tokio::test]
async fn what_is_something_else_is_named() {
    let text = text(&made().await);
    for other in ["", "{}\n", "hello\n", "{\"format\":\"other\",\"number\":1}\n"] {
        let error = read(&pack(other)).expect_err("no backup");
        match other {
            "" => assert!(matches!(error, BackupError::Incomplete(_)), "{error}"),
            _ => assert!(matches!(error, BackupError::NotABackup(_)), "{error}"),
        }
    }
    for other in [&b"SQLite format 3\0 and so on"[..], b"hi"] {
        assert!(matches!(read(other), Err(BackupError::NotABackup(_))));
    }
    let newer = text.replacen(r#""number":1"#, r#""number":2"#, 1);
    let error = read(&pack(&newer)).expect_err("newer");
    assert!(matches!(error, BackupError::NewerFormat { found: 2, known: NUMBER }), "{error}");
    let newer = text.replacen(&format!(r#""schema":{SCHEMA}"#), r#""schema":99"#, 1);
    let error = read(&pack(&newer)).expect_err("newer");
    assert!(error.to_string().contains("Adelie 0.1.0 with schema 99"), "{error}");
    assert!(text.starts_with(&format!("{{\"format\":\"{FORMAT}\",\"number\":{NUMBER},")));
    assert_eq!(text.lines().filter(|line| line.starts_with(END)).count(), 1);
}

/// Also what has the right hash must be what Adelie would have written.
#[tokio::test]
async fn what_does_not_belong_together_is_refused() {
    let text = text(&made().await);
    let find = |lines: &[String], what: &str| {
        lines.iter().position(|line| line.contains(what)).expect("it is there")
    };
    read(&forged(&text, |_| {})).expect("nothing was changed");
    type Change = fn(&mut Vec<String>, usize);
    let changes: [(&str, &str, Change); 9] = [
        ("a row less", "[2,", |lines, at| drop(lines.remove(at))),
        ("a row more", "[2,", |lines, at| lines.insert(at, lines[at].clone())),
        ("a value less", "[2,", |lines, at| lines[at] = lines[at].replacen(",null]", "]", 1)),
        ("no JSON", "[2,", |lines, at| lines[at] = lines[at].replacen(']', "", 1)),
        ("a table less", r#""table":"escrow""#, |lines, at| drop(lines.remove(at))),
        ("another table", r#""table":"escrow""#, |lines, at| {
            lines[at] = lines[at].replace("escrow", "vault")
        }),
        ("other columns", r#""table":"rules""#, |lines, at| lines[at] = lines[at].replace("place", "spot")),
        ("no number", r#""table":"rules""#, |lines, at| {
            lines[at] = lines[at].replace(r#","last_number":9"#, "")
        }),
        ("an unknown line", r#""table":"rules""#, |lines, at| lines.insert(at, "{}".to_owned())),
    ];
    for (what, place, change) in changes {
        let forged = forged(&text, |lines| {
            let at = find(lines, place);
            change(lines, at);
        });
        let error = read(&forged).expect_err(what);
        assert!(matches!(error, BackupError::Damaged(_)), "{what}: {error}");
    }
}

#[test]
fn the_catalogue_has_each_name_once_and_a_version_for_each_change() {
    let mut newest = 1;
    let mut tables = BTreeSet::new();
    for table in TABLES {
        assert!(tables.insert(table.name), "{} is there twice", table.name);
        let mut columns = BTreeSet::new();
        let left_out = table.left_out.iter().map(|(column, _)| *column);
        for column in table.columns.iter().map(|column| column.name).chain(left_out) {
            assert!(columns.insert(column), "{}.{column} is there twice", table.name);
        }
        newest = table.columns.iter().map(|column| column.since).fold(newest.max(table.since), u32::max);
        assert!(table.columns.len() <= 90, "PostgreSQL takes no more than 100 values in a row");
    }
    assert!(NOT_KEPT.iter().all(|(table, _)| !tables.contains(table)));
    assert_eq!(newest, SCHEMA, "whoever adds something raises SCHEMA, and gives it `since`");
    assert_eq!(TABLES[0].name, "data_keys", "the reader looks for them there");
}
