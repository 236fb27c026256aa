//! Data keys, and what is sealed under them.

use std::collections::{BTreeMap, BTreeSet};

use adelie_model::{EscrowId, SeededEntropy, ServerTokenId, TokenKeyId, TokenState, WebhookSecretId};
use uuid::Uuid;

use super::endpoints::endpoint;
use super::world::{World, at, operator, profile_name, says, serial, server_name, token};
use super::{Case, Failed, Fixture};
use crate::configuration::NewRevision;
use crate::seal::{
    Column, ESCROW_SECRET, MasterKey, MasterKeys, PROFILE_SECRETS, Place, SEALED, SERVER_TOKEN_SECRETS,
    SealError, Sealed, StoredDataKey, TOKEN_PRIVATE_KEY, Vault, WEBHOOK_SECRET, reseal, rotation,
};
use crate::{
    EscrowKind, NewEscrow, NewServer, NewServerToken, NewWebhook, Resealed, SealedSecret, Store, StoredKey,
};

/// Binary columns that hold nothing secret. Whatever is in neither list was forgotten.
const NOT_SEALED: [(&str, &str); 9] = [
    ("_sqlx_migrations", "checksum"),
    // Sealed under a master key, not under a data key.
    ("data_keys", "sealed"),
    // Ids, where the database has no type for them.
    ("token_keys", "id"),
    ("server_tokens", "id"),
    ("server_tokens", "key_id"),
    ("profile_revisions", "secrets_id"),
    ("webhook_secrets", "id"),
    ("escrow", "id"),
    // What Apple is given.
    ("token_keys", "certificate"),
];

/// Master keys and data keys of a case.
pub(super) struct Keys {
    entropy: SeededEntropy,
    pub(super) masters: MasterKeys,
    pub(super) stored: Vec<StoredDataKey>,
}

impl Keys {
    pub(super) fn new() -> Self {
        let entropy = SeededEntropy::new(6);
        let master = MasterKey::generate(&entropy);
        let stored = vec![StoredDataKey::first(&master, &entropy, at(0)).expect("sealed")];
        Self { masters: MasterKeys::one(master, "the contract"), stored, entropy }
    }

    fn vault(&self) -> Vault {
        Vault::open(&self.masters, &self.stored).expect("opens")
    }

    fn rotate(&mut self) {
        self.stored = rotation::begin(&self.stored, &self.masters, &self.entropy, at(1)).expect("rotated");
    }

    fn seal(&self, place: Place) -> Sealed {
        self.vault().seal(place, place.to_string().as_bytes(), &self.entropy).expect("sealed")
    }

    /// Puts so many values into every sealed column, each of which says its place, at an MDM server of their own.
    pub(super) async fn fill(&self, store: &dyn Store, name: &str, values: u32) -> Result<(), Failed> {
        let new =
            NewServer { name: server_name(name), base_url: "https://example.com".into(), paused: false };
        let server = store.add_server(&new, &operator(0)).await?;
        let base = u128::from(server.0.unsigned_abs()) << 64;
        for number in 1..=values {
            let id = Uuid::from_u128(base | u128::from(number));
            let (key, new) = token(server, 0);
            let private_key = self.seal(TOKEN_PRIVATE_KEY.at(id));
            store.add_token_key(&StoredKey { id: TokenKeyId(id), private_key, ..key }, &operator(0)).await?;
            let secrets = self.seal(SERVER_TOKEN_SECRETS.at(id));
            let new = NewServerToken { id: ServerTokenId(id), key: TokenKeyId(id), secrets, ..new };
            store.import_token(&new, &TokenState::Valid.into(), &operator(1)).await?;
            let secrets = Some((id, self.seal(PROFILE_SECRETS.at(id))));
            let profile = profile_name(&format!("{name}-{number}"));
            let revision = NewRevision { secrets, ..says(profile.as_str()) };
            store.add_profile(&profile, revision, &operator(1)).await?;
            let secret = self.seal(WEBHOOK_SECRET.at(id));
            let secret = SealedSecret { id: WebhookSecretId(id), secret, valid_until: None };
            store.add_webhook(&NewWebhook { secret, ..endpoint(&["device.added"]) }, &operator(1)).await?;
            let secret = self.seal(ESCROW_SECRET.at(id));
            let (id, kind) = (EscrowId(id), EscrowKind::BypassCode);
            let new = NewEscrow { id, server, serial: serial(name), kind, secret };
            store.escrow(&new, &operator(1)).await?;
        }
        Ok(())
    }
}

/// Everything in a column, by its place.
pub(super) async fn all_in(store: &dyn Store, column: Column) -> Result<Vec<(Place, Sealed)>, Failed> {
    let found = store.sealed_otherwise(column, u32::MAX, None, 10_000).await?;
    Ok(found.into_iter().map(|(row, sealed)| (column.at(row), sealed)).collect())
}

/// Two processes that start, or rotate, at once must not undo what the other one did.
pub async fn data_keys_are_changed_by_one_at_a_time(fixture: &dyn Fixture) -> Case {
    let (store, other) = (fixture.store(), fixture.another().await);
    let mut keys = Keys::new();
    assert_eq!(store.data_keys().await?, []);
    assert!(store.change_data_keys(&[], &keys.stored, None).await?);
    assert!(!other.change_data_keys(&[], &Keys::new().stored, None).await?);
    assert_eq!(other.data_keys().await?, keys.stored);
    let first = keys.stored.clone();
    keys.rotate();
    let (one, two) = tokio::join!(
        store.change_data_keys(&first, &keys.stored, None),
        other.change_data_keys(&first, &keys.stored, None)
    );
    assert!(one? != two?, "one of them and only one");
    assert_eq!(store.data_keys().await?, keys.stored);
    let complete = rotation::complete(&keys.stored, 2, at(2));
    let retired = rotation::retire(&complete, &[2].into(), at(3));
    assert!(store.change_data_keys(&keys.stored, &retired, None).await?);
    assert!(!store.change_data_keys(&complete, &keys.stored, None).await?, "only the retirement differs");
    assert_eq!(store.data_keys().await?, retired);
    assert!(store.change_data_keys(&retired, &retired[1..], None).await?);
    assert_eq!(store.data_keys().await?, retired[1..]);
    Ok(())
}

/// A rotation goes through the list of sealed columns, so that no binary column may be missing in it by mistake.
pub async fn every_sealed_column_is_known(fixture: &dyn Fixture) -> Case {
    let there: BTreeSet<(String, String)> = fixture.binary_columns().await.into_iter().collect();
    let sealed: BTreeSet<_> =
        SEALED.iter().map(|column| (column.table.to_owned(), column.column.to_owned())).collect();
    let lost: Vec<_> = sealed.difference(&there).collect();
    assert!(lost.is_empty(), "no binary columns: {lost:?}");
    let open = NOT_SEALED.map(|(table, column)| (table.to_owned(), column.to_owned()));
    let unknown: Vec<_> = there.iter().filter(|one| !sealed.contains(one) && !open.contains(one)).collect();
    assert!(unknown.is_empty(), "sealed or not? {unknown:?}");
    Ok(())
}

/// Whoever can write to the database cannot use one row's secret in another row, at another MDM server or in another
/// column.
pub async fn a_copied_row_does_not_open(fixture: &dyn Fixture) -> Case {
    let store = fixture.store();
    let keys = Keys::new();
    keys.fill(&*store, "one", 1).await?;
    keys.fill(&*store, "two", 1).await?;
    let vault = keys.vault();
    for column in SEALED {
        for (place, sealed) in all_in(&*store, *column).await? {
            assert_eq!(vault.unseal(place, &sealed).expect("opens").as_slice(), place.to_string().as_bytes());
        }
        let Column { table, column: name, row } = *column;
        let own = all_in(&*store, *column).await?;
        assert_eq!(own.len(), 2, "{column}: the case has put nothing there");
        let copy = format!(
            "UPDATE {table} SET {name} = (SELECT {name} FROM {table} ORDER BY {row} DESC LIMIT 1)
             WHERE {row} = (SELECT {row} FROM {table} ORDER BY {row} LIMIT 1)"
        );
        fixture.past(&copy).await.expect("the database lets it happen");
        let copied = all_in(&*store, *column).await?;
        let [(place, sealed), (from, same)] = copied.as_slice() else { panic!("two rows: {copied:?}") };
        assert_eq!(sealed, same, "{column} was copied");
        let opened = vault.unseal(*place, sealed);
        assert!(matches!(&opened, Err(SealError::Tampered(at)) if at == place), "{place}: {opened:?}");
        for other in SEALED.iter().filter(|other| *other != column) {
            assert!(vault.unseal(other.at(from.row), sealed).is_err(), "{from} opens at {other}");
        }
    }
    Ok(())
}

/// Values are exchanged only if nobody has changed them, in every row that shares them.
pub async fn values_are_exchanged_while_they_are_what_they_were(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let store = &world.store;
    let id = Uuid::from_u128(7);
    let value = |byte| Sealed(vec![1, byte, byte]);
    let revision = |text: &str| NewRevision { secrets: Some((id, value(1))), ..says(text) };
    let name = profile_name("shared");
    store.add_profile(&name, revision("one"), &operator(1)).await?;
    let change = crate::configuration::Change::Revise {
        profile: name.clone(),
        seen: None,
        revision: revision("two"),
        percent: 100,
    };
    world.configure(&[change], 2).await?;
    assert_eq!(store.seal_counts(PROFILE_SECRETS).await?, BTreeMap::from([(1, 1)]), "shared by two rows");
    let swap = |from, to| [Resealed { row: id, before: value(from), after: value(to) }];
    assert_eq!(store.reseal(PROFILE_SECRETS, &swap(2, 3)).await?, 0);
    assert_eq!(store.reseal(PROFILE_SECRETS, &swap(1, 3)).await?, 2);
    let found = store.sealed_otherwise(PROFILE_SECRETS, 2, None, 10).await?;
    assert_eq!(found, [(id, value(3))]);
    for revision in store.revisions(&name).await? {
        assert_eq!(store.secrets(revision.id).await?, Some((id, value(3))));
    }
    Ok(())
}

/// Everything is sealed anew, by two at once and in several batches, and everything opens.
pub async fn two_seal_everything_anew_at_once(fixture: &dyn Fixture) -> Case {
    const VALUES: u32 = 230;
    let (store, other) = (fixture.store(), fixture.another().await);
    let mut keys = Keys::new();
    keys.fill(&*store, "lab", VALUES).await?;
    let every = u64::from(VALUES) * SEALED.len() as u64;
    assert_eq!(reseal::counts(&*store).await?, BTreeMap::from([(1, every)]));
    keys.rotate();
    let (vault, entropy) = (keys.vault(), SeededEntropy::new(7));
    let (one, two) = tokio::join!(
        reseal::all(&*store, &vault, &keys.entropy, &|_| {}),
        reseal::all(&*other, &vault, &entropy, &|_| {}),
    );
    let (one, two) = (one.expect("sealed anew"), two.expect("sealed anew"));
    assert_eq!(one.sealed + two.sealed, every, "each value once");
    assert!(one.refused.is_empty() && two.refused.is_empty(), "{one:?} {two:?}");
    assert_eq!(reseal::counts(&*store).await?, BTreeMap::from([(2, every)]));
    for column in SEALED {
        assert_eq!(store.sealed_otherwise(*column, 2, None, 10).await?, []);
        for (place, sealed) in all_in(&*store, *column).await? {
            let opened = vault.unseal(place, &sealed).expect("opens");
            assert_eq!(opened.as_slice(), place.to_string().as_bytes());
        }
    }
    Ok(())
}

/// A damaged value keeps neither the others from being sealed anew, nor its data key from being forgotten too early.
pub async fn what_does_not_open_is_left_alone(fixture: &dyn Fixture) -> Case {
    let store = fixture.store();
    let mut keys = Keys::new();
    assert!(store.change_data_keys(&[], &keys.stored, None).await?);
    keys.fill(&*store, "lab", 3).await?;
    let (place, sealed) = all_in(&*store, WEBHOOK_SECRET).await?.remove(1);
    let mut damaged = sealed.clone();
    damaged.0[20] ^= 1;
    let swap = Resealed { row: place.row, before: sealed, after: damaged.clone() };
    assert_eq!(store.reseal(WEBHOOK_SECRET, &[swap]).await?, 1);
    let before = keys.stored.clone();
    keys.rotate();
    assert!(store.change_data_keys(&before, &keys.stored, None).await?);
    let outcome = reseal::all(&*store, &keys.vault(), &keys.entropy, &|_| {}).await.expect("goes on");
    assert_eq!(outcome.sealed, 3 * SEALED.len() as u64 - 1);
    assert!(
        matches!(outcome.refused.as_slice(), [SealError::Tampered(at)] if *at == place),
        "{:?}",
        outcome.refused
    );
    assert_eq!(store.sealed_otherwise(WEBHOOK_SECRET, 2, None, 10).await?, [(place.row, damaged)]);
    for day in 1..5 {
        assert_eq!(reseal::forget_unused(&*store, at(day * 86_400)).await?, 0);
    }
    store.remove_webhook(store.webhooks().await?[1].id, &operator(9)).await?;
    assert_eq!(reseal::forget_unused(&*store, at(5 * 86_400)).await?, 0, "kept for a day");
    assert_eq!(reseal::forget_unused(&*store, at(6 * 86_400)).await?, 1);
    assert_eq!(store.data_keys().await?.len(), 1);
    Ok(())
}
