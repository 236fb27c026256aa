//! Enrollment profiles, their revisions and what Apple has of them.

use adelie_model::RevisionId;
use serde_json::{Map, json};

use super::world::{World, add_server, at, lease, operator, profile_name, uuid};
use super::{Case, Fixture};
use crate::configuration::NewRevision;
use crate::{PublishOutcome, StoreError};

fn refused() -> PublishOutcome {
    PublishOutcome::Refused { error: "FLAGS_INVALID: change it".to_owned(), next_attempt_at: at(600) }
}

/// The content comes back as it was, whatever is in it.
pub async fn a_profile_is_added_once_with_its_content(fixture: &dyn Fixture) -> Case {
    let store = fixture.store();
    let content = json!({
        "profile_name": "Schüler \"A\"", "allow_pairing": false, "skip_setup_items": ["Siri", ""],
        "anchor_certs": null, "nested": { "number": 1.5, "large": 9_007_199_254_740_993_i64 },
    });
    let content: Map<_, _> = content.as_object().expect("an object").clone();
    let new =
        NewRevision { content: content.clone(), content_hash: "aa".to_owned(), ..NewRevision::default() };
    let added = store.add_profile(&profile_name("pupils"), new.clone(), &operator(1)).await?;
    assert_eq!((added.number, added.created_at, added.author.as_str()), (1, at(1), "kim"));
    assert_eq!(added.content, content);
    let empty = NewRevision { content: Map::new(), ..new.clone() };
    let taken = store.add_profile(&profile_name("pupils"), empty, &operator(2)).await;
    assert!(matches!(taken, Err(StoreError::Exists { name, .. }) if name == "pupils"));
    let other = store.add_profile(&profile_name("all"), new, &operator(2)).await?;

    assert_eq!(store.profile(&profile_name("pupils")).await?.as_ref(), Some(&added));
    assert_eq!(store.revision(added.id).await?.as_ref(), Some(&added));
    assert_eq!(store.profiles().await?, [other, added]);
    assert_eq!(store.profile(&profile_name("nobody")).await?, None);
    assert_eq!(store.revision(RevisionId(i64::MAX)).await?, None);
    Ok(())
}

/// Devices may be assigned under the first UUID, so that a second one must not displace it.
pub async fn a_profile_uuid_is_never_overwritten(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let revision = world.profile("one").await?;
    assert_eq!(world.store.published_at(world.server, revision.id).await?, None);
    world.publish(&revision, "FIRST").await?;
    world.publish(&revision, "SECOND").await?;
    world.store.set_published(&world.lease, revision.id, &refused(), at(9)).await?;
    let published = world.store.published_at(world.server, revision.id).await?.expect("published");
    assert_eq!((published.profile_uuid, published.error), (Some(uuid("FIRST")), None));
    assert_eq!((published.server, published.revision), (world.server, revision.id));

    let other = add_server(&*world.store, "other").await?;
    let other = lease(&*world.store, other, "us").await?;
    let differs = Some("another department".to_owned());
    let outcome = PublishOutcome::Defined { uuid: uuid("THERE"), differs: differs.clone() };
    world.store.set_published(&other, revision.id, &outcome, at(1)).await?;
    let there = world.store.published_at(other.server, revision.id).await?.expect("published");
    assert_eq!((there.differs, there.error), (differs, None));
    let everywhere = world.store.published(revision.profile).await?;
    let uuids: Vec<_> = everywhere.iter().filter_map(|published| published.profile_uuid.clone()).collect();
    assert_eq!(uuids, [uuid("FIRST"), uuid("THERE")]);
    Ok(())
}

/// L27: why Apple refused a profile, and when it is tried again.
pub async fn a_refusal_is_kept_until_apple_takes_the_profile(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let revision = world.profile("one").await?;
    world.store.set_published(&world.lease, revision.id, &refused(), at(5)).await?;
    let published = world.store.published_at(world.server, revision.id).await?.expect("tried");
    assert_eq!(published.profile_uuid, None);
    assert_eq!(published.error.as_deref(), Some("FLAGS_INVALID: change it"));
    assert_eq!((published.next_attempt_at, published.at), (Some(at(600)), at(5)));
    world.publish(&revision, "UUID-1").await?;
    let published = world.store.published_at(world.server, revision.id).await?.expect("published");
    assert_eq!(published.profile_uuid, Some(uuid("UUID-1")));
    assert_eq!((published.error, published.next_attempt_at), (None, None));
    Ok(())
}

/// Apple may lose a profile; then it gets a new UUID.
pub async fn a_forgotten_profile_is_defined_again(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let revision = world.profile("one").await?;
    world.publish(&revision, "FIRST").await?;
    world.store.forget_published(&world.lease, revision.id).await?;
    let uuid_now = |published: Option<crate::Published>| published.and_then(|p| p.profile_uuid);
    assert_eq!(uuid_now(world.store.published_at(world.server, revision.id).await?), None);
    world.publish(&revision, "SECOND").await?;
    let published = world.store.published_at(world.server, revision.id).await?;
    assert_eq!(uuid_now(published), Some(uuid("SECOND")));
    Ok(())
}
