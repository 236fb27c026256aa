//! Token keys and server tokens.

use adelie_model::{TokenKeyId, TokenState};
use uuid::Uuid;

use super::world::{World, at, token};
use super::{Case, Fixture};
use crate::{NewServerToken, StoreError};

/// The newest key is the one that was uploaded last.
pub async fn token_keys_are_listed_newest_first(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    for number in [3, 2] {
        world.store.add_token_key(&token(world.server, number).0).await?;
    }
    let keys = world.store.token_keys(world.server).await?;
    assert_eq!(keys.iter().map(|key| key.certificate[1]).collect::<Vec<_>>(), [3, 2, 1]);
    let (expected, _) = token(world.server, 3);
    let found = &keys[0];
    assert_eq!(
        (found.id, found.server, &found.private_key, found.created_at),
        (expected.id, expected.server, &expected.private_key, expected.created_at)
    );
    Ok(())
}

/// L40: the new token is used, the health is new and the next sync due, all at once.
pub async fn a_new_token_replaces_the_old_one_in_one_step(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    world.full(Vec::new(), 0).await?;
    world.store.set_token_state(world.server, TokenState::Rejected, Some("revoked"), at(5)).await?;
    let (_, old) = token(world.server, 1);
    let (key, new) = token(world.server, 2);
    world.store.add_token_key(&key).await?;
    let new = NewServerToken { expires_at: at(400 * 86_400), ..new };
    let before = world.store.current_token(world.server).await?.expect("a token");
    assert_eq!(before.token.consumer_key, old.consumer_key);

    world.store.import_token(&new, TokenState::Valid, at(10)).await?;
    let current = world.store.current_token(world.server).await?.expect("a token");
    assert_eq!(current.imported_at, at(10));
    assert_eq!((current.token.id, current.token.key, current.token.server), (new.id, key.id, world.server));
    assert_eq!(current.token.consumer_key, new.consumer_key);
    assert_eq!(current.token.secrets, new.secrets);
    assert_eq!(current.token.expires_at, new.expires_at);
    let server = world.store.server_by_id(world.server).await?.expect("it exists");
    assert_eq!(server.token.state, TokenState::Valid);
    assert_eq!(server.token.detail, None);
    assert_eq!(server.token.since, Some(at(10)));
    assert_eq!(server.token.expires_at, Some(new.expires_at));
    assert_eq!(server.next_sync_at, Some(at(10)));
    Ok(())
}

/// L40: a token that cannot be stored leaves the old one in use.
pub async fn a_token_of_an_unknown_key_changes_nothing(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let before = world.store.server_by_id(world.server).await?;
    let (_, new) = token(world.server, 2);
    let stray = NewServerToken { key: TokenKeyId(Uuid::from_u128(u128::MAX)), ..new };
    let result = world.store.import_token(&stray, TokenState::Valid, at(10)).await;
    assert!(matches!(result, Err(StoreError::Missing { what: "token key", .. })), "{result:?}");
    let current = world.store.current_token(world.server).await?.expect("the old token");
    assert_eq!(current.token.consumer_key, "CK_1");
    assert_eq!(world.store.server_by_id(world.server).await?, before);
    Ok(())
}

/// The age of a state is the age of the trouble.
pub async fn since_changes_with_the_state_only(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let store = &world.store;
    store.set_token_state(world.server, TokenState::TermsNotSigned, Some("T_C_NOT_SIGNED"), at(10)).await?;
    store.set_token_state(world.server, TokenState::TermsNotSigned, Some("still"), at(20)).await?;
    let health = store.server_by_id(world.server).await?.expect("it exists").token;
    assert_eq!((health.state, health.since), (TokenState::TermsNotSigned, Some(at(10))));
    assert_eq!(health.detail.as_deref(), Some("still"));
    store.set_token_state(world.server, TokenState::Valid, None, at(30)).await?;
    let health = store.server_by_id(world.server).await?.expect("it exists").token;
    assert_eq!((health.state, health.since, health.detail), (TokenState::Valid, Some(at(30)), None));
    Ok(())
}

/// L16, L41: a token takes the lease from whoever works with the old one, and one of another MDM server of
/// Apple's leaves no cursor and no published profile of the former one behind.
pub async fn a_token_of_another_server_leaves_nothing_behind(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.publish(&revision, "UUID-1").await?;
    world.full(vec![super::world::phone("A")], 1).await?;
    let (key, renewed) = token(world.server, 1);
    let renewed =
        NewServerToken { id: adelie_model::ServerTokenId(Uuid::from_u128(77)), key: key.id, ..renewed };
    world.store.import_token(&renewed, TokenState::Valid, at(2)).await?;
    assert!(world.position().await?.delta_cursor.is_some(), "a renewal keeps the cursor");
    let lost = world.store.forget_delta_cursor(&world.lease).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost(_))), "{lost:?}");

    let (key, another) = token(world.server, 9);
    world.store.add_token_key(&key).await?;
    world.store.import_token(&another, TokenState::Valid, at(3)).await?;
    assert_eq!(world.position().await?, crate::SyncPosition::default());
    assert_eq!(world.store.published_at(world.server, revision.id).await?, None);
    Ok(())
}
