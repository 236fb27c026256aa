use adelie_model::ProfileName;
use serde_json::json;

use super::object;
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::words::{minute, time};

pub async fn run(context: &Context, name: &ProfileName) -> anyhow::Result<Exit> {
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
