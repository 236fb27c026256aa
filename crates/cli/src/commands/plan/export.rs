use std::path::Path;

use adelie_plan::{ExportedProfile, FolderFile, export};
use adelie_profile::Format;
use serde_json::json;

use super::folder;
use crate::args::Export;
use crate::context::Context;
use crate::documents;
use crate::exit::{Exit, wrong};
use crate::words::count;

/// Writes what is decided to a folder.
pub async fn run(context: Context, command: &Export) -> anyhow::Result<Exit> {
    let dir = &command.dir;
    if !command.overwrite && !is_free(dir)? {
        return Err(wrong(
            format!("{} has files in it already; nothing was written", dir.display()),
            "give another folder, or --overwrite; under version control nothing is lost by that",
        ));
    }
    let configuration = context.store.configuration().await?;
    let mut profiles = Vec::new();
    for (name, opened) in documents::open_all(&context).await? {
        profiles.push(ExportedProfile { name, text: opened.document.write(Format::Toml)? });
    }
    profiles.sort_by(|a, b| a.name.cmp(&b.name));
    let files = export(&configuration, profiles)?;
    // All of it is known before the first file is written.
    for file in &files {
        write(&dir.join(&file.path), &file.text)?;
    }
    for stale in stale(dir, &files)? {
        context.out.warn(&format!(
            "{stale} was there before and is not of this export: `adelie plan` takes it for a profile; remove it if it is \
             none any more"
        ))?;
    }
    if context.out.json {
        let paths: Vec<_> = files.iter().map(|file| &file.path).collect();
        context.out.object(&json!({ "folder": dir, "files": paths, "version": configuration.version }))?;
        return Ok(Exit::Done);
    }
    context.out.line(&format!(
        "wrote {} to {}",
        count(files.len() as u64, "file", "files"),
        dir.display()
    ))?;
    context.out.hint(&format!(
        "put it under version control; `adelie plan {}` shows what it would change",
        dir.display()
    ))?;
    Ok(Exit::Done)
}

/// Profiles in the folder that were not written now.
fn stale(dir: &Path, written: &[FolderFile]) -> anyhow::Result<Vec<String>> {
    let mut found = folder::files(dir)?;
    found.retain(|file| {
        file.path.starts_with("profiles/") && !written.iter().any(|one| one.path == file.path)
    });
    Ok(found.into_iter().map(|file| file.path).collect())
}

fn is_free(dir: &Path) -> anyhow::Result<bool> {
    match std::fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(unwritable(dir, &error)),
    }
}

/// Writes a file whole or not at all.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let done = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let part = path.with_extension("part");
        std::fs::write(&part, text)?;
        std::fs::rename(&part, path)
    };
    done().map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> anyhow::Error {
    wrong(format!("{} cannot be written: {error}", path.display()), "check the path and the rights on it")
}
