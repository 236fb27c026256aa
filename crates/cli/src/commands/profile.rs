use std::path::{Path, PathBuf};

use adelie_model::ProfileName;
use adelie_profile::{Checked, EnrollmentProfile, Findings, Format};
use adelie_store::configuration::NewRevision;
use adelie_store::{Revision, StoreError};
use serde_json::json;

use crate::args::Profile;
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::output::Output;
use crate::words::{count, minute, time};

/// The largest file that is read as a profile; anchor certificates make it big, nothing makes it huge.
const MAX_FILE: u64 = 4 << 20;

pub async fn run(context: Context, command: Profile) -> anyhow::Result<Exit> {
    match command {
        Profile::New { name, file } => new(&context, name, &file).await,
        Profile::List => list(&context).await,
        Profile::Show { name } => show(&context, &name).await,
        Profile::Validate { files } => validate(context.out, &files),
    }
}

async fn new(context: &Context, name: ProfileName, file: &Path) -> anyhow::Result<Exit> {
    let checked = match read(file)? {
        Ok(checked) => checked,
        Err(findings) => {
            return Err(wrong(
                format!(
                    "{} is no valid enrollment profile; nothing was stored\n{}",
                    file.display(),
                    indented(&findings)
                ),
                "mend these and try again; `adelie profile validate FILE` checks without storing",
            ));
        }
    };
    let profile = checked.profile;
    let new = NewRevision {
        content: profile.apple_json().clone(),
        content_hash: profile.content_hash(),
        ..NewRevision::default()
    };
    let revision = match context.store.add_profile(&name, new, &context.operator()).await {
        Ok(revision) => revision,
        Err(error @ StoreError::Exists { .. }) => {
            return Err(wrong(error.to_string(), format!("see it with `adelie profile show {name}`")));
        }
        Err(error) => return Err(error.into()),
    };
    for warning in &checked.warnings {
        context.out.aside(&warning.to_string())?;
    }
    if context.out.json {
        context.out.object(&object(&revision))?;
        return Ok(Exit::Done);
    }
    let waits =
        if profile.awaits_configuration() { "awaits configuration" } else { "does not await configuration" };
    context.out.line(&format!("added profile {} ({waits})", revision.name))?;
    context.out.hint(&format!("next: `adelie server set SERVER --default any={}`", revision.name))?;
    Ok(Exit::Done)
}

async fn list(context: &Context) -> anyhow::Result<Exit> {
    let profiles = context.store.profiles().await?;
    if context.out.json {
        for revision in &profiles {
            context.out.object(&object(revision))?;
        }
        return Ok(Exit::Done);
    }
    if profiles.is_empty() {
        context.out.hint("there is no profile yet: add one with `adelie profile new NAME --file FILE`")?;
        return Ok(Exit::Done);
    }
    let rows = profiles.iter().map(|revision| {
        let profile = EnrollmentProfile::from_stored(revision.content.clone());
        vec![
            revision.name.to_string(),
            revision.number.to_string(),
            if profile.awaits_configuration() { "yes" } else { "no" }.to_owned(),
            profile.skip_setup_items().count().to_string(),
            profile.url().to_owned(),
            minute(Some(revision.created_at)),
        ]
    });
    context.out.table(&["name", "revision", "awaits", "skipped panes", "url", "changed"], rows.collect())?;
    Ok(Exit::Done)
}

async fn show(context: &Context, name: &ProfileName) -> anyhow::Result<Exit> {
    let Some(revision) = context.store.profile(name).await? else {
        let known: Vec<_> =
            context.store.profiles().await?.into_iter().map(|one| one.name.to_string()).collect();
        let hint = if known.is_empty() {
            "there is none yet: add it with `adelie profile new NAME --file FILE`".to_owned()
        } else {
            format!("the profiles are {}", known.join(", "))
        };
        return Err(wrong(format!("there is no profile {:?}", name.as_str()), hint));
    };
    let mut published = Vec::new();
    for one in context.store.published(revision.profile).await? {
        let server = context.store.server_by_id(one.server).await?.map(|server| server.name.to_string());
        published.push((server.unwrap_or_default(), one));
    }
    if context.out.json {
        let mut object = object(&revision);
        object["published"] = published
            .iter()
            .map(|(server, one)| {
                json!({ "server": server, "profile_uuid": one.profile_uuid, "error": one.error, "at": time(one.at) })
            })
            .collect::<Vec<_>>()
            .into();
        context.out.object(&object)?;
        return Ok(Exit::Done);
    }
    context.out.line(&format!(
        "{}, revision {}, {}",
        revision.name,
        revision.number,
        minute(Some(revision.created_at))
    ))?;
    context.out.line(&serde_json::to_string_pretty(&revision.content)?)?;
    for (server, one) in published {
        let state = match (&one.profile_uuid, &one.error) {
            (Some(uuid), _) => format!("published as {uuid}"),
            (None, Some(error)) => error.clone(),
            (None, None) => "not published yet".to_owned(),
        };
        context.out.line(&format!("at {server}: {state}"))?;
    }
    Ok(Exit::Done)
}

fn object(revision: &Revision) -> serde_json::Value {
    let profile = EnrollmentProfile::from_stored(revision.content.clone());
    json!({
        "name": revision.name,
        "revision": revision.number,
        "created_at": time(revision.created_at),
        "content_hash": revision.content_hash,
        "await_device_configured": profile.awaits_configuration(),
        "skip_setup_items": profile.skip_setup_items().collect::<Vec<_>>(),
        "content": revision.content,
    })
}

/// Checks files and prints every finding. No database is needed.
pub fn validate(out: Output, files: &[PathBuf]) -> anyhow::Result<Exit> {
    let mut exit = Exit::Done;
    for file in files {
        let (findings, good) = match read(file)? {
            Ok(checked) => (checked.warnings, true),
            Err(findings) => (findings, false),
        };
        if !good {
            exit = Exit::Usage;
        }
        if out.json {
            for finding in &findings {
                let mut object = serde_json::to_value(finding)?;
                object["file"] = json!(file);
                out.object(&object)?;
            }
            continue;
        }
        let verdict = match (good, findings.len() as u64) {
            (true, 0) => "valid".to_owned(),
            (true, warnings) => format!("valid, with {}", count(warnings, "warning", "warnings")),
            (false, _) => {
                format!("not valid, {}", count(findings.errors().count() as u64, "error", "errors"))
            }
        };
        out.line(&format!("{}: {verdict}", file.display()))?;
        if !findings.is_empty() {
            out.line(&indented(&findings))?;
        }
    }
    Ok(exit)
}

/// The outer error is about the file, the inner one about what stands in it.
fn read(path: &Path) -> anyhow::Result<Result<Checked, Findings>> {
    let Some(format) = Format::of_path(path) else {
        return Err(wrong(
            format!("{} has no ending that tells its format", path.display()),
            "name it .json, .toml, .yaml or .yml",
        ));
    };
    let unreadable = |error: std::io::Error| {
        wrong(format!("{} cannot be read: {error}", path.display()), "check the path")
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_FILE {
        return Err(wrong(
            format!("{} has {size} bytes; a profile has a few thousand", path.display()),
            "give the file of an enrollment profile",
        ));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    Ok(adelie_profile::read(&text, format))
}

fn indented(findings: &Findings) -> String {
    findings.iter().map(|finding| format!("  {finding}")).collect::<Vec<_>>().join("\n")
}
