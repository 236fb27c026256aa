use std::path::Path;

use adelie_model::halt;
use adelie_store::seal::{StoredDataKey, reseal, rotation};
use adelie_store::{MasterKey, MasterKeys, Vault};
use serde_json::json;

use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::key_file::Exchange;
use crate::master_keys::{Place, refused};
use crate::progress;
use crate::settings::Database;
use crate::words::count;

/// Seals everything under a fresh data key, or goes on with a rotation that was interrupted. Killed at any line, it leaves
/// everything openable: master keys are in their place before a data key is sealed under them and after none is any more,
/// data keys are stored before anything is sealed under them, and each secret is exchanged as a whole.
pub async fn run(context: &Context, to: Option<&Path>) -> anyhow::Result<Exit> {
    let place = Place::in_use(&context.settings);
    let move_to = to.map(|file| Move::begin(&place, file)).transpose()?;
    let begun = begin(context, &place, move_to.as_ref()).await?;
    halt::point("key.changed");

    let version = begun.vault.newest();
    let waiting: u64 = reseal::counts(&*context.store)
        .await?
        .into_iter()
        .filter(|(sealed_under, _)| *sealed_under != version)
        .map(|(_, count)| count)
        .sum();
    let bar = progress::counting("sealing", "secrets", waiting, context.out.json);
    let told = |count| bar.inc(count);
    let outcome =
        reseal::all(&*context.store, &begun.vault, &*context.entropy, &told).await.map_err(refused)?;
    bar.finish_and_clear();
    halt::point("key.sealed");
    complete(context, version).await?;
    halt::point("key.completed");
    let forgotten = reseal::forget_unused(&*context.store, context.clock.now()).await?;
    let alone = match &move_to {
        Some(change) => change.end(context).await?,
        None => false,
    };

    if context.out.json {
        context.out.object(&json!({
            "data_key": version,
            "resumed": !begun.fresh,
            "master_key": begun.master,
            "sealed": outcome.sealed,
            "refused": outcome.refused.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "forgotten_data_keys": forgotten,
        }))?;
    } else {
        tell(context, &begun, outcome.sealed)?;
    }
    for error in &outcome.refused {
        context.out.warn(&error.to_string())?;
    }
    after(context, &place, alone, &begun)?;
    Ok(if outcome.refused.is_empty() { Exit::Done } else { Exit::Attention })
}

/// Another master key for the data keys.
struct Move {
    key: MasterKey,
    /// The key file, when it is ours to write.
    exchange: Option<Exchange>,
}

impl Move {
    fn begin(place: &Place, file: &Path) -> anyhow::Result<Self> {
        let keys = Place::File(file.to_owned()).read().map_err(refused)?;
        let key = match keys.as_ref().map(|keys| (keys.first(), keys.ids().len())) {
            Some((Some(key), 1)) => key.clone(),
            _ => {
                return Err(wrong(
                    format!("{} holds more than one master key", file.display()),
                    "give a file with one: `adelie key make FILE` makes it",
                ));
            }
        };
        if let Place::KeyFile(path) = place {
            return Ok(Self { key, exchange: Some(Exchange::begin(path)?) });
        }
        // Nobody but the operator can write there.
        let at_hand = place.read().map_err(refused)?.map(|keys| keys.ids()).unwrap_or_default();
        if at_hand.first() != Some(&key.id()) {
            return Err(wrong(
                format!(
                    "master key {} is to seal from now on, but {place} begins with {}; nothing was changed",
                    key.id(),
                    at_hand.first().map_or("nothing", String::as_str)
                ),
                format!(
                    "put the key in front of those in {place}, for every copy of Adelie, and start each copy anew; then run \
                     this again; then take the old keys away. docs/keys.md has the steps"
                ),
            ));
        }
        Ok(Self { key, exchange: None })
    }

    /// Both keys in the key file, before anything is sealed under the new one.
    fn both(&self, keys: MasterKeys) -> anyhow::Result<MasterKeys> {
        let both = keys.led_by(&self.key);
        if let Some(exchange) = &self.exchange
            && both.ids() != keys.ids()
        {
            exchange.replace(&both)?;
            halt::point("key.both_in_file");
        }
        Ok(both)
    }

    /// The new key alone in the key file, once nothing is sealed under another one. Says whether it is.
    async fn end(&self, context: &Context) -> anyhow::Result<bool> {
        let Some(exchange) = &self.exchange else { return Ok(false) };
        let id = self.key.id();
        let stored = context.store.data_keys().await?;
        if let Some(other) = stored.iter().find(|key| key.master_id() != id) {
            context.out.warn(&format!(
                "somebody else has sealed data key {} under master key {} meanwhile: the key file keeps both",
                other.version,
                other.master_id()
            ))?;
            return Ok(false);
        }
        let place = Place::KeyFile(crate::key_file::path(&context.settings.data_dir));
        exchange.replace(&MasterKeys::one(self.key.clone(), place.to_string()))?;
        halt::point("key.alone");
        Ok(true)
    }
}

/// What a rotation begins with.
struct Begun {
    vault: Vault,
    /// A new data key was made, and not one that was there gone on with.
    fresh: bool,
    /// The id of the master key that it stands under.
    master: String,
    /// The ids of the other master keys at hand.
    others: Vec<String>,
}

/// Stores the new data key, and all of them under the first master key.
async fn begin(context: &Context, place: &Place, change: Option<&Move>) -> anyhow::Result<Begun> {
    loop {
        let before = context.store.data_keys().await?;
        // After the data keys: whoever exchanges master keys puts the new one in its place before it is used.
        let keys = place.keys_for(&before).map_err(refused)?;
        // Nothing is touched with keys that do not fit.
        let with_new = change.map_or_else(|| keys.clone(), |change| keys.led_by(&change.key));
        Vault::open(&with_new, &before).map_err(refused)?;
        let keys = match change {
            Some(change) => change.both(keys)?,
            None => keys,
        };
        let after =
            rotation::begin(&before, &keys, &*context.entropy, context.clock.now()).map_err(refused)?;
        let by = context.operator();
        if after != before && !context.store.change_data_keys(&before, &after, Some(&by)).await? {
            // Somebody else rotates, too. What came of it is the next beginning.
            continue;
        }
        let mut others = keys.ids();
        let master = others.remove(0);
        let vault = Vault::open(&keys, &after).map_err(refused)?;
        return Ok(Begun { vault, fresh: after.len() > before.len(), master, others });
    }
}

async fn complete(context: &Context, version: u32) -> anyhow::Result<()> {
    loop {
        let before = context.store.data_keys().await?;
        let after: Vec<StoredDataKey> = rotation::complete(&before, version, context.clock.now());
        if after == before || context.store.change_data_keys(&before, &after, None).await? {
            return Ok(());
        }
    }
}

fn tell(context: &Context, begun: &Begun, sealed: u64) -> anyhow::Result<()> {
    let (version, secrets) = (begun.vault.newest(), count(sealed, "secret", "secrets"));
    let what = if begun.fresh {
        format!("sealed {secrets} anew under the fresh data key {version}")
    } else {
        format!(
            "sealed {secrets} anew: the rotation to data key {version}, which had begun before, is complete"
        )
    };
    context.out.line(&format!("{what}; all data keys are under master key {}", begun.master))
}

/// Says what is left to do by hand. `alone` tells that the key file holds the new key alone.
fn after(context: &Context, place: &Place, alone: bool, begun: &Begun) -> anyhow::Result<()> {
    match place {
        Place::KeyFile(path) if alone => {
            context.out.note(&format!(
                "the key file {} holds master key {} alone now: keep a copy in a safe place, apart from the database, and the \
                 old key for as long as you keep backups from before",
                path.display(),
                begun.master
            ))?;
            if let Database::Postgres(_) = context.settings.database {
                context.out.hint("copies of Adelie with a data directory of their own need this key file, too")?;
            }
            Ok(())
        }
        _ if begun.others.is_empty() => Ok(()),
        _ => context.out.hint(&format!(
            "nothing is sealed under {} any more: take it out of {place}, for every copy of Adelie, and keep it for as long as \
             you keep backups from before",
            begun.others.join(", ")
        )),
    }
}
