//! Revisions of profiles: in force, staged, removed, and what Apple has of them.

use adelie_model::{AssignState, ProfileStatus, RevisionId, SerialNumber};
use adelie_rules::Scope;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::world::{World, add_server, at, lease, operator, phone, profile_name, says, uuid};
use super::{Case, Failed, Fixture};
use crate::configuration::{Change, Document, NewRevision, RollOut, is_among};
use crate::{ConfigurationError, PublishOutcome, Revision, Sealed, StoreError};

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn revise(name: &str, revision: NewRevision, percent: u8) -> Change {
    Change::Revise { profile: profile_name(name), seen: None, revision, percent }
}

fn step(name: &str, step: RollOut) -> Change {
    Change::RollOut { profile: profile_name(name), step }
}

/// The newest revision of a profile, whether it is in force or not.
async fn newest(world: &World, name: &str) -> Result<Revision, Failed> {
    Ok(world.store.revisions(&profile_name(name)).await?.remove(0))
}

/// L33: everything of a revision comes back; passwords only to whoever asks for them.
pub async fn a_revision_is_kept_with_its_document_and_its_secrets(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    world.profile("one").await?;
    let sealed = (Uuid::from_u128(7), Sealed(vec![0, 255, 7]));
    let document = Document {
        content: object(&json!({ "name": "Größe", "accounts": { "nested": [1.5, null] } })),
        hash: "document".to_owned(),
    };
    let revision = NewRevision {
        document: Some(document.clone()),
        secrets: Some(sealed.clone()),
        note: "for the labs".to_owned(),
        ..says("two")
    };
    world.store.configure(&[revise("one", revision.clone(), 100)], None, &operator(5)).await?;
    let all = world.store.revisions(&profile_name("one")).await?;
    assert_eq!(all.iter().map(|one| one.number).collect::<Vec<_>>(), [2, 1], "newest first");
    let [two, one] = &all[..] else { panic!("two revisions: {all:?}") };
    assert_eq!((two.content.clone(), two.content_hash.as_str()), (revision.content, "hash of two"));
    assert_eq!((two.document.as_ref(), two.has_secrets), (Some(&document), true));
    assert_eq!((two.author.as_str(), two.note.as_str()), ("kim", "for the labs"));
    assert_eq!((two.created_at, two.profile), (at(5), one.profile));
    assert_eq!((one.document.as_ref(), one.has_secrets, one.note.as_str()), (None, false, ""));
    assert_eq!(world.store.secrets(two.id).await?, Some(sealed));
    assert_eq!(world.store.secrets(one.id).await?, None);
    assert_eq!(world.store.secrets(RevisionId(i64::MAX)).await?, None);
    assert_eq!(world.store.profile(&profile_name("one")).await?.as_ref(), Some(two));
    assert_eq!(world.store.revision(one.id).await?.as_ref(), Some(one), "it is still there");
    assert_eq!(world.store.revisions(&profile_name("nobody")).await?, []);
    Ok(())
}

/// The devices of a default get the revision in force, and are decided anew by another one; others are left alone.
pub async fn a_new_revision_reaches_the_devices_of_its_profile(fixture: &dyn Fixture) -> Case {
    let (world, one) = World::with_default(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    world.assign(&one, "UUID-1", 2).await?;
    let server = add_server(&*world.store, "other").await?;
    let other =
        World { store: world.store.clone(), server, lease: lease(&*world.store, server, "us").await? };
    other.default(Scope::Any, "elsewhere").await?;
    world.store.configure(&[revise("one", says("two"), 100)], None, &operator(3)).await?;
    assert!(world.store.decisions_pending(world.server).await?);
    assert!(!world.store.decisions_pending(other.server).await?, "nothing of it concerns this one");
    world.decide_all(3).await?;
    let two = newest(&world, "one").await?;
    let view = world.view("A").await?;
    assert_eq!(view.device.assignment.wanted, Some(two.id));
    assert_eq!((view.wanted_revision, view.state().0), (Some(2), AssignState::Due));
    assert_eq!(world.store.defaults(world.server).await?[0].revision, two.id);
    Ok(())
}

/// A staged revision goes to its share of the devices, keeps them in a pause, and goes back from all of them.
pub async fn a_staged_revision_reaches_its_share_of_the_devices(fixture: &dyn Fixture) -> Case {
    let (world, one) = World::with_default(fixture).await?;
    let names: Vec<String> = (0..40).map(|number| format!("S{number:02}")).collect();
    let (first, late) = names.split_at(30);
    world.full(first.iter().map(|name| phone(name)).collect(), 1).await?;
    world.assign(&one, "UUID-1", 2).await?;
    world.configure(&[revise("one", says("two"), 30)], 3).await?;
    let two = newest(&world, "one").await?;
    world.publish(&two, "UUID-2").await?;
    let head = world.store.configuration().await?.profiles.remove(0);
    let staged = head.staged.expect("it is staged");
    assert_eq!((head.newest, head.in_force.id, staged.revision.id), (2, one.id, two.id));
    assert_eq!((staged.percent, staged.paused), (30, false));
    assert_eq!(world.store.profile(&profile_name("one")).await?.map(|it| it.number), Some(1));

    let share = |serial: &SerialNumber, percent| match is_among(serial, one.profile, percent) {
        true => two.id,
        false => one.id,
    };
    let check = async |wanted: &(dyn Fn(&SerialNumber) -> RevisionId + Sync)| {
        for view in world.all().await? {
            let device = view.device;
            assert_eq!(device.assignment.wanted, Some(wanted(&device.serial)), "{}", device.serial);
        }
        Ok::<_, Failed>(())
    };
    check(&|serial| share(serial, 30)).await?;
    let some = world.all().await?.iter().filter(|view| view.wanted_revision == Some(2)).count();
    assert!((1..30).contains(&some), "{some} of 30");
    world.configure(&[step("one", RollOut::Percent(60))], 4).await?;
    check(&|serial| share(serial, 60)).await?;
    world.assign(&two, "UUID-2", 5).await?;

    // In a pause nobody new gets it.
    world.configure(&[step("one", RollOut::Pause)], 6).await?;
    let records = names.iter().map(|name| {
        let mut record = phone(name);
        let among = is_among(&record.serial, one.profile, 60) && first.contains(name);
        record.actual.profile_uuid = Some(uuid(if among { "UUID-2" } else { "UUID-1" }));
        record.actual.profile_status = Some(ProfileStatus::Assigned);
        record
    });
    world.full(records.collect(), 7).await?;
    let is_late = |serial: &SerialNumber| late.iter().any(|name| name == serial.as_str());
    check(&|serial| if is_late(serial) { one.id } else { share(serial, 60) }).await?;
    world.configure(&[step("one", RollOut::Continue)], 8).await?;
    check(&|serial| share(serial, 60)).await?;

    world.configure(&[step("one", RollOut::Abort)], 9).await?;
    check(&|_| one.id).await?;
    assert_eq!(world.store.configuration().await?.profiles[0].staged, None);
    world.configure(&[revise("one", says("three"), 5), step("one", RollOut::Percent(100))], 10).await?;
    let three = newest(&world, "one").await?;
    assert_eq!(three.number, 3, "what was taken back stays in the history");
    check(&|_| three.id).await?;
    Ok(())
}

/// A removed profile is nobody's any more, and goes on from where it was.
pub async fn a_removed_profile_comes_back_with_its_revisions(fixture: &dyn Fixture) -> Case {
    let (world, one) = World::with_default(fixture).await?;
    let name = profile_name("one");
    let remove = Change::RemoveProfile { name: name.clone() };
    let used = world.store.configure(std::slice::from_ref(&remove), None, &operator(1)).await;
    let Err(StoreError::Configuration(ConfigurationError::InUse { by, .. })) = used else {
        panic!("it is in use: {used:?}");
    };
    assert_eq!(by, ["MDM server lab"]);
    let unset = Change::SetDefault { server: world.server, scope: Scope::Any, profile: None };
    world.configure(&[unset, revise("one", says("two"), 50), remove.clone()], 2).await?;
    assert_eq!(world.store.profiles().await?, []);
    assert_eq!(world.store.profile(&name).await?, None);
    assert_eq!(world.store.revisions(&name).await?.len(), 2);
    let configuration = world.store.configuration().await?;
    assert_eq!((configuration.profiles.len(), configuration.removed), (0, vec![(name.clone(), 2)]));
    let gone = world.store.configure(&[remove], None, &operator(3)).await;
    assert!(matches!(gone, Err(StoreError::Missing { what: "profile", .. })), "{gone:?}");

    let back = world.store.add_profile(&name, says("three"), &operator(4)).await?;
    assert_eq!((back.profile, back.number), (one.profile, 3));
    let configuration = world.store.configuration().await?;
    assert_eq!((&configuration.profiles[0].staged, configuration.removed.len()), (&None, 0));
    let published = world.store.published(one.profile).await?;
    assert_eq!(published[0].profile_uuid, Some(uuid("UUID-1")), "Apple has it still");

    // One that comes and goes by the same changes leaves its name free.
    let add = |text| Change::AddProfile { name: profile_name("brief"), revision: says(text) };
    let remove = Change::RemoveProfile { name: profile_name("brief") };
    world.configure(&[add("brief"), remove], 5).await?;
    assert_eq!(world.store.configuration().await?.removed, [(profile_name("brief"), 1)]);
    world.configure(&[add("again")], 6).await?;
    assert_eq!(newest(&world, "brief").await?.number, 2);
    Ok(())
}

/// What Apple has of the same content need not be defined again, and when Apple has lost it, all revisions have.
pub async fn revisions_that_say_the_same_share_what_apple_has(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let store = &world.store;
    let one = world.profile("one").await?;
    let same = store.add_profile(&profile_name("same"), says("one"), &operator(0)).await?;
    let other = world.profile("other").await?;
    let elsewhere = add_server(&**store, "elsewhere").await?;
    let there = lease(&**store, elsewhere, "us").await?;
    let hash = &one.content_hash;
    assert_eq!((hash, store.published_as(world.server, hash).await?), (&same.content_hash, None));
    let refused = PublishOutcome::Refused { error: "FLAGS_INVALID".to_owned(), next_attempt_at: at(9) };
    store.set_published(&world.lease, one.id, &refused, at(1)).await?;
    assert_eq!(store.published_as(world.server, hash).await?, None);
    world.publish(&one, "UUID-1").await?;
    world.publish(&other, "UUID-2").await?;
    let outcome = PublishOutcome::Defined { uuid: uuid("UUID-1"), differs: None };
    store.set_published(&there, one.id, &outcome, at(1)).await?;
    assert_eq!(store.published_as(world.server, hash).await?, Some(uuid("UUID-1")));
    assert_eq!(store.published_as(world.server, "nothing").await?, None);
    world.publish(&same, "UUID-1").await?;
    // A later one that says the same is known from the beginning, wherever one of them is.
    let later = store.add_profile(&profile_name("later"), says("one"), &operator(2)).await?;
    for server in [world.server, elsewhere] {
        let published = store.published_at(server, later.id).await?.expect("it is known");
        assert_eq!(published.profile_uuid, Some(uuid("UUID-1")));
    }

    store.forget_published(&world.lease, same.id).await?;
    assert_eq!(store.published_as(world.server, hash).await?, None);
    assert_eq!(store.published_as(elsewhere, hash).await?, Some(uuid("UUID-1")), "it is another one there");
    assert_eq!(store.published_as(world.server, &other.content_hash).await?, Some(uuid("UUID-2")));
    for revision in [&one, &same, &later] {
        let published = store.published_at(world.server, revision.id).await?.expect("it was published");
        assert_eq!(published.profile_uuid, None);
    }
    Ok(())
}
