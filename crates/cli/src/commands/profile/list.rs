use adelie_profile::EnrollmentProfile;

use super::object;
use crate::context::Context;
use crate::exit::Exit;
use crate::words::minute;

pub async fn run(context: &Context) -> anyhow::Result<Exit> {
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
