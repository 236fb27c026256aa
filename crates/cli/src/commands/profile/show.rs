use adelie_model::ProfileName;
use adelie_profile::Format;
use adelie_store::Published;
use serde_json::json;

use super::object;
use super::revisions::{self, Known};
use crate::context::Context;
use crate::documents;
use crate::exit::Exit;
use crate::words::{minute, time};

pub async fn run(
    context: &Context,
    name: &ProfileName,
    number: Option<u32>,
    file: Option<Format>,
) -> anyhow::Result<Exit> {
    let known = revisions::find(context, name).await?;
    let revision = known.revision(number.unwrap_or(known.head.in_force.number))?;
    if let Some(format) = file {
        let opened = documents::open(context, revision.clone()).await?;
        context.out.data(&opened.document.write(format)?)?;
        return Ok(Exit::Done);
    }
    let mut published = Vec::new();
    for one in context.store.published(revision.profile).await? {
        if one.revision == revision.id {
            let server = context.store.server_by_id(one.server).await?.map(|server| server.name.to_string());
            published.push((server.unwrap_or_default(), one));
        }
    }
    if context.out.json {
        let mut object = object(revision);
        object["standing"] = json!(known.standing(revision));
        object["used_by"] = json!(users(&known));
        object["published"] = published
            .iter()
            .map(|(server, one)| {
                json!({
                    "server": server, "profile_uuid": one.profile_uuid, "error": one.error, "differs": one.differs,
                    "at": time(one.at),
                })
            })
            .collect::<Vec<_>>()
            .into();
        context.out.object(&object)?;
        return Ok(Exit::Done);
    }
    let mut facts = vec![
        ("profile", revision.name.to_string()),
        ("revision", format!("{} of {}", revision.number, known.head.newest)),
        ("standing", known.standing(revision)),
        ("made", format!("{} by {}", minute(Some(revision.created_at)), revision.author)),
        ("note", revision.note.clone()),
        ("given by", users(&known).join(", ")),
    ];
    if let Some(staged) = known.head.staged.as_ref().filter(|staged| staged.revision.id != revision.id) {
        let paused = if staged.paused { ", paused" } else { "" };
        facts.push((
            "rolled out",
            format!("revision {} to {} %{paused}", staged.revision.number, staged.percent),
        ));
    }
    context.out.facts(&facts)?;
    context.out.line("\nwhat Apple gets")?;
    context.out.line(&serde_json::to_string_pretty(&revision.content)?)?;
    for (server, one) in published {
        context.out.line(&format!("at {server}: {}", standing(&one)))?;
    }
    Ok(Exit::Done)
}

fn standing(one: &Published) -> String {
    match (&one.profile_uuid, &one.error, &one.differs) {
        (Some(uuid), _, Some(differs)) => format!("published as {uuid}; {differs}"),
        (Some(uuid), _, None) => format!("published as {uuid}"),
        (None, Some(error), _) => error.clone(),
        (None, None, _) => "not published yet".to_owned(),
    }
}

/// The rules and defaults that give a profile.
fn users(known: &Known) -> Vec<String> {
    let Known { head, configuration, .. } = known;
    let rules = configuration.rules.iter().filter(|rule| rule.profile == head.name);
    let mut users: Vec<String> = rules.map(|rule| format!("rule {}", rule.name)).collect();
    for server in &configuration.servers {
        let defaults = server.defaults.iter().filter(|(_, profile)| *profile == head.name);
        users.extend(defaults.map(|(scope, _)| format!("default {scope} at {}", server.name)));
    }
    users
}
