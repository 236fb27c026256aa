use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use adelie_model::{Entropy, SeededEntropy, Timestamp};
use async_trait::async_trait;
use chrono::TimeDelta;
use uuid::Uuid;

use super::sealed::WITHOUT_VERSION;
use super::*;

const HERE: Place = Place { column: TOKEN_PRIVATE_KEY, row: Uuid::from_u128(1) };

fn at(hours: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::hours(hours)
}

struct Setup {
    entropy: SeededEntropy,
    master: MasterKey,
    masters: MasterKeys,
    stored: Vec<StoredDataKey>,
}

impl Setup {
    fn new(seed: u64) -> Self {
        let entropy = SeededEntropy::new(seed);
        let master = MasterKey::generate(&entropy);
        let stored = vec![StoredDataKey::first(&master, &entropy, at(0)).expect("sealed")];
        Self { masters: MasterKeys::one(master.clone(), "a test"), master, stored, entropy }
    }

    fn vault(&self) -> Vault {
        Vault::open(&self.masters, &self.stored).expect("opens")
    }

    fn rotate(&mut self) {
        let version = self.vault().newest();
        self.stored = rotation::complete(&self.stored, version, at(0));
        self.stored = rotation::begin(&self.stored, &self.masters, &self.entropy, at(1)).expect("rotated");
    }
}

/// Sealed as versions without numbers of data keys did it.
fn sealed_before_numbers(key: &cipher::Key, place: Place, entropy: &dyn Entropy) -> Sealed {
    let bound_to = [&[WITHOUT_VERSION], place.to_string().as_bytes()].concat();
    let sealed = cipher::encrypt(key, &bound_to, b"old secret", entropy).expect("sealed");
    Sealed([&[WITHOUT_VERSION], sealed.as_slice()].concat())
}

#[test]
fn a_sealed_value_opens_in_its_place_only() {
    let setup = Setup::new(1);
    let vault = setup.vault();
    let sealed = vault.seal(HERE, b"secret", &setup.entropy).expect("sealed");
    assert!(!sealed.0.windows(6).any(|window| window == b"secret"));
    assert_eq!(vault.unseal(HERE, &sealed).expect("opens").as_slice(), b"secret");
    for column in SEALED {
        for row in [1, 2].map(Uuid::from_u128) {
            let place = column.at(row);
            let opened = vault.unseal(place, &sealed);
            assert_eq!(opened.is_ok(), place == HERE, "{place}: {opened:?}");
        }
    }
    for byte in 0..sealed.0.len() {
        let mut changed = sealed.clone();
        changed.0[byte] ^= 1;
        assert!(vault.unseal(HERE, &changed).is_err(), "byte {byte} was changed");
        let cut = Sealed(sealed.0[..byte].to_vec());
        assert!(vault.unseal(HERE, &cut).is_err(), "only {byte} bytes are left");
    }
}

#[test]
fn a_value_is_bound_to_the_version_of_its_data_key() {
    let mut setup = Setup::new(2);
    let old = setup.vault().seal(HERE, b"secret", &setup.entropy).expect("sealed");
    setup.rotate();
    let vault = setup.vault();
    assert_eq!(vault.newest(), 2);
    assert_eq!(vault.unseal(HERE, &old).expect("the old data key is there").as_slice(), b"secret");
    let new = vault.seal(HERE, b"secret", &setup.entropy).expect("sealed");
    assert_eq!((old.key_version(), new.key_version()), (Some(1), Some(2)));
    let mut pretends = new.clone();
    pretends.0[..Sealed::HEAD].copy_from_slice(&Sealed::head(1));
    assert!(matches!(vault.unseal(HERE, &pretends), Err(SealError::Tampered(_))));
    pretends.0[..Sealed::HEAD].copy_from_slice(&Sealed::head(9));
    let error = vault.unseal(HERE, &pretends).expect_err("there is no such data key");
    assert!(matches!(error, SealError::UnknownDataKey { version: 9, .. }), "{error}");
    assert!(error.to_string().contains("it has 1, 2"), "{error}");
}

#[test]
fn data_keys_cannot_be_exchanged() {
    let mut setup = Setup::new(3);
    setup.rotate();
    let (one, two) = (setup.stored[0].sealed.clone(), setup.stored[1].sealed.clone());
    (setup.stored[0].sealed, setup.stored[1].sealed) = (two, one);
    let error = Vault::open(&setup.masters, &setup.stored).expect_err("exchanged");
    assert!(matches!(error, SealError::DamagedDataKey(1)), "{error}");
    setup.stored[0].sealed = b"nonsense".to_vec();
    let error = Vault::open(&setup.masters, &setup.stored).expect_err("nonsense");
    assert!(matches!(error, SealError::DamagedDataKey(1)), "{error}");
}

#[test]
fn what_older_versions_have_sealed_opens() {
    let mut setup = Setup::new(4);
    let key = cipher::fresh(&setup.entropy);
    let id = setup.master.id();
    let text = format!("data key under {id}");
    let bound_to = [&[WITHOUT_VERSION], text.as_bytes()].concat();
    let sealed = cipher::encrypt(setup.master.key(), &bound_to, key.as_slice(), &setup.entropy);
    setup.stored[0].sealed = [id.as_bytes(), b":", &[WITHOUT_VERSION], &sealed.expect("sealed")].concat();
    let old = sealed_before_numbers(&key, HERE, &setup.entropy);
    assert_eq!(old.key_version(), Some(1));
    assert_eq!(setup.vault().unseal(HERE, &old).expect("opens").as_slice(), b"old secret");
    let elsewhere = TOKEN_PRIVATE_KEY.at(Uuid::from_u128(2));
    assert!(matches!(setup.vault().unseal(elsewhere, &old), Err(SealError::Tampered(_))));
    setup.rotate();
    assert!(setup.stored[0].sealed.starts_with(format!("{id}:\x02").as_bytes()), "sealed with its version");
    assert_eq!(setup.vault().unseal(HERE, &old).expect("still opens").as_slice(), b"old secret");
}

/// L61: a wrong key is named, with the one expected and where it was looked for.
#[test]
fn a_wrong_master_key_is_named() {
    let setup = Setup::new(5);
    let wrong = MasterKey::generate(&setup.entropy);
    let masters = MasterKeys::one(wrong.clone(), "the key file /keys/a");
    let error = Vault::open(&masters, &setup.stored).expect_err("another key").to_string();
    for part in [&setup.master.id(), &wrong.id(), "the key file /keys/a"] {
        assert!(error.contains(part), "{error}");
    }
    let both = masters.led_by(&wrong).led_by(&setup.master);
    assert_eq!(both.ids(), [setup.master.id(), wrong.id()]);
    Vault::open(&both, &setup.stored).expect("one of two keys is enough");
}

#[test]
fn a_key_text_is_read_back_and_nonsense_is_refused() {
    let Setup { master, masters, entropy, .. } = Setup::new(6);
    let again = MasterKey::parse(&master.to_text()).expect("reads");
    assert_eq!(again.id(), master.id());
    assert!(!format!("{master:?} {masters:?}").contains(&master.to_text()[13..20]));
    for bad in ["", "hello", "adelie-key-1:short", "adelie-key-2:AAAA", "adelie-key-1:"] {
        assert!(matches!(MasterKey::parse(bad), Err(SealError::BadKey)), "{bad}");
        assert!(matches!(MasterKeys::parse(bad, ""), Err(SealError::BadKey)), "{bad}");
    }
    let more = "A".repeat(48);
    assert!(matches!(MasterKey::parse(&format!("adelie-key-1:{more}")), Err(SealError::BadKey)));
    let both = masters.led_by(&MasterKey::generate(&entropy));
    let text = format!("\n{}\n", both.to_text().replace('\n', "\r\n"));
    assert_eq!(MasterKeys::parse(&text, "").expect("two keys").ids(), both.ids());
}

#[test]
fn a_rotation_goes_on_until_it_is_complete() {
    let mut setup = Setup::new(7);
    setup.rotate();
    let begun = setup.stored.clone();
    let again = rotation::begin(&begun, &setup.masters, &setup.entropy, at(2)).expect("goes on");
    assert_eq!(again, begun, "the same data key, and nothing is sealed anew needlessly");
    let complete = rotation::complete(&begun, 2, at(3));
    let next = rotation::begin(&complete, &setup.masters, &setup.entropy, at(4)).expect("the next");
    assert_eq!(next.len(), 3);

    let other = MasterKey::generate(&setup.entropy);
    let masters = setup.masters.led_by(&other);
    let moved = rotation::begin(&begun, &masters, &setup.entropy, at(5)).expect("moved");
    assert!(moved.iter().all(|key| key.master_id() == other.id()), "{moved:?}");
    let alone = MasterKeys::one(other, "a test");
    Vault::open(&alone, &moved).expect("the new master key opens everything");
}

#[test]
fn data_keys_are_kept_while_they_are_used_and_for_a_day() {
    let mut setup = Setup::new(8);
    setup.rotate();
    let retired = |keys: &[StoredDataKey]| keys.iter().map(|key| key.retired_at).collect::<Vec<_>>();
    let used = rotation::retire(&setup.stored, &[1].into(), at(1));
    assert_eq!(retired(&used), [None, None], "the newest may seal nothing yet");
    let unused = rotation::retire(&used, &[2].into(), at(2));
    assert_eq!(retired(&unused), [Some(at(2)), None]);
    assert_eq!(rotation::retire(&unused, &[2].into(), at(25)), unused, "the day is not over");
    let again = rotation::retire(&unused, &[1, 2].into(), at(27));
    assert_eq!(retired(&again), [None, None], "somebody has sealed under it");
    assert_eq!(rotation::retire(&unused, &[].into(), at(26)).len(), 1);
    let last = rotation::retire(&setup.stored[..1], &[].into(), at(99));
    assert_eq!(last, setup.stored[..1], "the last one always stays");
}

/// A source that counts how often it is asked, and has a new data key from the second time on.
struct Growing {
    vaults: [Vault; 2],
    reads: AtomicU32,
}

#[async_trait]
impl VaultSource for Growing {
    async fn read(&self) -> Result<Vault, SealError> {
        let reads = self.reads.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Ok(self.vaults[usize::from(reads > 0)].clone())
    }
}

#[tokio::test]
async fn a_keyring_notices_a_new_data_key() {
    let mut setup = Setup::new(9);
    let first = setup.vault();
    setup.rotate();
    let second = setup.vault();
    let old = first.seal(HERE, b"old", &setup.entropy).expect("sealed");
    let new = second.seal(HERE, b"new", &setup.entropy).expect("sealed");
    let source = Arc::new(Growing { vaults: [first, second], reads: AtomicU32::new(0) });
    let reads = || source.reads.load(Ordering::SeqCst);
    let keyring = Keyring::open(source.clone()).await.expect("opens");
    assert_eq!(keyring.unseal(HERE, &old).await.expect("opens").as_slice(), b"old");
    assert_eq!(reads(), 1);
    let (one, two) = tokio::join!(keyring.unseal(HERE, &new), keyring.unseal(HERE, &new));
    assert_eq!((one.expect("opens").as_slice(), two.expect("opens").as_slice()), (&b"new"[..], &b"new"[..]));
    assert_eq!(reads(), 2, "read once for both");
    let unknown = Sealed([&Sealed::head(7)[..], &new.0[Sealed::HEAD..]].concat());
    let error = keyring.unseal(HERE, &unknown).await.expect_err("there is none");
    assert!(matches!(error, SealError::UnknownDataKey { version: 7, .. }), "{error}");
    assert_eq!(keyring.unseal(HERE, &old).await.expect("still opens").as_slice(), b"old");
    assert_eq!(keyring.vault().await.expect("a vault").newest(), 2);
}

/// A backup that is restored into an empty database brings another data key with the same number.
#[tokio::test]
async fn a_keyring_notices_restored_data_keys() {
    let (mine, restored) = (Setup::new(10), Setup::new(11));
    let sealed = restored.vault().seal(HERE, b"restored", &restored.entropy).expect("sealed");
    let vaults = [mine.vault(), restored.vault()];
    let keyring = Keyring::open(Arc::new(Growing { vaults, reads: AtomicU32::new(0) })).await.expect("opens");
    assert_eq!(keyring.unseal(HERE, &sealed).await.expect("opens").as_slice(), b"restored");
    let mut changed = sealed.clone();
    changed.0[20] ^= 1;
    let error = keyring.unseal(HERE, &changed).await.expect_err("it was changed");
    assert!(matches!(error, SealError::Tampered(HERE)), "{error}");
}
