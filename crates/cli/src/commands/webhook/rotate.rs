use std::time::Duration;

use adelie_model::to_millis;
use adelie_store::WebhookChange;
use adelie_webhook::open_secret;
use serde_json::json;

use super::{add, endpoint};
use crate::args::Signing;
use crate::context::Context;
use crate::exit::Exit;
use crate::words::{minute, time};

/// Makes a new secret of the same kind. The old one signs beside it for a time, so that no receiver misses anything.
pub async fn run(context: &Context, text: &str, overlap: Duration) -> anyhow::Result<Exit> {
    let endpoint = endpoint::find(context, text).await?;
    let keyring = context.keyring().await?;
    let signing = match endpoint.secrets.first() {
        Some(current) => {
            let current = open_secret(&keyring, current).await?;
            if current.public_text()?.is_some() { Signing::Ed25519 } else { Signing::Hmac }
        }
        None => Signing::Hmac,
    };
    let secret = add::made(context, signing)?;
    let by = context.operator();
    let old_until = to_millis(by.now + overlap);
    let change = WebhookChange::Rotate { secret: add::seal(context, &secret).await?, old_until };
    context.store.change_webhook(endpoint.id, &change, &by).await?;
    if context.out.json {
        context.out.object(&json!({
            "id": endpoint.id,
            "url": endpoint::shown_url(&endpoint),
            "secret": secret.to_text()?.as_str(),
            "public_key": secret.public_text()?,
            "old_until": time(old_until),
        }))?;
        return Ok(Exit::Done);
    }
    let mut facts = vec![("endpoint", format!("{} ({})", endpoint.id, endpoint::shown_url(&endpoint)))];
    facts.extend(add::secret_facts(&secret)?);
    facts.push(("old secret signs until", minute(Some(old_until))));
    context.out.facts(&facts)?;
    context.out.note("the secret is shown this once: give it to the receiver before the old one ends")?;
    Ok(Exit::Done)
}
