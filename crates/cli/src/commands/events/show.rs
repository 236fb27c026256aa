use adelie_model::EventId;
use adelie_store::{DeliveryFilter, EventFilter};
use serde_json::json;

use super::{Telling, number};
use crate::commands::webhook::{DELIVERIES, delivery_object, delivery_row};
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::happened::{self, Profiles};
use crate::words::minute;

/// Deliveries of an event that are shown: as many as there are endpoints.
const MOST: u32 = 1000;

/// Shows an event, and who has received it.
pub async fn run(context: &Context, id: &str) -> anyhow::Result<Exit> {
    let id = number(context, id).await?;
    let found = context.store.events_after(&EventFilter::default(), EventId(id.0 - 1), 1).await?;
    let Some(event) = found.into_iter().find(|event| event.id == id) else {
        return Err(wrong(
            format!("there is no event {id}"),
            "events are deleted after a time, see `event_days` in docs/operations.md",
        ));
    };
    let of_event = DeliveryFilter { event: Some(id), ..DeliveryFilter::default() };
    let deliveries = context.store.deliveries(&of_event, None, MOST).await?;
    let telling = Telling::new(context).await?;
    let profiles = Profiles::of(context, std::slice::from_ref(&event)).await?;
    if context.out.json {
        let mut object = telling.object(&event, &profiles);
        object["deliveries"] =
            deliveries.iter().map(|one| delivery_object(one, telling.installation)).collect();
        context.out.object(&object)?;
        return Ok(Exit::Done);
    }
    let text = |value: Option<String>| value.unwrap_or_default();
    context.out.facts(&[
        ("event", adelie_store::event::public_id(telling.installation, id)),
        ("type", event.kind.clone()),
        ("time", minute(Some(event.at))),
        ("server", text(telling.server(&event).map(ToString::to_string))),
        ("device", text(event.serial.as_ref().map(ToString::to_string))),
        ("what happened", happened::words(&event, &profiles)),
    ])?;
    context.out.line(&format!("{:#}", json!(event.data)))?;
    if !deliveries.is_empty() {
        context.out.table(&DELIVERIES, deliveries.iter().map(delivery_row).collect())?;
    }
    Ok(Exit::Done)
}
