use std::io::Write;
use std::path::Path;

use adelie_model::{ServerName, TokenKeyId, halt, new_uuid};
use adelie_store::seal::TOKEN_PRIVATE_KEY;
use adelie_store::{Keyring, MdmServer, StoredKey};
use adelie_token::TokenKey;
use anyhow::Context as _;
use openssl::x509::X509;
use serde_json::json;

use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::master_keys::refused;

pub async fn run(context: &Context, name: &ServerName, out: Option<&Path>) -> anyhow::Result<Exit> {
    let server = context.server(name).await?;
    if let Some(path) = out {
        refuse_existing(path)?;
    }
    let (key, stored) = make_key(context, &server).await?;
    let file = out.map(|path| Certificate::prepare(path, &key.certificate_pem())).transpose()?;
    // A certificate whose private key is not stored must not be uploaded, so the file comes last.
    store(context, &stored).await?;
    if let Some(file) = file {
        file.put()?;
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
    halt::point("token.key_made");
    Ok((key, StoredKey { id, server: server.id, certificate, private_key, created_at: now }))
}

async fn store(context: &Context, key: &StoredKey) -> anyhow::Result<()> {
    context.store.add_token_key(key, &context.operator()).await?;
    halt::point("token.key_stored");
    Ok(())
}

/// A key whose certificate is uploaded for a renewal.
pub struct ForRenewal {
    pub key: TokenKey,
    pub id: TokenKeyId,
    /// Where it comes from, for people.
    pub origin: Origin,
}

/// Where the key of a renewal comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Made this moment.
    Fresh,
    /// Made by a renewal that was interrupted; no token has been opened by it yet.
    TakenUp,
    /// The one of the token in use, whose certificate Apple has already.
    Present,
}

/// The key of a renewal: the present one if that is wished, else one that an interrupted renewal has left, else a fresh
/// one. Another key for each attempt would leave people with certificates of which nobody knows which Apple has.
pub async fn for_renewal(context: &Context, server: &MdmServer, reuse: bool) -> anyhow::Result<ForRenewal> {
    let keyring = context.keyring().await?;
    let tokens = context.store.tokens(server.id).await?;
    let keys = context.store.token_keys(server.id).await?;
    if reuse {
        let current = tokens.iter().find(|token| token.is_current);
        let key = current.and_then(|token| keys.iter().find(|key| key.id == token.token.key));
        let Some(stored) = key else {
            return Err(wrong(
                format!("MDM server {} has no server token whose key could be used again", server.name),
                "leave --reuse-key out",
            ));
        };
        let key = open(&keyring, stored).await.map_err(|error| {
            wrong(format!("the present key cannot be used: {error:#}"), "leave --reuse-key out")
        })?;
        return Ok(ForRenewal { key, id: stored.id, origin: Origin::Present });
    }
    let unused = keys.iter().filter(|key| tokens.iter().all(|token| token.token.key != key.id));
    for stored in unused {
        if let Ok(key) = open(&keyring, stored).await {
            return Ok(ForRenewal { key, id: stored.id, origin: Origin::TakenUp });
        }
    }
    let (key, stored) = make_key(context, server).await?;
    store(context, &stored).await?;
    Ok(ForRenewal { key, id: stored.id, origin: Origin::Fresh })
}

/// Opens a stored key.
pub async fn open(keyring: &Keyring, stored: &StoredKey) -> anyhow::Result<TokenKey> {
    let place = TOKEN_PRIVATE_KEY.at(stored.id.0);
    let private = keyring.unseal(place, &stored.private_key).await.map_err(refused)?;
    Ok(TokenKey::from_parts(&stored.certificate, &private)?)
}

/// Writes the certificate of a renewal, unless the file has it already. A former certificate of the same MDM server, as
/// last year's renewal has left it, makes room; nothing else is overwritten.
pub async fn write_certificate(
    context: &Context,
    server: &MdmServer,
    path: &Path,
    pem: &str,
) -> anyhow::Result<()> {
    match std::fs::read(path) {
        Ok(known) if known == pem.as_bytes() => {}
        Ok(known) => {
            let known = X509::from_pem(&known).and_then(|known| known.to_der()).unwrap_or_default();
            let keys = context.store.token_keys(server.id).await?;
            if !keys.iter().any(|key| key.certificate == known) {
                return Err(taken(path));
            }
            Certificate::prepare(path, pem)?.replace()?;
        }
        Err(_) => Certificate::prepare(path, pem)?.put()?,
    }
    halt::point("token.certificate_written");
    Ok(())
}

fn refuse_existing(path: &Path) -> anyhow::Result<()> {
    // A link that leads nowhere is something, too.
    if path.symlink_metadata().is_ok() { Err(taken(path)) } else { Ok(()) }
}

fn taken(path: &Path) -> anyhow::Error {
    wrong(
        format!("the certificate cannot be written to {}: another file exists there", path.display()),
        "choose another file with --out, or remove this one first",
    )
}

/// A certificate on its way to its file: whole or not at all, also after a kill.
struct Certificate<'a> {
    file: tempfile::NamedTempFile,
    path: &'a Path,
}

impl<'a> Certificate<'a> {
    fn prepare(path: &'a Path, pem: &str) -> anyhow::Result<Self> {
        let unwritable = |error: std::io::Error| {
            wrong(
                format!("the certificate cannot be written to {}: {error}", path.display()),
                "check the folder and its permissions, or choose another file with --out",
            )
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().prefix(".adelie-").tempfile_in(folder).map_err(unwritable)?;
        file.write_all(pem.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(unwritable)?;
        Ok(Self { file, path })
    }

    /// Puts it where nothing is.
    fn put(self) -> anyhow::Result<()> {
        self.make_public()?;
        match self.file.persist_noclobber(self.path) {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Err(taken(self.path)),
            Err(error) => Err(unwritten(self.path, error.error)),
        }
    }

    /// Puts it in the place of another one.
    fn replace(self) -> anyhow::Result<()> {
        self.make_public()?;
        self.file.persist(self.path).map(drop).map_err(|error| unwritten(self.path, error.error))
    }

    /// A certificate is public, and whoever uploads it may be somebody else.
    fn make_public(&self) -> anyhow::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let public = std::fs::Permissions::from_mode(0o644);
        self.file.as_file().set_permissions(public).map_err(|error| unwritten(self.path, error))
    }
}

fn unwritten(path: &Path, error: std::io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context(format!("the certificate could not be written to {}", path.display()))
}
