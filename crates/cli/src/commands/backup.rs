use std::fs::File;
use std::io::{ErrorKind, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;

use adelie_model::halt;
use adelie_store::audit::backup_made;
use adelie_store::backup::{self, BackupError, Header, Origin, Unfinished};
use adelie_store::seal::StoredDataKey;
use adelie_store::{SealError, Vault};
use anyhow::{Context as _, anyhow};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::args::Backup;
use crate::commands::sync::wait_for_signal;
use crate::context::Context;
use crate::draft::{Draft, DraftError};
use crate::exit::{Exit, wrong};
use crate::master_keys::Place;
use crate::progress;
use crate::settings::{Database, Settings};
use crate::words::{bytes, count, span, time};

/// Writes a backup. Its end is written behind the entry in the audit, so that there is no backup without one.
pub async fn run(settings: Settings, command: &Backup) -> anyhow::Result<Exit> {
    let stdout = command.file.as_os_str() == "-";
    // As a whole, because the audit names it.
    let file = &std::path::absolute(&command.file).unwrap_or_else(|_| command.file.clone());
    if stdout {
        can_print(&settings)?;
    } else if file.symlink_metadata().is_ok() && !command.force {
        return Err(wrong(
            format!("{} is there already", file.display()),
            "name another file, or put the backup in its place with --force",
        ));
    }
    is_there(&settings)?;
    let context = Context::open_as_it_is(settings).await?;
    let stored = context.store.data_keys().await?;
    if stored.is_empty() {
        return Err(wrong(
            "there is nothing to back up: the database is empty",
            "check --data-dir, --database, ADELIE_DATA_DIR and ADELIE_DATABASE_URL, and the user who runs this",
        ));
    }
    if stdout {
        let out = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
        print(&context, out, &stored).await
    } else {
        tokio::select! {
            made = keep(&context, file, &stored) => made,
            // The draft goes with what writes it.
            () = wait_for_signal() => Err(anyhow!("the backup was broken off; there is no new file")),
        }
    }
}

fn can_print(settings: &Settings) -> anyhow::Result<()> {
    if settings.json {
        return Err(wrong(
            "the backup and --json cannot both go to stdout",
            "name a file, or leave --json out",
        ));
    }
    if std::io::stdout().is_terminal() {
        return Err(wrong(
            "a backup is nothing for a terminal",
            "name a file, or send stdout into a pipe or a file",
        ));
    }
    Ok(())
}

/// Opening would make a new database; a backup of that is none of anything.
fn is_there(settings: &Settings) -> anyhow::Result<()> {
    match &settings.database {
        Database::Sqlite(path) if !path.exists() => Err(wrong(
            format!("there is no database {}", path.display()),
            "check --data-dir, --database, ADELIE_DATA_DIR and ADELIE_DATABASE_URL, and the user who runs this",
        )),
        _ => Ok(()),
    }
}

async fn keep(context: &Context, file: &Path, stored: &[StoredDataKey]) -> anyhow::Result<Exit> {
    let began = context.clock.now();
    let draft = Draft::begin(file).map_err(|error| cannot_begin(file, &error))?;
    let written = write(context, draft.file(), file).await.map_err(|error| cannot(file, error))?;
    let (header, counts) = (written.header().clone(), written.counts().clone());
    written.finish().map_err(|error| cannot(file, error))?;
    let size = draft.file().metadata().map_or(0, |meta| meta.len());
    draft.keep().with_context(|| format!("the backup could not be put in its place, {}", file.display()))?;
    let took = context.clock.now() - began;
    let tables = counts.values().filter(|rows| **rows > 0).count();
    if context.out.json {
        context.out.object(&json!({
            "file": file,
            "made_at": time(header.made_at),
            "rows": header.rows,
            "tables": counts,
            "bytes": size,
            "milliseconds": took.num_milliseconds(),
            "master_keys": header.master_keys,
            "key_problem": problem(context, stored).map_or(Value::Null, |error| error.to_string().into()),
        }))?;
    } else {
        context.out.line(&format!(
            "wrote {} of {} to {} ({}) in {}",
            count(header.rows, "row", "rows"),
            count(tables as u64, "table", "tables"),
            file.display(),
            bytes(size),
            span(took),
        ))?;
    }
    tell_of_key(context, &header, stored)
}

async fn print(context: &Context, out: File, stored: &[StoredDataKey]) -> anyhow::Result<Exit> {
    let place = Path::new("stdout");
    let written = write(context, &out, place).await.map_err(|error| cannot(place, error))?;
    let header = written.header().clone();
    written.finish().map_err(|error| cannot(place, error))?;
    context.out.note(&format!("the backup has {}", count(header.rows, "row", "rows")))?;
    tell_of_key(context, &header, stored)
}

/// Writes all but the end, and the entry in the audit.
async fn write<'a>(
    context: &Context,
    out: &'a File,
    file: &Path,
) -> Result<Unfinished<&'a File>, BackupError> {
    let origin = Origin { adelie: env!("CARGO_PKG_VERSION").to_owned(), made_at: context.clock.now() };
    let mut snapshot = context.store.snapshot().await?;
    let bar = Bar(progress::counting("backup", "rows", 0, context.out.json));
    let begun = |header: &Header| bar.0.set_length(header.rows);
    let written = backup::write(&mut *snapshot, out, &origin, &begun, &|rows| bar.0.inc(rows)).await?;
    // What is seen of the past keeps a database from clearing up.
    drop(snapshot);
    let entry = backup_made(&file.display().to_string(), written.header().rows);
    context.store.note(&[entry], &context.operator()).await?;
    halt::point("backup.before_end");
    Ok(written)
}

/// A bar that goes away however the work ends.
struct Bar(ProgressBar);

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Why the secrets in the backup could not be opened again.
fn problem(context: &Context, stored: &[StoredDataKey]) -> Option<SealError> {
    let masters = Place::in_use(&context.settings).keys_for(stored);
    masters.and_then(|masters| Vault::open(&masters, stored)).err()
}

/// A backup that nobody can open is of use only when its key turns up; who makes one each night must hear of it.
fn tell_of_key(context: &Context, header: &Header, stored: &[StoredDataKey]) -> anyhow::Result<Exit> {
    let ids = header.master_keys.join(", ");
    if let Some(problem) = problem(context, stored) {
        context.out.warn(&format!("nobody can restore this backup without master key {ids}: {problem}"))?;
        return Ok(Exit::Attention);
    }
    context.out.note(&format!(
        "master key {ids} opens it and is not in it: keep a copy of {} somewhere else than this file",
        Place::in_use(&context.settings)
    ))?;
    Ok(Exit::Done)
}

fn cannot_begin(file: &Path, error: &DraftError) -> anyhow::Error {
    let hint = match error {
        DraftError::Busy(_) => "wait for it, or name another file",
        DraftError::Io(_) => "check that the folder is there and may be written to",
    };
    wrong(format!("the backup cannot be written to {}: {error}", file.display()), hint)
}

fn cannot(file: &Path, error: BackupError) -> anyhow::Error {
    let doing =
        format!("the backup could not be written to {}, and what there is of it is none", file.display());
    match error {
        // Not as of a reader who has seen enough: this one should have taken all.
        BackupError::Write(error) if error.kind() == ErrorKind::BrokenPipe => {
            anyhow!("{doing}: whoever was to read it has gone away")
        }
        error => anyhow::Error::new(error).context(doing),
    }
}
