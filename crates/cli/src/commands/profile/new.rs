use std::collections::BTreeSet;
use std::path::Path;

use adelie_model::ProfileName;
use adelie_profile::{CheckedDocument, ProfileDocument};
use adelie_store::StoreError;

use super::object;
use crate::context::Context;
use crate::documents::Sealer;
use crate::exit::{Exit, wrong};
use crate::profile_files;

pub async fn run(context: &Context, name: &ProfileName, file: &Path, note: &str) -> anyhow::Result<Exit> {
    let CheckedDocument { document, warnings } = read(context, file)?;
    let awaits = document.profile().awaits_configuration();
    let family = family(&document);
    let revision = Sealer::new(context).await?.revision(document, None, note)?;
    let revision = match context.store.add_profile(name, revision, &context.operator()).await {
        Ok(revision) => revision,
        Err(error @ StoreError::Exists { .. }) => {
            return Err(wrong(
                error.to_string(),
                format!("change it with `adelie profile edit {name} --file {}`", file.display()),
            ));
        }
        Err(error) => return Err(error.into()),
    };
    for warning in &warnings {
        context.out.aside(&warning.to_string())?;
    }
    if context.out.json {
        context.out.object(&object(&revision))?;
        return Ok(Exit::Done);
    }
    let waits = if awaits { "awaits configuration" } else { "does not await configuration" };
    context.out.line(&format!("added profile {name} ({waits})"))?;
    context.out.hint(&format!(
        "next: `adelie server set SERVER --default {family}={name}`, or `adelie rule add RULE --when FIELD=PATTERN --profile \
         {name}`"
    ))?;
    Ok(Exit::Done)
}

/// The family that a profile can be the default of: that of its platform, if it is for one only.
fn family(document: &ProfileDocument) -> &'static str {
    let families: BTreeSet<&str> = document
        .targets()
        .iter()
        .map(|target| match target.name() {
            "macOS" => "mac",
            "iPadOS" => "ipad",
            "tvOS" => "appletv",
            "visionOS" => "vision",
            // An iPhone or an iPod.
            _ => "any",
        })
        .collect();
    match families.into_iter().collect::<Vec<_>>()[..] {
        [family] => family,
        _ => "any",
    }
}

/// Reads a file that is to be stored, or tells everything that is wrong with it.
pub fn read(context: &Context, file: &Path) -> anyhow::Result<CheckedDocument> {
    profile_files::read(file, context.clock.now())?.map_err(|findings| {
        wrong(
            format!(
                "{} is no valid enrollment profile; nothing was stored\n{}",
                file.display(),
                profile_files::indented(&findings)
            ),
            "mend these and try again; `adelie profile validate FILE` checks without storing",
        )
    })
}
