use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use adelie_model::halt;
use adelie_store::audit::backup_restored;
use adelie_store::backup::{BackupError, Header, Loaded, Reader, load};
use adelie_store::{SealError, Vault};
use anyhow::anyhow;
use serde_json::{Value, json};

use crate::args::Restore;
use crate::commands::sync::wait_for_signal;
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::master_keys::{Place, refused};
use crate::output::Output;
use crate::progress;
use crate::settings::{Database, Settings};
use crate::words::{count, minute, time};

type Input = Reader<Box<dyn Read>>;

/// Fills an empty database from a backup, or looks at one. Before anything is made or touched, the backup must be one and its
/// master key at hand.
pub async fn run(settings: Settings, out: Output, command: &Restore) -> anyhow::Result<Exit> {
    let stdin = command.file.as_os_str() == "-";
    // As a whole, because the audit names it.
    let file = &match std::path::absolute(&command.file) {
        _ if stdin => PathBuf::from("stdin"),
        Ok(file) => file,
        Err(_) => command.file.clone(),
    };
    let input: Box<dyn Read> = if stdin { Box::new(std::io::stdin()) } else { open(file)? };
    let reader = Reader::open(input).map_err(|error| explained(file, error))?;
    let key = fits(&settings, &reader);
    if command.check {
        return check(&settings, out, file, reader, key);
    }
    key.map_err(|error| no_key(&settings, reader.header(), error))?;
    let context = Context::open_as_it_is(settings).await?;
    let loading = loaded(&context, reader);
    let loaded = if stdin {
        // Whoever waits for more input could not be told of a signal: its own default ends the program, and with it the
        // transaction.
        loading.await
    } else {
        tokio::select! {
            loaded = loading => loaded,
            () = wait_for_signal() => return Err(anyhow!("the restore was broken off; nothing was loaded")),
        }
    }
    .map_err(|error| explained(file, error))?;
    let (header, counts, replaced) = (loaded.header.clone(), loaded.counts.clone(), loaded.replaced);
    let entry = backup_restored(&file.display().to_string(), &header);
    loaded.commit(&entry, &context.operator()).await.map_err(|error| explained(file, error))?;
    halt::point("restore.after_commit");
    if out.json {
        let told = json!({ "restored": true, "replaced_characters": replaced });
        out.object(&merged(object(file, &header, &counts), told))?;
    } else {
        let rows = count(header.rows, "row", "rows");
        out.line(&format!("restored {rows} from {}", file.display()))?;
        out.facts(&facts(&header, &counts))?;
    }
    if replaced > 0 {
        out.warn(&format!(
            "{} NUL, which PostgreSQL cannot keep: U+FFFD stands in their place",
            count(replaced, "character was", "characters were")
        ))?;
    }
    next(&context)?;
    Ok(Exit::Done)
}

fn open(file: &Path) -> anyhow::Result<Box<dyn Read>> {
    let opened = File::open(file).and_then(|opened| match opened.metadata()?.is_dir() {
        true => Err(std::io::ErrorKind::IsADirectory.into()),
        false => Ok(opened),
    });
    match opened {
        Ok(opened) => Ok(Box::new(opened)),
        Err(error) => Err(wrong(
            format!("the backup {} cannot be read: {error}", file.display()),
            "check the path and its permissions; nothing was changed",
        )),
    }
}

/// Whether the data keys of the backup open with the master keys of this machine.
fn fits(settings: &Settings, reader: &Input) -> Result<(), SealError> {
    let stored = reader.data_keys();
    if stored.is_empty() {
        return Ok(());
    }
    let masters = Place::in_use(settings).read()?.ok_or_else(|| SealError::NoKey {
        problem: format!("{} is not there", Place::in_use(settings)),
        fix: String::new(),
    })?;
    Vault::open(&masters, stored).map(drop)
}

fn no_key(settings: &Settings, header: &Header, error: SealError) -> anyhow::Error {
    let needed = header.master_keys.join(", ");
    let place = Place::in_use(settings);
    let at_hand = match place.read() {
        Ok(Some(masters)) => format!("{place} has {}", masters.ids().join(", ")),
        Ok(None) => format!("{place} is not there"),
        // It says itself what is wrong with the place.
        Err(error) => return refused(error),
    };
    match error {
        SealError::WrongKey { .. } | SealError::NoKey { .. } => wrong(
            format!("the backup was sealed under master key {needed}, and {at_hand}; nothing was restored"),
            format!(
                "put your copy of master key {needed} there (mode 0600), or name its file with ADELIE_MASTER_KEY_FILE; \
                 docs/keys.md says what to do when there is none"
            ),
        ),
        error => refused(error),
    }
}

async fn loaded(context: &Context, reader: Input) -> Result<Loaded, BackupError> {
    let bar = progress::counting("restore", "rows", reader.header().rows, context.out.json);
    let loaded = load(&*context.store, reader, &|rows| bar.inc(rows)).await;
    bar.finish_and_clear();
    loaded
}

fn check(
    settings: &Settings,
    out: Output,
    file: &Path,
    mut reader: Input,
    key: Result<(), SealError>,
) -> anyhow::Result<Exit> {
    let bar = progress::counting("check", "rows", reader.header().rows, out.json);
    let read = reader.check(&|rows| bar.inc(rows));
    bar.finish_and_clear();
    read.map_err(|error| explained(file, error))?;
    let (header, counts) = (reader.header(), reader.counts());
    let problem = key.err().map(|error| no_key(settings, header, error).to_string());
    if out.json {
        let told = json!({ "restored": false, "key_problem": problem });
        out.object(&merged(object(file, header, counts), told))?;
    } else {
        let rows = count(header.rows, "row", "rows");
        out.line(&format!("{} is whole: {rows}, as they were written", file.display()))?;
        out.facts(&facts(header, counts))?;
    }
    let Some(problem) = problem else { return Ok(Exit::Done) };
    out.warn(&problem.replace("; nothing was restored", ""))?;
    Ok(Exit::Attention)
}

type Counts = std::collections::BTreeMap<String, u64>;

/// What people look for in a backup.
const SHOWN: [(&str, &str); 6] = [
    ("MDM servers", "mdm_servers"),
    ("server tokens", "server_tokens"),
    ("devices", "devices"),
    ("profiles", "profiles"),
    ("rules", "rules"),
    ("webhooks", "webhooks"),
];

fn facts(header: &Header, counts: &Counts) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("made", minute(Some(header.made_at))),
        ("by", format!("Adelie {}, of {}", header.adelie, header.database)),
        ("master key", header.master_keys.join(", ")),
    ];
    facts.extend(SHOWN.map(|(name, table)| (name, counts.get(table).copied().unwrap_or(0).to_string())));
    facts
}

fn object(file: &Path, header: &Header, counts: &Counts) -> Value {
    json!({
        "file": file,
        "made_at": time(header.made_at),
        "adelie": header.adelie,
        "database": header.database,
        "installation": header.installation,
        "schema": header.schema,
        "master_keys": header.master_keys,
        "rows": header.rows,
        "tables": counts,
    })
}

fn merged(mut object: Value, more: Value) -> Value {
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

/// Says what is left to do.
fn next(context: &Context) -> anyhow::Result<()> {
    context.out.note(
        "the database goes on as an installation of its own: ids of webhook events are others than before, and what was on \
         its way to an endpoint when the backup was made is sent again",
    )?;
    let settings = match &context.settings.database {
        Database::Sqlite(_) => "",
        Database::Postgres(_) => ", put --database into adelie.toml or ADELIE_DATABASE_URL",
    };
    context.out.hint(&format!(
        "make sure that the old installation is stopped, or both assign; then look with `adelie doctor`{settings}, and start \
         `adelie serve` if it does not run. Where Apple's cursor is too old by now, the next sync is a full one by \
         itself"
    ))
}

fn explained(file: &Path, error: BackupError) -> anyhow::Error {
    let hint = match &error {
        BackupError::NotABackup(_) => "name a file that `adelie backup` has written",
        BackupError::Incomplete(_) | BackupError::Damaged(_) => {
            "take another copy of it, or an older backup; nothing was changed"
        }
        BackupError::NewerFormat { .. } | BackupError::NewerSchema { .. } => {
            "use the version of Adelie that made it, or a later one; nothing was changed"
        }
        BackupError::NotEmpty(_) => {
            "name a new one with --database or --data-dir, or move the old one away (adelie.db, adelie.db-wal and \
             adelie.db-shm together); nothing was changed"
        }
        BackupError::Read(_) | BackupError::Write(_) | BackupError::Store(_) => {
            let doing = format!("{} was not restored, and nothing was changed", file.display());
            return anyhow::Error::new(error).context(doing);
        }
    };
    match error {
        // That is no fault of the file's.
        BackupError::NotEmpty(_) => wrong(error.to_string(), hint),
        error => wrong(format!("{}: {error}", file.display()), hint),
    }
}
