mod jwt;

use std::io::Write;
use std::path::{Path, PathBuf};

use adelie_dep::endpoints::account;
use adelie_model::{ServerName, ServerToken, ServerTokenId, Timestamp, TokenKeyId, TokenState, new_uuid};
use adelie_scheduler::{chain, secrets, to_account};
use adelie_store::seal::TOKEN_PRIVATE_KEY;
use adelie_store::{Keyring, MdmServer, NewServerToken, StoredKey};
use adelie_token::TokenKey;
use anyhow::Context as _;
use serde_json::json;

use crate::args::Token;
use crate::commands::server::token_object;
use crate::context::Context;
use crate::exit::{Exit, as_wrong, wrong};
use crate::master_keys::refused;
use crate::words::{count, minute, optional_time, time};

/// The largest file that is read as a `.p7m`; a real one has a few kilobytes.
const MAX_FILE: u64 = 1 << 20;

pub async fn run(context: Context, command: Token) -> anyhow::Result<Exit> {
    match command {
        Token::Key { name, out } => key(&context, &name, out.as_deref()).await,
        Token::Import { name, file, force } => import(&context, &name, &file, force).await,
        Token::Show { name } => show(&context, &name).await,
        Token::Jwt { name, service_type } => jwt::run(&context, &name, &service_type).await,
    }
}

async fn key(context: &Context, name: &ServerName, out: Option<&Path>) -> anyhow::Result<Exit> {
    let server = context.server(name).await?;
    let (key, stored) = make_key(context, &server).await?;
    let written = out.map(|path| PemFile::write(path, &key.certificate_pem())).transpose()?;
    // A certificate whose private key is not stored must not be uploaded, so the file goes if the store refuses.
    context.store.add_token_key(&stored).await?;
    if let Some(file) = &written {
        file.keep();
    }
    if context.out.json {
        context.out.object(&json!({
            "server": name,
            "key_id": stored.id,
            "fingerprint": key.fingerprint(),
            "certificate_file": out,
            "certificate_pem": key.certificate_pem(),
        }))?;
        return Ok(Exit::Done);
    }
    match out {
        Some(path) => context.out.line(&format!("wrote the certificate to {}", path.display()))?,
        None => context.out.data(&key.certificate_pem())?,
    }
    context.out.hint(&format!(
        "upload it in Apple Business or School Manager as the public key of this MDM server, download the server \
         token, and run `adelie token import {name} FILE.p7m`"
    ))?;
    Ok(Exit::Done)
}

/// Makes a key pair with its certificate, and its sealed form for the store.
pub async fn make_key(context: &Context, server: &MdmServer) -> anyhow::Result<(TokenKey, StoredKey)> {
    let vault = context.vault().await?;
    let (common_name, now) = (server.name.to_string(), context.clock.now());
    // Finding the primes takes a while and must not hold up anything else.
    let key = tokio::task::spawn_blocking(move || TokenKey::generate(&common_name, now))
        .await
        .context("the key pair could not be made")??;
    let id = TokenKeyId(new_uuid(now, &*context.entropy));
    let private_key = vault.seal(TOKEN_PRIVATE_KEY.at(id.0), &key.private_key_der(), &*context.entropy)?;
    let certificate = key.certificate_der().to_vec();
    Ok((key, StoredKey { id, server: server.id, certificate, private_key, created_at: now }))
}

/// A certificate file that is taken away again unless it is kept.
struct PemFile {
    path: PathBuf,
    kept: std::cell::Cell<bool>,
}

impl PemFile {
    fn write(path: &Path, pem: &str) -> anyhow::Result<Self> {
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| {
                let hint = match error.kind() {
                    std::io::ErrorKind::AlreadyExists => "choose another file, or remove this one first",
                    _ => "check the folder and its permissions",
                };
                wrong(format!("the certificate cannot be written to {}: {error}", path.display()), hint)
            })?;
        let made = Self { path: path.to_owned(), kept: std::cell::Cell::new(false) };
        file.write_all(pem.as_bytes())
            .and_then(|()| file.sync_all())
            .with_context(|| format!("the certificate could not be written to {}", path.display()))?;
        Ok(made)
    }

    fn keep(&self) {
        self.kept.set(true);
    }
}

impl Drop for PemFile {
    fn drop(&mut self) {
        if !self.kept.get() {
            // The error that led here is the one to report.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

async fn import(context: &Context, name: &ServerName, file: &Path, force: bool) -> anyhow::Result<Exit> {
    let server = context.server(name).await?;
    let bytes = read_file(file)?;
    let imported = import_bytes(context, &server, &bytes, force)
        .await
        .map_err(|error| error.context(format!("{} was not imported", file.display())))?;
    let server = context.server(name).await?;
    if context.out.json {
        context.out.object(&object(&server, Some(&imported.consumer_key)))?;
    } else {
        let apple = server.account.as_ref().and_then(|account| account.server_name.clone());
        let apple = apple.map(|apple| format!(" ({apple} at Apple)")).unwrap_or_default();
        context.out.line(&format!(
            "imported the server token of {name}{apple}, valid until {}",
            minute(Some(imported.expires_at))
        ))?;
    }
    match imported.problem {
        Some(problem) => {
            context.out.warn(&format!("Apple does not take it yet: {problem}"))?;
            if let Some(remedy) = server.token.state.remedy() {
                context.out.hint(&remedy.replace("NAME", name.as_str()))?;
            }
            Ok(Exit::Attention)
        }
        None => {
            if !context.out.json {
                next_step(context, &server).await?;
            }
            Ok(Exit::Done)
        }
    }
}

/// A token that is in use now.
pub struct Imported {
    consumer_key: String,
    /// After this moment Apple refuses it.
    pub expires_at: Timestamp,
    /// Why Apple does not take it yet, when it does not.
    problem: Option<String>,
}

/// Decrypts a `.p7m`, tries the token, and makes it the one in use.
pub async fn import_bytes(
    context: &Context,
    server: &MdmServer,
    bytes: &[u8],
    force: bool,
) -> anyhow::Result<Imported> {
    let name = &server.name;
    let keyring = context.keyring().await?;
    let stored_keys = context.store.token_keys(server.id).await?;
    if stored_keys.is_empty() {
        return Err(wrong(
            format!("MDM server {name} has no token key, so nothing can open a server token"),
            format!(
                "run `adelie token key {name} --out FILE.pem`, upload it to Apple and download the token anew"
            ),
        ));
    }
    let keys = open_keys(&keyring, &stored_keys).await?;
    let (index, token) = adelie_token::decrypt(bytes, &keys).map_err(|error| as_wrong(&error))?;
    let key = stored_keys
        .get(index)
        .map(|key| key.id)
        .context("the key that opened the file is not among those tried")?;
    refuse_another_servers(context, server, &token, force).await?;
    let (state, problem) = try_token(context, server, &token, force).await?;

    let id = ServerTokenId(new_uuid(context.clock.now(), &*context.entropy));
    let new = NewServerToken {
        id,
        server: server.id,
        key,
        consumer_key: token.consumer_key.clone(),
        secrets: secrets::seal_token(&*context.vault().await?, id, &token, &*context.entropy)?,
        expires_at: token.expires_at,
    };
    context.store.import_token(&new, state, context.clock.now()).await?;
    if let Some(problem) = &problem {
        context.store.set_token_state(server.id, state, Some(problem), context.clock.now()).await?;
    }
    Ok(Imported { consumer_key: token.consumer_key, expires_at: token.expires_at, problem })
}

/// The error of a token that could not be tried: nothing is known against it, and the one in use stays.
fn not_tried(error: &adelie_dep::Error, replaces: bool) -> anyhow::Error {
    let kept = if replaces { "the token in use stays" } else { "nothing was changed" };
    anyhow::anyhow!(
        "the token was not imported, because it could not be tried; {kept}; try again, or import it untried with \
         --force: {}",
        chain(error)
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

fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
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

async fn open_keys(keyring: &Keyring, stored: &[StoredKey]) -> anyhow::Result<Vec<TokenKey>> {
    let mut keys = Vec::with_capacity(stored.len());
    for key in stored {
        let private =
            keyring.unseal(TOKEN_PRIVATE_KEY.at(key.id.0), &key.private_key).await.map_err(refused)?;
        keys.push(TokenKey::from_parts(&key.certificate, &private)?);
    }
    Ok(keys)
}

/// A renewed token keeps its consumer key; another one means another MDM server (field lesson L41).
async fn refuse_another_servers(
    context: &Context,
    server: &MdmServer,
    token: &ServerToken,
    force: bool,
) -> anyhow::Result<()> {
    let current = context.store.current_token(server.id).await?;
    if !force && current.is_some_and(|current| current.token.consumer_key != token.consumer_key) {
        return Err(wrong(
            format!(
                "this token belongs to another MDM server than the one that {} has used so far",
                server.name
            ),
            "check the name; if the MDM server was made anew in the portal, import it with --force",
        ));
    }
    Ok(())
}

/// Shows the token to Apple before it is stored. A token that Apple refuses is not imported; the one in use
/// stays until a better one is proven (field lesson L40).
async fn try_token(
    context: &Context,
    server: &MdmServer,
    token: &ServerToken,
    force: bool,
) -> anyhow::Result<(TokenState, Option<String>)> {
    let client = context.connector().await?.client_with(server, token.clone())?;
    let error = match client.send(&account::Request).await {
        Ok(response) => {
            let known = server.account.as_ref().and_then(|account| account.server_uuid.clone());
            if !force && known.is_some() && known != response.server_uuid {
                return Err(wrong(
                    format!("Apple says that this token is for another MDM server than {}", server.name),
                    "check the name; if the MDM server was made anew in the portal, import it with --force",
                ));
            }
            let account = to_account(&response, response.limit_for("/server/devices"));
            context.store.set_account(server.id, &account).await?;
            return Ok((TokenState::by_expiry(token.expires_at, context.clock.now()), None));
        }
        Err(error) => error,
    };
    let state = error.token_state().unwrap_or(TokenState::Unreachable);
    let replaces = server.token.state != TokenState::None;
    let waits =
        state == TokenState::TermsNotSigned || (state == TokenState::Unreachable && (!replaces || force));
    if waits || force {
        return Ok((state, Some(chain(&error))));
    }
    if state == TokenState::Unreachable {
        return Err(not_tried(&error, replaces));
    }
    let kept = if replaces { "the token in use stays" } else { "nothing was changed" };
    Err(anyhow::Error::new(error)
        .context(format!("the token was not imported, because Apple does not accept it; {kept}")))
}

async fn show(context: &Context, name: &ServerName) -> anyhow::Result<Exit> {
    let server = context.server(name).await?;
    let current = context.store.current_token(server.id).await?;
    let keys = context.store.token_keys(server.id).await?;
    let consumer_key = current.as_ref().map(|token| token.token.consumer_key.as_str());
    if context.out.json {
        let mut object = object(&server, consumer_key);
        object["imported_at"] = json!(optional_time(current.as_ref().map(|token| token.imported_at)));
        object["keys"] = keys
            .iter()
            .map(|key| json!({ "key_id": key.id, "created_at": time(key.created_at) }))
            .collect::<Vec<_>>()
            .into();
        context.out.object(&object)?;
        return Ok(Exit::Done);
    }
    let account = server.account.clone().unwrap_or_default();
    let left = server.token.expires_at.map(|at| (at - context.clock.now()).num_days());
    let expires = match left {
        Some(days) if days >= 0 => {
            format!("{} (in {})", minute(server.token.expires_at), count(days.unsigned_abs(), "day", "days"))
        }
        _ => minute(server.token.expires_at),
    };
    context.out.facts(&[
        ("server", name.to_string()),
        ("token", server.token.state.to_string()),
        ("cause", server.token.detail.clone().unwrap_or_default()),
        ("since", minute(server.token.since)),
        ("expires", expires),
        ("imported", minute(current.as_ref().map(|token| token.imported_at))),
        ("made by", account.admin_id.unwrap_or_default()),
        ("at Apple", account.server_name.unwrap_or_default()),
        ("organization", account.org_name.unwrap_or_default()),
        ("server UUID", account.server_uuid.unwrap_or_default()),
        ("consumer key", consumer_key.unwrap_or_default().to_owned()),
        ("token keys", keys.len().to_string()),
    ])?;
    if let Some(remedy) = server.token.state.remedy() {
        context.out.hint(&remedy.replace("NAME", name.as_str()))?;
    }
    Ok(Exit::Done)
}

fn object(server: &MdmServer, consumer_key: Option<&str>) -> serde_json::Value {
    let mut object = token_object(server);
    object["server"] = json!(server.name);
    object["consumer_key"] = json!(consumer_key);
    object["account"] = json!(server.account);
    object
}
