use adelie_dep::endpoints::beta_tokens::Request;
use adelie_model::ServerName;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;

/// Asks Apple for the tokens that enroll devices in beta programs (protocol section 3.12).
pub async fn run(context: &Context, name: &ServerName) -> anyhow::Result<Exit> {
    let server = context.server(name).await?;
    let response = context.connector().await?.client(&server).await?.send(&Request).await?;
    if context.out.json {
        for one in &response.tokens {
            let token = one.token.expose_secret();
            context
                .out
                .object(&json!({ "server": name, "os": one.os, "title": one.title, "token": token }))?;
        }
        return Ok(Exit::Done);
    }
    if response.tokens.is_empty() {
        context.out.note("Apple has no beta program for this organization now")?;
        return Ok(Exit::Done);
    }
    let rows = response
        .tokens
        .iter()
        .map(|one| vec![one.os.to_string(), one.title.clone(), one.token.expose_secret().to_owned()]);
    context.out.table(&["os", "program", "token"], rows.collect())?;
    Ok(Exit::Done)
}
