use std::path::Path;

use adelie_model::Clock;
use adelie_profile::skip_keys::{self, Availability, SkipKey, available, coverage, newest};
use adelie_profile::{ProfileDocument, Target};
use serde_json::json;

use crate::args::SkipKeys;
use crate::exit::{Exit, wrong};
use crate::output::Output;
use crate::profile_files;
use crate::real::SystemClock;

/// Lists skip keys. With a profile, those of which it says nothing.
pub fn run(out: Output, asked: &SkipKeys) -> anyhow::Result<Exit> {
    let keys = match &asked.uncovered_by {
        Some(path) => uncovered(path, asked)?,
        None => listed(asked),
    };
    if out.json {
        for key in &keys {
            let mut object = serde_json::to_value(key)?;
            object["platforms"] = json!(shown(key, asked));
            out.object(&object)?;
        }
        return Ok(Exit::Done);
    }
    if keys.is_empty() {
        out.note(match asked.uncovered_by {
            Some(_) => "the profile says of every pane whether it is shown",
            None => "no pane is known for that",
        })?;
        return Ok(Exit::Done);
    }
    let rows = keys.iter().map(|key| {
        let platforms: Vec<_> = shown(key, asked).into_iter().map(span).collect();
        vec![
            key.key.to_owned(),
            key.title.to_owned(),
            platforms.join(", "),
            key.note.unwrap_or_default().to_owned(),
        ]
    });
    out.table(&["key", "title", "platforms", "note"], rows.collect())?;
    Ok(Exit::Done)
}

fn listed(asked: &SkipKeys) -> Vec<&'static SkipKey> {
    match (&asked.os, asked.version) {
        (Some(os), Some(version)) => available(os.platform(), version).collect(),
        (Some(os), None) => skip_keys::all().iter().filter(|key| key.on(os.platform()).is_some()).collect(),
        (None, _) => skip_keys::all().iter().collect(),
    }
}

/// The panes that the profile does not speak of, each once, in the order of the catalogue.
fn uncovered(path: &Path, asked: &SkipKeys) -> anyhow::Result<Vec<&'static SkipKey>> {
    let document = match profile_files::read(path, SystemClock.now())? {
        Ok(checked) => checked.document,
        Err(findings) => {
            return Err(wrong(
                format!(
                    "{} is no valid enrollment profile\n{}",
                    path.display(),
                    profile_files::indented(&findings)
                ),
                "mend these and try again",
            ));
        }
    };
    let found = |target: &Target, document: &ProfileDocument| {
        let version = asked.version.or(target.version()).unwrap_or_else(|| newest(target.platform()));
        coverage(document, target.platform(), version)
    };
    let targets = match asked.os {
        Some(os) => vec![os],
        None => document.targets(),
    };
    if targets.is_empty() {
        return Err(wrong(
            format!("{} does not say which platforms it is for", path.display()),
            "give one with --os, and perhaps --version, or add `platforms` to the file",
        ));
    }
    let all: Vec<_> = targets.iter().flat_map(|target| found(target, &document)).collect();
    Ok(skip_keys::all().iter().filter(|key| all.iter().any(|one| one.key == key.key)).collect())
}

/// The platforms to show of a key: the one that was asked for, or all.
fn shown(key: &SkipKey, asked: &SkipKeys) -> Vec<&'static Availability> {
    let wanted = |at: &&Availability| asked.os.is_none_or(|os| os.platform() == at.platform);
    key.platforms.iter().filter(wanted).collect()
}

/// `macOS 14.1 (removed 26.0)`.
fn span(at: &Availability) -> String {
    let ends = [("deprecated", at.deprecated), ("removed", at.removed)];
    let ends: Vec<_> =
        ends.into_iter().filter_map(|(word, version)| Some(format!("{word} {}", version?))).collect();
    let ends = if ends.is_empty() { String::new() } else { format!(" ({})", ends.join(", ")) };
    format!("{} {}{ends}", at.platform, at.introduced)
}
