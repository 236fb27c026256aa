use adelie_dep::Error;
use adelie_dep::endpoints::account_driven_enrollment::{GetRequest, RemoveRequest, SetRequest};
use adelie_model::ServerName;
use serde_json::json;
use url::Url;

use crate::args::UrlChange;
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::words::{minute, optional_time};

/// Shows, sets or takes away where devices of the organization's Managed Apple Accounts find the MDM service (protocol
/// section 3.13).
pub async fn run(context: &Context, name: &ServerName, change: &UrlChange) -> anyhow::Result<Exit> {
    let server = context.server(name).await?;
    if let Some(url) = &change.set {
        https(url)?;
    }
    let client = context.connector().await?.client(&server).await?;
    if let Some(url) = &change.set {
        client.send(&SetRequest { mdm_service_discovery_url: url.to_string() }).await?;
    }
    if change.remove {
        client.send(&RemoveRequest).await?;
    }
    // What Apple shows afterwards counts, not what was asked for.
    let shown = match client.send(&GetRequest).await {
        Ok(shown) => shown,
        Err(error) if is_none(&error) => Default::default(),
        Err(error) => return Err(error.into()),
    };
    if context.out.json {
        context.out.object(&json!({
            "server": name,
            "mdm_service_discovery_url": shown.mdm_service_discovery_url,
            "last_updated_at": optional_time(shown.last_updated_timestamp),
        }))?;
        return Ok(Exit::Done);
    }
    match shown.mdm_service_discovery_url {
        Some(url) => context.out.facts(&[
            ("server", name.to_string()),
            ("service discovery", url),
            ("changed", minute(shown.last_updated_timestamp)),
        ])?,
        None => context.out.note(&format!("Apple has no address for account-driven enrollment at {name}"))?,
    }
    Ok(Exit::Done)
}

/// Apple answers with HTTP status 404 when there is none.
fn is_none(error: &Error) -> bool {
    error.answer().is_some_and(|answer| answer.status == 404)
}

fn https(url: &Url) -> anyhow::Result<()> {
    if url.scheme() == "https" && url.host_str().is_some() {
        return Ok(());
    }
    Err(wrong(
        format!("--set {url} is no https address, and Apple takes no other"),
        "give the address of the service discovery file of your MDM, like https://mdm.example.org/enroll",
    ))
}
