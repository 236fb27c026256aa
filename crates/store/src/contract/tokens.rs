//! Token keys and server tokens.

use adelie_model::{ServerId, ServerTokenId, TokenKeyId, TokenState};
use uuid::Uuid;

use super::world::{World, at, operator, seen, token};
use super::{Case, Fixture};
use crate::{Account, NewServerToken, Operator, Store, StoreError, StoredToken, TokenSeen};

/// The newest key is the one that was uploaded last.
pub async fn token_keys_are_listed_newest_first(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    for number in [3, 2] {
        world.store.add_token_key(&token(world.server, number).0, &operator(0)).await?;
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
    world.store.set_token_state(world.server, &seen(TokenState::Rejected, "revoked"), at(5)).await?;
    let (_, old) = token(world.server, 1);
    let (key, new) = token(world.server, 2);
    world.store.add_token_key(&key, &operator(0)).await?;
    let account = Account { admin_id: Some("kim@example.org".to_owned()), ..Account::default() };
    let new = NewServerToken { expires_at: at(400 * 86_400), account: Some(account.clone()), ..new };
    let before = world.store.current_token(world.server).await?.expect("a token");
    assert_eq!(before.token.consumer_key, old.consumer_key);

    world.store.import_token(&new, &TokenState::Valid.into(), &operator(10)).await?;
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
    assert_eq!((server.account.as_ref(), current.token.account.as_ref()), (Some(&account), Some(&account)));
    assert_eq!((current.imported_by.as_deref(), current.replaced_at), (Some("kim"), None));
    Ok(())
}

/// L40: a token that cannot be stored leaves the old one in use.
pub async fn a_token_of_an_unknown_key_changes_nothing(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let before = world.store.server_by_id(world.server).await?;
    let (_, new) = token(world.server, 2);
    let stray = NewServerToken { key: TokenKeyId(Uuid::from_u128(u128::MAX)), ..new };
    let result = world.store.import_token(&stray, &TokenState::Valid.into(), &operator(10)).await;
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
    store.set_token_state(world.server, &seen(TokenState::TermsNotSigned, "T_C_NOT_SIGNED"), at(10)).await?;
    store.set_token_state(world.server, &seen(TokenState::TermsNotSigned, "still"), at(20)).await?;
    let health = store.server_by_id(world.server).await?.expect("it exists").token;
    assert_eq!((health.state, health.since), (TokenState::TermsNotSigned, Some(at(10))));
    assert_eq!(health.detail.as_deref(), Some("still"));
    store.set_token_state(world.server, &TokenState::Valid.into(), at(30)).await?;
    let health = store.server_by_id(world.server).await?.expect("it exists").token;
    assert_eq!((health.state, health.since, health.detail), (TokenState::Valid, Some(at(30)), None));
    Ok(())
}

/// L43, L44: a network that is down takes nothing back of what Apple has said, and when the trouble is over that is told.
pub async fn what_apple_said_outlasts_a_dead_network(fixture: &dyn Fixture) -> Case {
    use TokenState::{Rejected, TermsNotSigned, Unreachable, Valid};
    let world = World::new(fixture).await?;
    let store = &world.store;
    let health =
        async || store.server_by_id(world.server).await.map(|server| server.expect("it exists").token);
    let check = TokenSeen { next_check_at: Some(at(3600)), ..seen(TermsNotSigned, "T_C_NOT_SIGNED") };
    store.set_token_state(world.server, &check, at(1)).await?;
    let check = TokenSeen { next_check_at: Some(at(7200)), ..seen(Unreachable, "no route") };
    store.set_token_state(world.server, &check, at(2)).await?;
    let now = health().await?;
    assert_eq!(
        (now.state, now.detail.as_deref(), now.since),
        (TermsNotSigned, Some("T_C_NOT_SIGNED"), Some(at(1)))
    );
    assert_eq!(now.next_check_at, Some(at(7200)));
    let wakes = TokenSeen { wakes: true, ..Valid.into() };
    store.set_token_state(world.server, &wakes, at(3)).await?;
    let server = store.server_by_id(world.server).await?.expect("it exists");
    assert_eq!(
        (server.token.state, server.token.next_check_at, server.next_sync_at),
        (Valid, None, Some(at(3)))
    );
    for (state, now) in [(Rejected, 4), (Unreachable, 5), (Rejected, 6)] {
        store.set_token_state(world.server, &seen(state, "why"), at(now)).await?;
    }
    assert_eq!(kinds(fixture).await, ["terms.required", "terms.accepted", "token.invalid"]);
    Ok(())
}

/// L42: a token that Apple refuses is not tried before its time, whatever else is due; what an operator changes is still
/// looked at.
pub async fn a_refused_token_is_not_tried_before_its_time(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let store = &world.store;
    let check = TokenSeen { next_check_at: Some(at(3600)), ..seen(TokenState::Rejected, "token_rejected") };
    store.set_token_state(world.server, &check, at(1)).await?;
    store.release_lease(&world.lease, &super::world::end(2)).await?;
    let claim = async |now| store.claim_due_servers("us", super::world::TTL, at(now), 9).await;
    assert_eq!(claim(3599).await?, []);
    let claimed = claim(3600).await?;
    assert_eq!(claimed.len(), 1);
    let again = TokenSeen { next_check_at: Some(at(9000)), ..check };
    store.set_token_state(world.server, &again, at(3600)).await?;
    store.release_lease(&claimed[0], &super::world::end(3600)).await?;
    assert_eq!(claim(8999).await?, []);
    let sooner = TokenSeen { next_check_at: Some(at(5000)), ..check };
    store.set_token_state(world.server, &sooner, at(3700)).await?;
    assert_eq!((claim(4999).await?.len(), claim(5000).await?.len()), (0, 1), "somebody has asked meanwhile");
    Ok(())
}

/// What is said of a token that was replaced meanwhile is not about the one in use.
pub async fn a_former_token_says_nothing_about_the_one_in_use(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let former = world.store.current_token(world.server).await?.expect("a token").token.id;
    let new = renewal(&world, 400).await?;
    let late = TokenSeen { about: Some(former), ..seen(TokenState::Superseded, "signature_invalid") };
    world.store.set_token_state(world.server, &late, at(5)).await?;
    let health = world.store.server_by_id(world.server).await?.expect("it exists").token;
    assert_eq!((health.state, health.detail), (TokenState::Valid, None));
    let own = TokenSeen { about: Some(new), ..seen(TokenState::Superseded, "signature_invalid") };
    world.store.set_token_state(world.server, &own, at(6)).await?;
    let health = world.store.server_by_id(world.server).await?.expect("it exists").token;
    assert_eq!(health.state, TokenState::Superseded);
    Ok(())
}

/// L40: every token is kept with who imported it and who made it, and a former one can be put back, with its history.
pub async fn a_former_token_is_put_back(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let store = &world.store;
    let made_by = |name: &str| Account { admin_id: Some(name.to_owned()), ..Account::default() };
    store.set_account(world.server, &made_by("anna")).await?;
    let first = store.current_token(world.server).await?.expect("a token").token.id;
    let second = renewal(&world, 400).await?;
    store.set_account(world.server, &made_by("bert")).await?;
    let shown = |token: &StoredToken| {
        let made_by = token.token.account.clone().and_then(|account| account.admin_id);
        (token.token.id, made_by, token.is_current, token.replaced_at)
    };
    let all = store.tokens(world.server).await?;
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(
        all.iter().map(shown).collect::<Vec<_>>(),
        [(second, named("bert"), true, None), (first, named("anna"), false, Some(at(400)))]
    );

    let stranger = ServerTokenId(Uuid::from_u128(12345));
    let missing = restore(&**store, world.server, stranger, 500).await;
    assert!(matches!(missing, Err(StoreError::Missing { what: "server token", .. })), "{missing:?}");
    restore(&**store, world.server, first, 500).await?;
    restore(&**store, world.server, first, 600).await?;
    let all = store.tokens(world.server).await?;
    assert_eq!(
        all.iter().map(shown).collect::<Vec<_>>(),
        [(second, named("bert"), false, Some(at(500))), (first, named("anna"), true, None)]
    );
    assert_eq!(all[1].restored, Some((at(500), "kim".to_owned())));
    assert_eq!(store.current_token(world.server).await?.expect("a token").token.id, first);
    let told = fixture.events().await;
    let restored: Vec<_> = told
        .iter()
        .filter(|event| event.kind == "token.renewed")
        .map(|event| (event.data["restored"].clone(), event.data["by"].clone()))
        .collect();
    let by = |restored: bool| (restored.into(), "kim".into());
    assert_eq!(
        restored,
        [by(false), by(false), by(true)],
        "one that is in use already is not restored again"
    );
    Ok(())
}

/// L43: each rung of the ladder is told once, whoever asks and however often; one that was off over several tells only
/// the one that holds; a renewed token begins anew.
pub async fn each_rung_of_the_expiry_ladder_is_told_once(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let other = fixture.another().await;
    let expiry = 365;
    let rungs = async || -> Vec<(String, i64)> {
        let told = fixture.events().await.into_iter();
        told.filter(|event| event.data["days"].is_i64())
            .map(|event| (event.kind, event.data["days"].as_i64().expect("a number")))
            .collect()
    };
    let state = async || {
        world.store.server_by_id(world.server).await.map(|server| server.expect("it exists").token.state)
    };
    for day in 0..=expiry + 3 {
        let now = at(day * 86_400);
        let (ours, theirs) = tokio::join!(world.store.tell_expiry(now), other.tell_expiry(now));
        assert!(ours? + theirs? <= 1, "day {day}");
        assert_eq!(world.store.tell_expiry(now).await?, 0, "day {day}");
        match day {
            304 => assert_eq!(state().await?, TokenState::Valid),
            305 => assert_eq!(state().await?, TokenState::Expiring),
            365 => assert_eq!(state().await?, TokenState::Expired),
            _ => {}
        }
    }
    let expiring = [60, 30, 14, 7, 3, 1].map(|days| ("token.expiring".to_owned(), days));
    let expired = [0, -1, -2, -3].map(|days| ("token.expired".to_owned(), days));
    let mut all = [expiring.as_slice(), &expired].concat();
    assert_eq!(rungs().await, all);

    renewal(&world, 360 * 86_400).await?;
    assert_eq!(world.store.tell_expiry(at((expiry + 3) * 86_400)).await?, 0, "the new token has a year");
    let day = 86_400 * (360 + 400 - 5);
    assert_eq!(world.store.tell_expiry(at(day)).await?, 1, "only the rung that holds now");
    all.push(("token.expiring".to_owned(), 7));
    assert_eq!(rungs().await, all);
    Ok(())
}

/// The calendar says nothing about what Apple has said.
pub async fn the_calendar_hides_no_trouble(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    world.store.set_token_state(world.server, &seen(TokenState::Rejected, "revoked"), at(1)).await?;
    assert_eq!(world.store.tell_expiry(at(364 * 86_400)).await?, 1);
    let health = world.store.server_by_id(world.server).await?.expect("it exists").token;
    assert_eq!(
        (health.state, health.since, health.detail.as_deref()),
        (TokenState::Rejected, Some(at(1)), Some("revoked"))
    );
    Ok(())
}

/// How far Apple's clock is ahead is kept, and forgotten.
pub async fn clock_skew_is_kept(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    for skew in [Some(chrono::TimeDelta::milliseconds(-90_500)), None] {
        world.store.set_clock_skew(world.server, skew).await?;
        assert_eq!(world.store.server_by_id(world.server).await?.expect("it exists").token.clock_skew, skew);
    }
    let nobody = world.store.set_clock_skew(ServerId(4711), None).await;
    assert!(matches!(nobody, Err(StoreError::Missing { .. })), "{nobody:?}");
    Ok(())
}

/// The kinds of events about tokens and terms, without those of imports.
async fn kinds(fixture: &dyn Fixture) -> Vec<String> {
    let events = fixture.events().await.into_iter().map(|event| event.kind);
    events
        .filter(|kind| (kind.starts_with("token.") && kind != "token.renewed") || kind.starts_with("terms."))
        .collect()
}

/// Imports a renewed token at a moment; it is valid for 400 days.
async fn renewal(world: &World, now: i64) -> crate::Result<ServerTokenId> {
    let (key, token) = token(world.server, 1);
    let id = ServerTokenId(Uuid::from_u128(9_000 + u128::from(now.unsigned_abs())));
    let renewed = NewServerToken { id, key: key.id, expires_at: at(now + 400 * 86_400), ..token };
    world.store.import_token(&renewed, &TokenState::Valid.into(), &operator(now)).await?;
    Ok(id)
}

async fn restore(store: &dyn Store, server: ServerId, id: ServerTokenId, now: i64) -> crate::Result<()> {
    let by: Operator = operator(now);
    store.restore_token(server, id, None, &TokenState::Valid.into(), &by).await
}

/// L16, L41: a token takes the lease from whoever works with the old one, and one of another MDM server of
/// Apple's leaves no cursor and no published profile of the former one behind.
pub async fn a_token_of_another_server_leaves_nothing_behind(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.publish(&revision, "UUID-1").await?;
    world.full(vec![super::world::phone("A")], 1).await?;
    let (key, renewed) = token(world.server, 1);
    let renewed = NewServerToken { id: ServerTokenId(Uuid::from_u128(77)), key: key.id, ..renewed };
    world.store.import_token(&renewed, &TokenState::Valid.into(), &operator(2)).await?;
    assert!(world.position().await?.delta_cursor.is_some(), "a renewal keeps the cursor");
    let lost = world.store.forget_delta_cursor(&world.lease).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost(_))), "{lost:?}");

    let (key, another) = token(world.server, 9);
    world.store.add_token_key(&key, &operator(0)).await?;
    world.store.import_token(&another, &TokenState::Valid.into(), &operator(3)).await?;
    assert_eq!(world.position().await?, crate::SyncPosition::default());
    assert_eq!(world.store.published_at(world.server, revision.id).await?, None);
    Ok(())
}
