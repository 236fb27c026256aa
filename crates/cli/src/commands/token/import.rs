//! The one way by which a server token comes into use: decrypt, compare, prove, switch.

use std::path::Path;

use adelie_dep::endpoints::account;
use adelie_model::{
    ServerName, ServerToken, ServerTokenId, Timestamp, TokenKeyId, TokenState, halt, new_uuid,
};
use adelie_scheduler::{chain, policy, secrets, to_account};
use adelie_store::{Account, MdmServer, NewServerToken, TokenSeen};
use secrecy::ExposeSecret;

use super::key;
use crate::context::Context;
use crate::exit::{Exit, as_wrong, wrong};
use crate::words::{for_server, minute};

/// The largest file that is read as a `.p7m`; a real one has a few kilobytes.
const MAX_FILE: u64 = 1 << 20;

pub async fn run(context: &Context, name: &ServerName, file: &Path, force: bool) -> anyhow::Result<Exit> {
    let server = context.server(name).await?;
    let bytes = read_file(file)?;
    let imported = import_bytes(context, &server, &bytes, force)
        .await
        .map_err(|error| error.context(format!("{} was not imported", file.display())))?;
    tell(context, &server, &imported).await
}

/// Says what has become of a token that was taken. `before` is the MDM server as it was then.
pub async fn tell(context: &Context, before: &MdmServer, imported: &Imported) -> anyhow::Result<Exit> {
    let server = context.server(&before.name).await?;
    let name = &server.name;
    if context.out.json {
        context.out.object(&super::show::object(context, &server, None, Some(&imported.consumer_key)))?;
    } else {
        let apple = server.account.as_ref().and_then(|account| account.server_name.clone());
        let apple = apple.map(|apple| format!(" ({apple} at Apple)")).unwrap_or_default();
        let until = minute(Some(imported.expires_at));
        context.out.line(&match imported.was_in_use {
            true => format!("this server token of {name}{apple} is in use already, valid until {until}"),
            false => format!("imported the server token of {name}{apple}, valid until {until}"),
        })?;
    }
    if let Some(problem) = &imported.problem {
        context.out.warn(&format!("Apple does not take it yet: {problem}"))?;
        if let Some(remedy) = server.token.state.remedy() {
            context.out.hint(&for_server(remedy, name))?;
        }
        return Ok(Exit::Attention);
    }
    if !context.out.json {
        next_step(context, &server).await?;
    }
    Ok(Exit::Done)
}

/// A token that is in use now.
pub struct Imported {
    pub consumer_key: String,
    /// After this moment Apple refuses it.
    pub expires_at: Timestamp,
    /// Why Apple does not take it yet, when it does not.
    pub problem: Option<String>,
    /// Whether it was in use before, so that there was nothing to switch.
    pub was_in_use: bool,
}

/// Decrypts a `.p7m`, tries the token, and makes it the one in use.
pub async fn import_bytes(
    context: &Context,
    server: &MdmServer,
    bytes: &[u8],
    force: bool,
) -> anyhow::Result<Imported> {
    let (key, token) = decrypt(context, server, bytes).await?;
    let proven = prove(context, server, key, token, force).await?;
    switch(context, server, proven).await
}

/// Decrypts a `.p7m` with whichever key of the MDM server fits. Keys that cannot be opened are passed over, unless they
/// are all that there is.
pub async fn decrypt(
    context: &Context,
    server: &MdmServer,
    bytes: &[u8],
) -> anyhow::Result<(TokenKeyId, ServerToken)> {
    let name = &server.name;
    let keyring = context.keyring().await?;
    let stored = context.store.token_keys(server.id).await?;
    if stored.is_empty() {
        return Err(wrong(
            format!("MDM server {name} has no token key, so nothing can open a server token"),
            format!(
                "run `adelie token key {name} --out FILE.pem`, upload it to Apple and download the token anew"
            ),
        ));
    }
    let (mut ids, mut keys, mut damaged) = (Vec::new(), Vec::new(), None);
    for one in &stored {
        match key::open(&keyring, one).await {
            Ok(key) => {
                ids.push(one.id);
                keys.push(key);
            }
            Err(error) => damaged = Some(error),
        }
    }
    match damaged {
        Some(error) if keys.is_empty() => {
            return Err(error.context(format!("no token key of MDM server {name} can be opened")));
        }
        Some(error) => context.out.warn(&format!("a token key of {name} cannot be opened: {error:#}"))?,
        None => {}
    }
    let (index, token) = adelie_token::decrypt(bytes, &keys).map_err(|error| as_wrong(&error))?;
    halt::point("token.decrypted");
    Ok((ids[index], token))
}

/// A token of which Apple was asked, or that is to be taken all the same.
pub struct Proven {
    key: TokenKeyId,
    token: ServerToken,
    tried: Tried,
    /// The stored token that is the same, when it is in use.
    in_use: Option<ServerTokenId>,
}

/// Compares a token with the one in use and shows it to Apple. Changes nothing.
pub async fn prove(
    context: &Context,
    server: &MdmServer,
    key: TokenKeyId,
    token: ServerToken,
    force: bool,
) -> anyhow::Result<Proven> {
    let current = context.store.current_token(server.id).await?;
    if !force && current.as_ref().is_some_and(|current| current.token.consumer_key != token.consumer_key) {
        return Err(another_server(server));
    }
    let mut known = None;
    if let Some(current) = &current {
        // One that does not open is replaced by a copy that does.
        let opened = secrets::open_token(&*context.keyring().await?, current).await;
        known = opened.is_ok_and(|opened| is_same(&opened, &token)).then_some(current.token.id);
    }
    let tried = try_token(context, server, &token, force).await?;
    halt::point("token.proven");
    Ok(Proven { key, token, tried, in_use: known })
}

/// Whether two are one and the same.
pub fn is_same(one: &ServerToken, other: &ServerToken) -> bool {
    one.consumer_key == other.consumer_key
        && one.access_token.expose_secret() == other.access_token.expose_secret()
        && one.access_secret.expose_secret() == other.access_secret.expose_secret()
}

/// Puts a proven token into use.
pub async fn switch(context: &Context, server: &MdmServer, proven: Proven) -> anyhow::Result<Imported> {
    let Proven { key, token, tried, in_use } = proven;
    let by = context.operator();
    let seen = TokenSeen { about: in_use, ..tried.seen() };
    match in_use {
        Some(_) => {
            if let Some(account) = &tried.account {
                context.store.set_account(server.id, account).await?;
            }
            let wakes = server.token.state.is_bad() && !tried.state.is_bad();
            context.store.set_token_state(server.id, &TokenSeen { wakes, ..seen }, by.now).await?;
        }
        None => {
            let vault = context.vault().await?;
            let id = ServerTokenId(new_uuid(by.now, &*context.entropy));
            let new = NewServerToken {
                id,
                server: server.id,
                key,
                consumer_key: token.consumer_key.clone(),
                secrets: secrets::seal_token(&vault, id, &token, &*context.entropy)?,
                expires_at: token.expires_at,
                account: tried.account.clone(),
            };
            context.store.import_token(&new, &seen, &by).await?;
        }
    }
    halt::point("token.switched");
    Ok(Imported {
        consumer_key: token.consumer_key,
        expires_at: token.expires_at,
        problem: tried.problem,
        was_in_use: in_use.is_some(),
    })
}

/// What Apple has said of a token that is to be taken.
pub struct Tried {
    pub state: TokenState,
    /// Why Apple does not take it, when it does not.
    pub problem: Option<String>,
    pub account: Option<Account>,
    next_check_at: Option<Timestamp>,
}

impl Tried {
    /// It, as the store keeps it.
    pub fn seen(&self) -> TokenSeen<'_> {
        let detail = self.problem.as_deref();
        TokenSeen { detail, next_check_at: self.next_check_at, ..self.state.into() }
    }
}

/// Shows a token to Apple before it is used. One that Apple refuses is not taken; the one in use stays until a better one
/// is proven (field lesson L40).
pub async fn try_token(
    context: &Context,
    server: &MdmServer,
    token: &ServerToken,
    force: bool,
) -> anyhow::Result<Tried> {
    let client = context.trial_client(server, token.clone()).await?;
    let now = context.clock.now();
    let error = match client.send(&account::Request).await {
        Ok(response) => {
            let known = server.account.as_ref().and_then(|account| account.server_uuid.clone());
            if !force && known.is_some() && known != response.server_uuid {
                return Err(another_server(server));
            }
            let account = to_account(&response, response.limit_for("/server/devices"));
            let state = TokenState::by_expiry(token.expires_at, now);
            return Ok(Tried { state, problem: None, account: Some(account), next_check_at: None });
        }
        Err(error) => error,
    };
    let state = error.token_state().unwrap_or(TokenState::Unreachable);
    let replaces = server.token.state != TokenState::None;
    let waits =
        state == TokenState::TermsNotSigned || (state == TokenState::Unreachable && (!replaces || force));
    if waits || force {
        let next_check_at = policy::next_token_check(&context.settings.engine, state, now, &*context.entropy);
        return Ok(Tried { state, problem: Some(chain(&error)), account: None, next_check_at });
    }
    let kept = if replaces { "the token in use stays" } else { "nothing was changed" };
    if state == TokenState::Unreachable {
        // Nothing is known against it.
        return Err(anyhow::Error::new(error).context(format!(
            "the token was not imported, because it could not be tried; {kept}; try again, or import it untried \
             with --force"
        )));
    }
    Err(anyhow::Error::new(error)
        .context(format!("the token was not imported, because Apple does not accept it; {kept}")))
}

/// A renewed token keeps its consumer key and its server UUID; others mean another MDM server (field lesson L41).
pub fn another_server(server: &MdmServer) -> anyhow::Error {
    wrong(
        format!(
            "this token is for another MDM server of Apple's than the one that {} has used so far",
            server.name
        ),
        "check the name; if the MDM server was made anew in the portal, take it with --force",
    )
}

/// A device that boots before it has a profile does not enroll, so the default comes before the first sync (L30).
async fn next_step(context: &Context, server: &MdmServer) -> anyhow::Result<()> {
    let name = &server.name;
    if context.store.defaults(server.id).await?.is_empty() {
        return context.out.hint(&format!(
            "next: `adelie profile new PROFILE --file FILE`, `adelie server set {name} --default any=PROFILE`, then `adelie sync {name}`"
        ));
    }
    context.out.hint(&format!("next: `adelie sync {name}`"))
}

pub fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let unreadable = |error: std::io::Error| {
        wrong(
            format!("{} cannot be read: {error}", path.display()),
            "give the .p7m file that was downloaded from Apple",
        )
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_FILE {
        return Err(wrong(
            format!("{} has {size} bytes and a server token has a few thousand", path.display()),
            "give the .p7m file that was downloaded from Apple",
        ));
    }
    std::fs::read(path).map_err(unreadable)
}
