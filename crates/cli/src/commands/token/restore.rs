use adelie_model::{ServerName, halt};
use adelie_scheduler::secrets;
use adelie_store::StoredToken;
use uuid::Uuid;

use super::import::{self, Imported};
use crate::context::Context;
use crate::exit::{Exit, wrong};

/// Uses a former token again, if Apple takes it.
pub async fn run(
    context: &Context,
    name: &ServerName,
    id: Option<Uuid>,
    force: bool,
) -> anyhow::Result<Exit> {
    let server = context.server(name).await?;
    let tokens = context.store.tokens(server.id).await?;
    let former = chosen(&tokens, id).ok_or_else(|| match id {
        Some(id) => wrong(
            format!("MDM server {name} has no server token {id}"),
            format!("`adelie token history {name}` lists them"),
        ),
        None => wrong(
            format!("MDM server {name} has no former server token"),
            format!("`adelie token history {name}` lists them; a file is taken by `adelie token renew {name} FILE.p7m`"),
        ),
    })?;
    let current = tokens.iter().find(|token| token.is_current);
    let another = current.is_some_and(|current| current.token.consumer_key != former.token.consumer_key);
    if another && !force {
        return Err(import::another_server(&server));
    }
    let token = secrets::open_token(&*context.keyring().await?, former).await.map_err(|error| {
        wrong(
            format!("the server token {} cannot be restored: {error}", former.token.id),
            super::damage_fix(name),
        )
    })?;
    let tried = import::try_token(context, &server, &token, force).await?;
    halt::point("token.proven");
    let id = former.token.id;
    let by = context.operator();
    context.store.restore_token(server.id, id, tried.account.as_ref(), &tried.seen(), &by).await?;
    halt::point("token.switched");
    let imported = Imported {
        consumer_key: token.consumer_key,
        expires_at: token.expires_at,
        problem: tried.problem,
        was_in_use: former.is_current,
    };
    import::tell(context, &server, &imported).await
}

/// The token with this id, or the one that was in use before the present one.
fn chosen(tokens: &[StoredToken], id: Option<Uuid>) -> Option<&StoredToken> {
    match id {
        Some(id) => tokens.iter().find(|token| token.token.id.0 == id),
        None => tokens.iter().filter(|token| !token.is_current).max_by_key(|token| token.replaced_at),
    }
}
