use std::path::Path;

use adelie_model::ProfileName;
use adelie_store::{NewProfile, StoreError};

use super::{file, object};
use crate::context::Context;
use crate::exit::{Exit, wrong};

pub async fn run(context: &Context, name: ProfileName, file: &Path) -> anyhow::Result<Exit> {
    let checked = match file::read(file, context.clock.now())? {
        Ok(checked) => checked,
        Err(findings) => {
            return Err(wrong(
                format!(
                    "{} is no valid enrollment profile; nothing was stored\n{}",
                    file.display(),
                    file::indented(&findings)
                ),
                "mend these and try again; `adelie profile validate FILE` checks without storing",
            ));
        }
    };
    if checked.document.accounts().is_some() {
        return Err(wrong(
            format!(
                "{} has account settings, which cannot be stored yet; nothing was stored",
                file.display()
            ),
            "take `accounts` out; your MDM server can set accounts up by its AccountConfiguration command",
        ));
    }
    let profile = checked.document.profile();
    let new =
        NewProfile { name, content: profile.apple_json().clone(), content_hash: profile.content_hash() };
    let revision = match context.store.add_profile(&new, context.clock.now()).await {
        Ok(revision) => revision,
        Err(error @ StoreError::Exists { .. }) => {
            return Err(wrong(error.to_string(), format!("see it with `adelie profile show {}`", new.name)));
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
