use std::collections::HashMap;

use adelie_model::{SerialNumber, ServerId};
use adelie_store::Undo;

use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::operate::{self, Place};
use crate::words::minute;

/// Takes back the last change of many devices that was not taken back yet.
pub async fn run(context: &Context) -> anyhow::Result<Exit> {
    let Some(change) = context.store.last_bulk().await? else {
        return Err(wrong(
            "there is nothing to take back",
            "what `adelie device tag`, `adelie assign hold` and `adelie assign unhold` do can be taken back",
        ));
    };
    let servers: HashMap<ServerId, _> =
        context.store.servers().await?.into_iter().map(|server| (server.id, server.name)).collect();
    let mut done = Vec::new();
    for Undo { server, serials, by } in change.undo {
        let name = servers.get(&server).cloned();
        let place = |serial: SerialNumber| Place { serial, server: name.clone().map(|name| (server, name)) };
        let places = serials.into_iter().map(place).collect();
        done.extend(operate::at(context, places, &by.into()).await?);
    }
    context.store.set_undone(change.id, &context.operator()).await?;
    context.out.note(&format!(
        "taken back: {}, by {}, {}",
        change.what,
        change.by,
        minute(Some(change.at))
    ))?;
    operate::tell(context, &done, "changed back")
}
