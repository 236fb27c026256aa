use std::io::IsTerminal;
use std::path::Path;
use std::process::Command;

use adelie_model::ProfileName;
use adelie_profile::{CheckedDocument, Format, difference};
use adelie_store::configuration::Change;
use adelie_store::{ConfigurationError, StoreError};
use serde_json::json;

use super::{new, revisions};
use crate::context::Context;
use crate::documents::{self, Sealer};
use crate::exit::{Exit, wrong};
use crate::profile_files;

/// How a revision is made.
pub struct How {
    pub note: String,
    pub percent: u8,
    pub if_revision: Option<u32>,
}

pub async fn run(
    context: &Context,
    name: &ProfileName,
    file: Option<&Path>,
    how: &How,
) -> anyhow::Result<Exit> {
    let known = revisions::find(context, name).await?;
    let newest = known.revision(known.head.newest)?.clone();
    let before = documents::open(context, newest).await?;
    let CheckedDocument { document, warnings } = match file {
        Some(file) => new::read(context, file)?,
        None => edited(context, name, &before.document.write(Format::Toml)?)?,
    };
    let lines: Vec<String> =
        difference(before.document.document(), document.document()).iter().map(ToString::to_string).collect();
    // In an editor one has seen the newest revision; a file may have been made from any.
    let seen = how.if_revision.or(file.is_none().then_some(known.head.newest));
    let revision = Sealer::new(context).await?.revision(document, Some(&before), &how.note)?;
    let change = Change::Revise { profile: name.clone(), seen, revision, percent: how.percent };
    let version = match context.store.configure(&[change], None, &context.operator()).await {
        Ok(version) => version,
        Err(error @ StoreError::Configuration(ConfigurationError::Stale { .. })) => {
            return Err(wrong(
                format!("{error}; nothing was changed"),
                format!("see what is otherwise with `adelie profile diff {name}`, and edit again"),
            ));
        }
        Err(error) => return Err(error.into()),
    };
    for warning in &warnings {
        context.out.aside(&warning.to_string())?;
    }
    let changed = version != known.configuration.version;
    let now = revisions::find(context, name).await?;
    if context.out.json {
        context.out.object(&json!({
            "name": name, "changed": changed, "revision": now.head.newest, "in_force": now.head.in_force.number,
            "percent": now.head.staged.as_ref().map_or(100, |staged| staged.percent), "difference": lines,
        }))?;
        return Ok(Exit::Done);
    }
    if !changed {
        context.out.line("nothing to do: the revision in force says the same")?;
        return Ok(Exit::Done);
    }
    for line in &lines {
        context.out.line(&format!("  {line}"))?;
    }
    if lines.is_empty() {
        context.out.line("  a password")?;
    }
    context.out.line(&match &now.head.staged {
        Some(staged) => {
            format!("{} % of the devices of {name} get revision {}", staged.percent, staged.revision.number)
        }
        None => format!("revision {} of {name} is in force", now.head.in_force.number),
    })?;
    context.out.hint("a running service decides devices anew within seconds; `adelie sync` does it now")?;
    Ok(Exit::Done)
}

/// The profile as its author leaves it in an editor. What is wrong is said, and the editor opens again.
fn edited(context: &Context, name: &ProfileName, text: &str) -> anyhow::Result<CheckedDocument> {
    let editor = ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
    let mut words = editor.split_whitespace();
    let Some(program) = words.next().filter(|_| std::io::stdin().is_terminal()) else {
        return Err(wrong(
            "there is no editor to open",
            format!(
                "set EDITOR and use a terminal, or give --file FILE; `adelie profile show {name} --file toml` writes one"
            ),
        ));
    };
    let arguments: Vec<&str> = words.collect();
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("profile.toml");
    std::fs::write(&path, text)?;
    loop {
        let left = Command::new(program).args(&arguments).arg(&path).status();
        let left = left.map_err(|error| {
            wrong(format!("{editor} cannot be run: {error}"), "set EDITOR, or give --file")
        })?;
        if !left.success() {
            return Err(wrong(
                format!("{editor} ended with {left}; nothing was changed"),
                "try again, or give --file FILE",
            ));
        }
        match profile_files::read(&path, context.clock.now())? {
            Ok(checked) => return Ok(checked),
            Err(findings) => {
                context.out.aside(&profile_files::indented(&findings))?;
                context.out.aside("press return to mend it, or Ctrl-C to leave it as it was")?;
                std::io::stdin().read_line(&mut String::new())?;
            }
        }
    }
}
