//! Profiles between documents and the store: sealing what is secret in them, and taking them back.

use std::collections::HashMap;
use std::sync::Arc;

use adelie_model::{ProfileName, new_uuid};
use adelie_profile::{EnrollmentProfile, Form, ProfileDocument};
use adelie_store::configuration::{Document, NewRevision};
use adelie_store::seal::PROFILE_SECRETS;
use adelie_store::{Revision, Sealed, Vault};
use anyhow::Context as _;
use uuid::Uuid;

use crate::context::Context;
use crate::exit::wrong;
use crate::master_keys::refused;

/// A revision of a profile as it is stored, opened.
pub struct Opened {
    pub document: ProfileDocument,
    /// Its secrets as they are sealed.
    sealed: Option<(Uuid, Sealed)>,
}

/// Opens a revision.
pub async fn open(context: &Context, revision: Revision) -> anyhow::Result<Opened> {
    let sealed = if revision.has_secrets { context.store.secrets(revision.id).await? } else { None };
    let plain = match &sealed {
        Some((id, sealed)) => {
            let keyring = context.keyring().await?;
            Some(keyring.unseal(PROFILE_SECRETS.at(*id), sealed).await.map_err(refused)?)
        }
        None => None,
    };
    let document = revision.document.as_ref().map_or(&revision.content, |document| &document.content).clone();
    let secrets = plain.as_ref().map(|plain| plain.as_slice());
    let document = ProfileDocument::from_stored(document, revision.content.clone(), secrets)
        .with_context(|| format!("revision {} of profile {}", revision.number, revision.name))?;
    Ok(Opened { document, sealed })
}

/// Opens the revision in force of every profile.
pub async fn open_all(context: &Context) -> anyhow::Result<HashMap<ProfileName, Opened>> {
    let mut all = HashMap::new();
    for revision in context.store.profiles().await? {
        all.insert(revision.name.clone(), open(context, revision).await?);
    }
    Ok(all)
}

/// Makes revisions of documents.
pub struct Sealer<'c> {
    context: &'c Context,
    vault: Arc<Vault>,
}

impl<'c> Sealer<'c> {
    pub async fn new(context: &'c Context) -> anyhow::Result<Self> {
        Ok(Self { context, vault: context.vault().await? })
    }

    /// A revision that says what a document says. `before` is what the profile says now: a password that the document
    /// calls "stored" is taken from there, and secrets that are the same stay sealed as they are.
    pub fn revision(
        &self,
        document: ProfileDocument,
        before: Option<&Opened>,
        note: &str,
    ) -> anyhow::Result<NewRevision> {
        let document = match before {
            _ if !document.needs_stored_secrets() => document,
            Some(before) => document.with_secrets_of(&before.document).map_err(no_password)?,
            None => return Err(no_password(adelie_profile::NoStoredSecrets)),
        };
        let secrets = match (document.secrets(), before) {
            (None, _) => None,
            (Some(plain), Some(before)) if before.document.secrets() == Some(plain.clone()) => {
                before.sealed.clone()
            }
            (Some(plain), _) => {
                let id = new_uuid(self.context.clock.now(), &*self.context.entropy);
                Some((id, self.vault.seal(PROFILE_SECRETS.at(id), &plain, &*self.context.entropy)?))
            }
        };
        let own = document.form() == Form::Ours || document.accounts().is_some();
        let own = own.then(|| Document {
            content: document.document().clone(),
            // The hash of any table, whose keys may stand in any order.
            hash: EnrollmentProfile::from_stored(document.document().clone()).content_hash(),
        });
        Ok(NewRevision {
            content: document.apple().clone(),
            content_hash: document.content_hash(),
            document: own,
            secrets,
            note: note.to_owned(),
        })
    }
}

fn no_password(error: adelie_profile::NoStoredSecrets) -> anyhow::Error {
    wrong(error.to_string(), "write the password, or a hash of it, or \"generated\"")
}
