use adelie_model::{ServerName, new_uuid};
use adelie_store::seal::TOKEN_PRIVATE_KEY;
use adelie_token::{JwtError, TokenKey, access_management_token};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::context::Context;
use crate::exit::{Exit, as_wrong, wrong};
use crate::master_keys::refused;

/// Signs the token that answers a device's `GetToken`, with the key whose certificate is registered in the portal: the
/// one that opened the server token in use (protocol section 10.2).
pub async fn run(context: &Context, name: &ServerName, service_type: &str) -> anyhow::Result<Exit> {
    let server = context.server(name).await?;
    let Some(current) = context.store.current_token(server.id).await? else {
        return Err(wrong(
            format!("MDM server {name} has no server token, so that it is not known which key Apple has"),
            format!("run `adelie token key {name}` and import the token that Apple makes for it"),
        ));
    };
    let Some(uuid) = server.account.as_ref().and_then(|account| account.server_uuid.clone()) else {
        return Err(wrong(
            format!("Apple has not told the UUID of MDM server {name} yet"),
            format!("run `adelie sync {name}` first, which asks for it"),
        ));
    };
    let keys = context.store.token_keys(server.id).await?;
    let Some(stored) = keys.into_iter().find(|key| key.id == current.token.key) else {
        anyhow::bail!(
            "the key that opened the server token of {name} is not stored: restore it from a backup"
        );
    };
    let keyring = context.keyring().await?;
    let private =
        keyring.unseal(TOKEN_PRIVATE_KEY.at(stored.id.0), &stored.private_key).await.map_err(refused)?;
    let key = TokenKey::from_parts(&stored.certificate, &private)?;
    let now = context.clock.now();
    let id = new_uuid(now, &*context.entropy);
    let token =
        access_management_token(&key, &uuid, service_type, id, now).map_err(|error| match &error {
            JwtError::ServiceType(_) | JwtError::NoServerUuid => as_wrong(&error),
            JwtError::Sign(_) => error.into(),
        })?;
    if context.out.json {
        context.out.object(&json!({ "server": name, "jti": id, "jwt": token.expose_secret() }))?;
    } else {
        context.out.line(token.expose_secret())?;
    }
    Ok(Exit::Done)
}
