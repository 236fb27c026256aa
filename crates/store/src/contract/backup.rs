//! Backups, and what is restored of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

use adelie_model::{SyncKind, SyncPhase};
use adelie_rules::Scope;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use openssl::sha::sha256;
use serde_json::Value;

use super::endpoints::{claim, deliveries, listening, settle};
use super::keys::{Keys, all_in};
use super::world::{
    World, add_rule, add_server, at, lease, operator, phone, profile_name, rule, says, serial, serials,
};
use super::{Case, Failed, Fixture};
use crate::audit::{AuditAction, AuditObject, NewAudit, Verifier};
use crate::backup::{BackupError, Loaded, NOT_KEPT, Origin, Part, Reader, TABLES, load, write};
use crate::configuration::Change;
use crate::page::Action;
use crate::seal::{SEALED, Vault};
use crate::{
    AuditFilter, AuditHead, DeliveryOutcome, DeviceFilter, NewBulkChange, PageCommit, Reverse, SendAhead,
    Store, StoreError, Undo,
};

/// The rows of each table, each as JSON.
type Tables = BTreeMap<&'static str, Vec<Value>>;

async fn made(store: &dyn Store) -> Result<Vec<u8>, Failed> {
    let origin = Origin { adelie: "the contract".to_owned(), made_at: at(9) };
    let mut snapshot = store.snapshot().await?;
    let unfinished = write(&mut *snapshot, Vec::new(), &origin, &|_| {}, &|_| {}).await.expect("written");
    Ok(unfinished.finish().expect("finished"))
}

fn read(backup: &[u8]) -> Tables {
    let mut reader = Reader::open(backup).expect("a backup");
    let mut tables = Tables::new();
    let mut open = "";
    while let Some(part) = reader.part().expect("whole") {
        match part {
            Part::Table { table, .. } => open = table.name,
            Part::Rows { json, .. } => {
                let rows: Vec<Value> = serde_json::from_str(&json).expect("rows");
                tables.entry(open).or_default().extend(rows);
            }
        }
    }
    // Not every table has an order of its own in SQLite.
    tables.values_mut().for_each(|rows| rows.sort_by_key(ToString::to_string));
    tables
}

async fn loaded(store: &dyn Store, backup: &[u8]) -> Result<Loaded, BackupError> {
    load(store, Reader::open(backup)?, &|_| {}).await
}

async fn restore(store: &dyn Store, backup: &[u8]) -> Result<(), BackupError> {
    let entry = NewAudit::new(AuditAction::BackupRestored, AuditObject::new("backup", "contract"));
    loaded(store, backup).await?.commit(&entry, &operator(100)).await
}

/// Puts something into every table: a configuration with all there is in one, devices, runs, events, what is under way,
/// and secrets under two data keys.
async fn fill(fixture: &dyn Fixture) -> Result<(World, Keys), Failed> {
    let (world, revision) = World::with_default(fixture).await?;
    let store = &*world.store;
    let keys = Keys::new();
    assert!(store.change_data_keys(&[], &keys.stored, None).await?);
    keys.fill(store, "sealed", 2).await?;
    let webhook = listening(store, &["device.*", "server.*"]).await?;
    let staged =
        Change::Revise { profile: profile_name("one"), seen: None, revision: says("two"), percent: 30 };
    world.configure(&[add_rule(rule("macs", &["family=Mac"], "one")), staged], 2).await?;

    let names = |range: std::ops::Range<u32>| range.map(|n| phone(&format!("S{n:05}"))).collect::<Vec<_>>();
    world.full(names(0..1203), 3).await?;
    let tag = Action::Tag { add: vec!["loan".parse().expect("a good tag")], remove: Vec::new() };
    store.operate(world.server, &serials(["S00001", "S00002"]), &tag, &operator(4)).await?;
    let hold = Action::Hold { reason: "in \"repair\"\n".to_owned() };
    store.operate(world.server, &serials(["S00003"]), &hold, &operator(4)).await?;
    store.operate(world.server, &serials(["S00004"]), &Action::Archive, &operator(4)).await?;
    let undo = vec![Undo { server: world.server, serials: serials(["S00003"]), by: Reverse::Unhold }];
    store.note_bulk(&NewBulkChange { what: "1 device held".to_owned(), undo }, &operator(5)).await?;

    // Two deliveries are settled and one is being sent.
    let claimed = claim(store, webhook, 2, 10).await?;
    settle(store, &claimed[..1], DeliveryOutcome::Delivered, 11).await?;
    settle(store, &claimed[1..], DeliveryOutcome::Retry(at(99)), 11).await?;
    assert_eq!(claim(store, webhook, 1, 12).await?.len(), 1);

    // Another MDM server is in the middle of its first import.
    let server = add_server(store, "other").await?;
    let other = World { store: world.store.clone(), server, lease: lease(store, server, "them").await? };
    other.store.set_defaults(server, &[(Scope::Any, Some(profile_name("one")))], &operator(6)).await?;
    other.decide_all(6).await?;
    other.publish(&revision, "UUID-1").await?;
    let run = other.begin(SyncKind::Full, 7).await?;
    let page = other.commit(&run, SyncPhase::Fetch, vec![phone("X1"), phone("X2")], 7).await?;
    let ahead = SendAhead { verify_at: at(300) };
    let page = PageCommit { more: true, ..page };
    assert!(store.intend_pages(&other.lease, vec![page], ahead).await?.is_ok(), "they are new");
    Ok((world, keys))
}

/// A migration must not forget the catalogue: whatever it adds is kept, or left out for a reason.
pub async fn the_catalogue_has_the_whole_schema(fixture: &dyn Fixture) -> Case {
    let mut there: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (table, column) in fixture.columns().await {
        there.entry(table).or_default().insert(column);
    }
    for table in TABLES {
        let columns = there.remove(table.name).unwrap_or_else(|| panic!("there is no table {}", table.name));
        let kept: BTreeSet<String> = table.columns.iter().map(|column| column.name.to_owned()).collect();
        let lost: Vec<_> = kept.difference(&columns).collect();
        assert!(lost.is_empty(), "{} has no columns {lost:?}", table.name);
        let forgotten: Vec<_> = columns
            .difference(&kept)
            .filter(|column| !table.left_out.iter().any(|(name, _)| name == column))
            .collect();
        assert!(forgotten.is_empty(), "of {} no backup keeps {forgotten:?}", table.name);
    }
    there.retain(|table, _| !NOT_KEPT.iter().any(|(name, _)| name == table));
    assert!(there.is_empty(), "no backup keeps {there:?}");
    Ok(())
}

/// Every row of every table comes back, a backup of the restored database says the same, secrets open, and the audit is
/// one chain.
pub async fn everything_comes_back(fixture: &dyn Fixture) -> Case {
    let (world, keys) = fill(fixture).await?;
    let backup = made(&*world.store).await?;
    let before = read(&backup);
    for table in TABLES {
        assert!(before.contains_key(table.name), "the case has put nothing into {}", table.name);
    }
    let reader = Reader::open(&*backup).expect("a backup");
    assert_eq!(reader.data_keys(), keys.stored);
    assert_eq!(reader.header().master_keys, keys.masters.ids());

    let fresh = fixture.fresh().await;
    // What a new database makes for itself gives way.
    assert!(fresh.store().change_data_keys(&[], &Keys::new().stored, None).await?);
    restore(&*fresh.store(), &backup).await.expect("restored");
    let store = fresh.another().await;
    let again = made(&*store).await?;
    let mut after = read(&again);
    let head = store.audit_head().await?;
    let audit = after.get_mut("audit").expect("entries");
    let added = audit.iter().position(|entry| entry[0] == head.number).expect("the last entry");
    assert_eq!(audit.remove(added)[3], "backup.restored", "it is that of the restore");
    let old_head = after.insert("audit_head", before["audit_head"].clone()).expect("a head");
    assert_eq!(old_head, [Value::from(vec![Value::from(head.number), Value::from(head.hash.clone())])]);
    for table in TABLES {
        assert_eq!(before.get(table.name), after.get(table.name), "{}", table.name);
    }
    assert_ne!(
        Reader::open(&*again).expect("a backup").header().installation,
        reader.header().installation,
        "numbers may be used again for other events"
    );

    let all = DeviceFilter::default();
    assert_eq!(store.devices(&all, None, 2000).await?, world.store.devices(&all, None, 2000).await?);
    assert_eq!(store.configuration().await?, world.store.configuration().await?);
    let vault = Vault::open(&keys.masters, &store.data_keys().await?).expect("opens");
    for column in SEALED {
        let secrets = all_in(&*store, *column).await?;
        let sealed: Vec<_> = secrets.iter().filter(|(_, sealed)| vault.knows(sealed)).collect();
        let opened = sealed.iter().filter(|(place, sealed)| {
            vault.unseal(*place, sealed).is_ok_and(|plain| plain.as_slice() == place.to_string().as_bytes())
        });
        assert_eq!(opened.count(), 2, "{column}");
    }
    let mut verifier = Verifier::from(AuditHead::default());
    for entry in store.audit_after(&AuditFilter::default(), 0, 10_000).await? {
        verifier.take(&entry).expect("the chain goes on");
    }
    verifier.finish(&head).expect("the head is its end");
    Ok(())
}

/// No lease and no claim comes along: the processes that have them work on the other database.
pub async fn what_a_process_had_is_let_go(fixture: &dyn Fixture) -> Case {
    let (world, _) = fill(fixture).await?;
    let held = world.store.servers().await?.iter().filter(|server| server.worked_on.is_some()).count();
    assert_eq!(held, 2);
    let fresh = fixture.fresh().await;
    restore(&*fresh.store(), &made(&*world.store).await?).await.expect("restored");
    let store = fresh.store();
    assert!(store.servers().await?.iter().all(|server| server.worked_on.is_none()));
    let next = lease(&*store, world.server, "we").await?;
    assert!(next.epoch > world.lease.epoch, "what was sent under the old lease is read back");
    let renewed = store.renew_lease(&world.lease, std::time::Duration::from_secs(1)).await;
    assert!(matches!(renewed, Err(StoreError::LeaseLost(_))), "{renewed:?}");
    let webhook = store.webhooks().await?.iter().map(|webhook| webhook.id).max().expect("an endpoint");
    let all = deliveries(&*store, webhook).await?.len();
    // The claim that was under way ended at 42.
    assert_eq!(
        claim(&*store, webhook, 10_000, 100).await?.len(),
        all - 1,
        "all but the delivered one are due"
    );
    Ok(())
}

/// A backup shows one moment, whatever is written while it is made; and nobody waits for it.
pub async fn a_backup_is_of_one_moment(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    world.full(vec![phone("A"), phone("B")], 1).await?;
    let before = read(&made(&*world.store).await?);
    let mut snapshot = world.store.snapshot().await?;
    world.delta(vec![phone("C")], 2).await?;
    add_server(&*world.store, "other").await?;
    let origin = Origin { adelie: "the contract".to_owned(), made_at: at(9) };
    let unfinished = write(&mut *snapshot, Vec::new(), &origin, &|_| {}, &|_| {}).await.expect("written");
    assert_eq!(read(&unfinished.finish().expect("finished")), before);
    drop(snapshot);
    assert_ne!(read(&made(&*world.store).await?), before);
    Ok(())
}

/// Devices are stamped with numbers of runs and rules: one that was used and deleted is not used again.
pub async fn numbers_are_not_used_again(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let last = world.full(vec![phone("A")], 1).await?;
    fixture.past("DELETE FROM events; DELETE FROM sync_runs").await.expect("deleted");
    let fresh = fixture.fresh().await;
    restore(&*fresh.store(), &made(&*world.store).await?).await.expect("restored");
    let store = fresh.store();
    let lease = lease(&*store, world.server, "we").await?;
    let world = World { store, server: world.server, lease };
    let run = world.begin(SyncKind::Delta, 2).await?;
    assert!(run.id > last.id, "{} after {}", run.id, last.id);
    let server = add_server(&*world.store, "other").await?;
    assert!(server > world.server);
    Ok(())
}

/// Nothing is mixed with what is there already.
pub async fn only_a_database_without_content_is_filled(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let backup = made(&*world.store).await?;
    let before = read(&backup);
    let error = restore(&*world.store, &backup).await.expect_err("it is not empty");
    let BackupError::NotEmpty(rows) = &error else { panic!("{error}") };
    assert!(rows.contains("mdm_servers (1)") && rows.contains("audit (3)"), "{rows}");
    assert_eq!(read(&made(&*world.store).await?), before);
    Ok(())
}

/// The text of a backup.
fn text(backup: &[u8]) -> String {
    let mut text = String::new();
    MultiGzDecoder::new(backup).read_to_string(&mut text).expect("gzip");
    text
}

/// A backup that says something else, with an end that fits.
fn saying(text: &str, from: &str, to: &str) -> Vec<u8> {
    let (lines, end) = text.trim_end().rsplit_once('\n').expect("an end");
    assert!(lines.contains(from), "{from} is not in it");
    let lines = format!("{}\n", lines.replace(from, to));
    let (end, _) = end.rsplit_once(r#""sha256":"#).expect("a hash");
    let whole = format!("{lines}{end}\"sha256\":\"{}\"}}\n", hex::encode(sha256(lines.as_bytes())));
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(whole.as_bytes()).and_then(|()| packed.finish()).expect("packed")
}

/// A backup that is cut off, damaged or refused by the database, and a restore that is given up, leave the database as it
/// was: the same one can be filled afterwards.
pub async fn what_fails_leaves_nothing(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    world.full(vec![phone("A"), phone("B")], 1).await?;
    let backup = made(&*world.store).await?;
    let fresh = fixture.fresh().await;
    let store = fresh.store();
    let mine = Keys::new().stored;
    assert!(store.change_data_keys(&[], &mine, None).await?);
    let empty = read(&made(&*store).await?);

    let error = restore(&*store, &backup[..backup.len() - 20]).await.expect_err("cut off");
    assert!(matches!(error, BackupError::Incomplete(_)), "{error}");
    let mut flipped = backup.clone();
    flipped[backup.len() / 2] ^= 1;
    let error = restore(&*store, &flipped).await.expect_err("damaged");
    assert!(matches!(error, BackupError::Damaged(_)), "{error}");
    let whole = text(&backup);
    let refused = saying(&whole, r#""https://mdmenrollment.apple.com""#, "null");
    let error = restore(&*store, &refused).await.expect_err("the database refuses it");
    assert!(matches!(error, BackupError::Store(_)), "{error}");
    // Given up before its end.
    drop(loaded(&*store, &backup).await.expect("loaded"));
    assert_eq!(read(&made(&*store).await?), empty);
    assert_eq!(store.data_keys().await?, mine);
    restore(&*store, &backup).await.expect("nothing is in the way");
    assert_eq!(store.device(&serial("A")).await?.len(), 1);
    Ok(())
}

/// Two at once never mix, and the later one sees what the first has made.
pub async fn one_of_two_restores_fills_the_database(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    world.full(vec![phone("A"), phone("B")], 1).await?;
    let backup = made(&*world.store).await?;
    let fresh = fixture.fresh().await;
    let (one, two) = (fresh.store(), fresh.another().await);
    let (one, two) = tokio::join!(restore(&*one, &backup), restore(&*two, &backup));
    let refused = match (one, two) {
        (Ok(()), Err(error)) | (Err(error), Ok(())) => error,
        both => panic!("{both:?}"),
    };
    assert!(matches!(refused, BackupError::NotEmpty(_)), "{refused}");
    Ok(())
}

/// PostgreSQL keeps no NUL in a text. It is told how often something else stands in its place.
pub async fn what_a_database_cannot_keep_is_told(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    let whole = text(&made(&*world.store).await?);
    let backup = saying(&whole, "IPHONE 15 BLACK", r"IPHONE\u000015 BLACK");
    let fresh = fixture.fresh().await;
    let loaded = loaded(&*fresh.store(), &backup).await.expect("loaded");
    let replaced = loaded.replaced;
    let entry = NewAudit::new(AuditAction::BackupRestored, AuditObject::new("backup", "contract"));
    loaded.commit(&entry, &operator(100)).await.expect("committed");
    let views = fresh.store().device(&serial("A")).await?;
    let described = views[0].device.actual.description.as_deref().expect("a description");
    match replaced {
        0 => assert!(described.starts_with("IPHONE\u{0}15 BLACK"), "{described:?}"),
        _ => assert!(described.starts_with("IPHONE\u{fffd}15 BLACK"), "{described:?}"),
    }
    Ok(())
}
