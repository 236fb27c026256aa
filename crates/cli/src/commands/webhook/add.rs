use std::io::Read;
use std::path::Path;

use adelie_model::{WebhookSecretId, new_uuid};
use adelie_store::{NewWebhook, SealedSecret, WebhookFormat};
use adelie_webhook::{Guard, Refusal, Secret, seal_secret};
use serde_json::json;
use zeroize::Zeroizing;

use super::endpoint;
use crate::args::{AddWebhook, Format, Signing};
use crate::commands::events::known_pattern;
use crate::context::Context;
use crate::exit::{Exit, as_wrong, wrong};

/// Adds an endpoint and shows its secret, once.
pub async fn run(context: &Context, command: &AddWebhook) -> anyhow::Result<Exit> {
    let guard = Guard::new(context.settings.webhook.allow_networks.clone());
    guard.check(&command.url).map_err(|refusal| {
        let hint = match refusal {
            Refusal::Internal { .. } | Refusal::Plain { .. } => {
                "allowed networks are set by `allow_networks` under `[webhook]` in adelie.toml or by \
                 ADELIE_WEBHOOK_ALLOW_NETWORKS, like 10.1.0.0/16,127.0.0.0/8"
            }
            _ => "write it like https://receiver.example.com/hook",
        };
        wrong(refusal.to_string(), hint)
    })?;
    let events = patterns(command)?;
    let mut servers = Vec::new();
    for name in &command.servers {
        servers.push(context.server(name).await?.id);
    }
    let secret = match &command.secret_file {
        Some(file) => given(file)?,
        None => made(context, command.signing)?,
    };
    let sealed = seal(context, &secret).await?;
    let new = NewWebhook {
        url: command.url.clone(),
        events: events.clone(),
        servers,
        format: format(command.format),
        thin: command.thin,
        ordered: command.ordered,
        concurrency: command.concurrency,
        secret: sealed,
    };
    let id = context.store.add_webhook(&new, &context.operator()).await?;
    if context.out.json {
        let added = endpoint::find(context, &id.to_string()).await?;
        let names: Vec<String> = command.servers.iter().map(ToString::to_string).collect();
        let mut object = endpoint::object(&added, &names);
        object["secret"] = json!(secret.to_text()?.as_str());
        object["public_key"] = json!(secret.public_text()?);
        context.out.object(&object)?;
    } else {
        let mut facts = vec![("endpoint", id.to_string()), ("receives", events.join(", "))];
        facts.extend(secret_facts(&secret)?);
        context.out.facts(&facts)?;
        context.out.note("the secret is shown this once; `adelie webhook rotate` makes another")?;
        context
            .out
            .hint(&format!("try it with `adelie webhook test {id}`; docs/webhooks.md has receivers"))?;
    }
    Ok(Exit::Done)
}

/// What of a secret is shown.
pub fn secret_facts(secret: &Secret) -> anyhow::Result<Vec<(&'static str, String)>> {
    let mut facts = vec![("secret", secret.to_text()?.to_string())];
    if let Some(public) = secret.public_text()? {
        facts.push(("public key", public));
    }
    Ok(facts)
}

/// A new secret.
pub fn made(context: &Context, signing: Signing) -> anyhow::Result<Secret> {
    Ok(match signing {
        Signing::Hmac => Secret::generate(&*context.entropy)?,
        Signing::Ed25519 => Secret::generate_ed25519(&*context.entropy)?,
    })
}

/// A secret as it is stored.
pub async fn seal(context: &Context, secret: &Secret) -> anyhow::Result<SealedSecret> {
    let id = WebhookSecretId(new_uuid(context.clock.now(), &*context.entropy));
    let sealed = seal_secret(&*context.vault().await?, id, secret, &*context.entropy)?;
    Ok(SealedSecret { id, secret: sealed, valid_until: None })
}

/// A secret from a file, where a receiver has one already.
fn given(file: &Path) -> anyhow::Result<Secret> {
    let mut text = Zeroizing::new(String::new());
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text)).map(drop)
    };
    read.map_err(|error| {
        wrong(format!("the secret cannot be read from {}: {error}", file.display()), "check --secret-file")
    })?;
    text.trim().parse().map_err(|error: adelie_webhook::SecretError| as_wrong(&error))
}

/// The patterns of types. The nanodep format has no types: it posts pages.
fn patterns(command: &AddWebhook) -> anyhow::Result<Vec<String>> {
    if command.format == Format::Nanodep {
        if !command.events.is_empty() || command.thin {
            return Err(wrong(
                "the nanodep format posts whole pages of devices, so that neither --event nor --thin goes with it",
                "leave them out, or use another --format",
            ));
        }
        return Ok(vec!["sync.page".to_owned()]);
    }
    for pattern in &command.events {
        known_pattern(pattern)?;
    }
    Ok(if command.events.is_empty() { vec!["*".to_owned()] } else { command.events.clone() })
}

fn format(format: Format) -> WebhookFormat {
    match format {
        Format::Standard => WebhookFormat::Standard,
        Format::Cloudevents => WebhookFormat::CloudEvents,
        Format::Nanodep => WebhookFormat::Nanodep,
    }
}
