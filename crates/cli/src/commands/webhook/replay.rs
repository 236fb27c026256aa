use adelie_model::DeliveryId;
use adelie_store::Replay;
use serde_json::json;

use super::endpoint;
use crate::args::Since;
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::words::count;

/// Makes deliveries due again.
pub async fn run(
    context: &Context,
    delivery: Option<i64>,
    failed: bool,
    endpoint: Option<&str>,
    since: Option<Since>,
    until: Option<Since>,
) -> anyhow::Result<Exit> {
    if delivery.is_none() && !failed && since.is_none() {
        return Err(wrong(
            "it is not said what is to be sent again",
            "name a delivery of `adelie webhook log`, or use --failed, or --endpoint ENDPOINT with --since TIME",
        ));
    }
    let by = context.operator();
    let webhook = match endpoint {
        Some(text) => Some(endpoint::find(context, text).await?.id),
        None => None,
    };
    let which = match (delivery, since, webhook) {
        (Some(number), ..) => {
            let id = DeliveryId(number);
            if context.store.delivery(id).await?.is_none() {
                return Err(wrong(
                    format!("there is no delivery {number}"),
                    "`adelie webhook log` lists deliveries; they are deleted after a time",
                ));
            }
            Replay::One(id)
        }
        (None, Some(since), Some(webhook)) => {
            let (since, until) = (since.moment(by.now), until.map_or(by.now, |until| until.moment(by.now)));
            if since >= until {
                return Err(wrong("--until is not after --since", "give a range like --since 2d --until 1d"));
            }
            Replay::Range { webhook, since, until }
        }
        (None, ..) => Replay::Failed(webhook),
    };
    let deliveries = context.store.replay(&which, &by).await?;
    if context.out.json {
        context.out.object(&json!({ "deliveries": deliveries }))?;
    } else if deliveries == 0 {
        context.out.note("there is nothing to send again")?;
    } else {
        context.out.line(&format!("{} sent again", count(deliveries, "delivery is", "deliveries are")))?;
        context
            .out
            .hint("a running `adelie serve` sends them now; `adelie webhook log` shows what comes of it")?;
    }
    Ok(Exit::Done)
}
