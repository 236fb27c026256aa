//! MDM servers, defaults, accounts.

use adelie_model::{AssignState, DriftMode, ProfileStatus, ServerId, TokenState};
use adelie_rules::Scope;
use serde_json::json;

use super::world::{World, at, operator, phone, profile_name, server_name, showing, token};
use super::{Case, Fixture};
use crate::{Account, MdmServer, NewServer, ServerDefault, StoreError, SyncSettings};

fn new(name: &str) -> NewServer {
    NewServer { name: server_name(name), base_url: "http://127.0.0.1:9/".to_owned(), paused: true }
}

/// A name is taken once; the second attempt says so and changes nothing.
pub async fn a_server_is_added_once_and_listed_by_name(fixture: &dyn Fixture) -> Case {
    let store = fixture.store();
    let west = store.add_server(&new("west"), &operator(1)).await?;
    let east = store.add_server(&new("east"), &operator(2)).await?;
    let taken = store.add_server(&new("west"), &operator(3)).await;
    assert!(matches!(taken, Err(StoreError::Exists { name, .. }) if name == "west"));

    let servers = store.servers().await?;
    assert_eq!(servers.iter().map(|server| server.id).collect::<Vec<_>>(), [east, west]);
    let found = store.server(&server_name("west")).await?.expect("it was added");
    assert_eq!(store.server_by_id(west).await?.as_ref(), Some(&found));
    assert_eq!(store.server(&server_name("north")).await?, None);
    assert_eq!(store.server_by_id(ServerId(i64::MAX)).await?, None);
    let expected = MdmServer {
        id: west,
        name: server_name("west"),
        base_url: "http://127.0.0.1:9/".to_owned(),
        paused: true,
        created_at: at(1),
        sync: SyncSettings::default(),
        token: crate::TokenHealth::of(TokenState::None),
        account: None,
        last_full_at: None,
        last_sync_at: None,
        next_sync_at: None,
        failures: 0,
        last_error: None,
        wait_until: None,
        attention: None,
        setbacks: 0,
        stuck: 0,
        worked_on: None,
    };
    assert_eq!(found, expected);
    Ok(())
}

/// Writing to a server that does not exist is an error, never silence.
pub async fn a_server_that_does_not_exist_is_missing(fixture: &dyn Fixture) -> Case {
    let store = fixture.store();
    let nobody = ServerId(4711);
    let missing = [
        store.set_paused(nobody, true, &operator(0)).await,
        store.set_defaults(nobody, &[(Scope::Any, None)], &operator(0)).await,
        store.set_sync_settings(nobody, &SyncSettings::default(), &operator(0)).await,
        store.set_account(nobody, &Account::default()).await,
        store.set_token_state(nobody, &TokenState::Valid.into(), at(0)).await,
        store.acquire_lease(nobody, "us", super::world::TTL).await.map(drop),
        store.position(nobody).await.map(drop),
    ];
    for (at, result) in missing.into_iter().enumerate() {
        assert!(
            matches!(&result, Err(StoreError::Missing { name, .. }) if name == "4711"),
            "call {at} gave {result:?}"
        );
    }
    Ok(())
}

/// Pausing and resuming are kept.
pub async fn a_paused_server_says_so(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    for paused in [true, false] {
        world.store.set_paused(world.server, paused, &operator(1)).await?;
        let server = world.store.server_by_id(world.server).await?.expect("it exists");
        assert_eq!(server.paused, paused);
    }
    Ok(())
}

/// L21: what Apple asks for survives the process, is never shortened, and ends with the token it was about.
pub async fn apples_wish_to_be_left_alone_is_kept(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let store = &world.store;
    store.set_wait_until(world.server, at(500)).await?;
    store.set_wait_until(world.server, at(300)).await?;
    let server = store.server_by_id(world.server).await?.expect("it exists");
    assert_eq!(server.wait_until, Some(at(500)));
    let (key, token) = token(world.server, 9);
    store.add_token_key(&key, &operator(0)).await?;
    store.import_token(&token, &TokenState::Valid.into(), &operator(400)).await?;
    let server = store.server_by_id(world.server).await?.expect("it exists");
    assert_eq!(server.wait_until, None);
    Ok(())
}

/// Defaults come back in the order of scopes, whatever the order they were set in.
pub async fn defaults_are_set_replaced_and_taken_away(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let one = world.profile("one").await?;
    let two = world.profile("two").await?;
    let [mac, vision, any] = [Scope::ALL[0].clone(), Scope::ALL[5].clone(), Scope::Any];
    let of = |scope: &Scope, revision: &crate::Revision| ServerDefault {
        scope: scope.clone(),
        profile: revision.name.clone(),
        revision: revision.id,
    };
    assert!(world.store.defaults(world.server).await?.is_empty());
    let set = [
        (any.clone(), Some(one.name.clone())),
        (vision.clone(), Some(two.name.clone())),
        (mac.clone(), Some(one.name.clone())),
    ];
    world.store.set_defaults(world.server, &set, &operator(1)).await?;
    assert_eq!(
        world.store.defaults(world.server).await?,
        [of(&mac, &one), of(&vision, &two), of(&any, &one)]
    );
    let change = [(mac.clone(), Some(two.name.clone())), (any, None)];
    world.store.set_defaults(world.server, &change, &operator(2)).await?;
    assert_eq!(world.store.defaults(world.server).await?, [of(&mac, &two), of(&vision, &two)]);
    Ok(())
}

/// All or nothing: one unknown profile refuses the whole change.
pub async fn a_missing_profile_changes_no_default(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let one = world.profile("one").await?;
    let set = [(Scope::Any, Some(one.name)), (Scope::ALL[0].clone(), Some(profile_name("nowhere")))];
    let events = fixture.events().await;
    let result = world.store.set_defaults(world.server, &set, &operator(1)).await;
    assert!(matches!(&result, Err(StoreError::Missing { name, .. }) if name == "nowhere"), "{result:?}");
    assert!(world.store.defaults(world.server).await?.is_empty());
    assert!(!world.store.decisions_pending(world.server).await?);
    assert_eq!(fixture.events().await, events);
    Ok(())
}

/// Settings are replaced whole, also by none.
pub async fn sync_settings_are_replaced(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let some = SyncSettings {
        delta_interval_s: Some(60),
        removal_percent: Some(3),
        drift: Some(DriftMode::Report),
        ..SyncSettings::default()
    };
    for settings in [some, SyncSettings::default()] {
        world.store.set_sync_settings(world.server, &settings, &operator(1)).await?;
        let server = world.store.server_by_id(world.server).await?.expect("it exists");
        assert_eq!(server.sync, settings);
    }
    Ok(())
}

/// L26: drift that is only reported stays, and is looked at again once it is to be repaired.
pub async fn what_is_done_about_drift_is_a_setting(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    let store = &world.store;
    let report = SyncSettings { drift: Some(DriftMode::Report), ..SyncSettings::default() };
    store.set_sync_settings(world.server, &report, &operator(1)).await?;
    assert!(store.decisions_pending(world.server).await?, "the devices are decided by it");
    world.decide_all(1).await?;
    let slower = SyncSettings { delta_interval_s: Some(3600), ..report };
    store.set_sync_settings(world.server, &slower, &operator(1)).await?;
    assert!(!store.decisions_pending(world.server).await?, "nothing that they are decided by has changed");

    world.full(vec![phone("A")], 1).await?;
    world.assign(&revision, "UUID-1", 2).await?;
    let other = showing(phone("A"), ProfileStatus::Assigned, "OTHER");
    world.full(vec![other.clone()], 3).await?;
    let read = super::world::details([other], []);
    store.commit_details(&world.lease, &read, at(4)).await?;
    let assignment = world.device("A").await?.assignment;
    assert_eq!((assignment.state, assignment.next_attempt_at), (AssignState::Drifted, None));

    store.set_sync_settings(world.server, &SyncSettings::default(), &operator(5)).await?;
    world.decide_all(5).await?;
    let due = store.to_read_back(&world.lease, at(5), 10).await?;
    assert_eq!(due, super::world::serials(["A"]));
    store.commit_details(&world.lease, &read, at(6)).await?;
    assert_eq!(world.state("A").await?, AssignState::Due);
    Ok(())
}

/// L32: who changed what stands beside the change; what changes nothing is not told.
pub async fn changes_name_their_operator(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let store = &world.store;
    let one = world.profile("one").await?;
    let defaults = [(Scope::Any, Some(one.name)), (Scope::ALL[0].clone(), None)];
    store.set_defaults(world.server, &defaults, &operator(1)).await?;
    let settings = SyncSettings { removal_percent: Some(3), ..SyncSettings::default() };
    for _ in 0..2 {
        store.set_sync_settings(world.server, &settings, &operator(2)).await?;
    }
    for paused in [false, true, true, false, false] {
        store.set_paused(world.server, paused, &operator(3)).await?;
    }
    let mut events = fixture.events().await;
    events.retain(|event| event.kind != "token.renewed");
    assert!(events.iter().all(|event| event.serial.is_none()), "{events:?}");
    let told: Vec<_> = events.into_iter().map(|event| (event.kind, event.data)).collect();
    let by = || json!({ "by": "kim" });
    let revised = json!({ "profile": "one", "by": "kim", "changes": ["add profile one"] });
    let expected = [
        ("profile.revised", revised),
        ("server.defaults_changed", json!({ "by": "kim", "defaults": { "any": "one" } })),
        ("server.settings_changed", json!({ "by": "kim", "settings": { "removal_percent": 3 } })),
        ("server.paused", by()),
        ("server.resumed", by()),
    ];
    assert_eq!(told, expected.map(|(kind, data)| (kind.to_owned(), data)));
    Ok(())
}

/// What Apple says of the account is kept whole.
pub async fn the_account_is_kept(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let account = Account {
        server_name: Some("Länder & \"Söhne\"".to_owned()),
        server_uuid: Some("UUID".to_owned()),
        admin_id: Some("admin@example.com".to_owned()),
        org_name: None,
        org_type: Some("edu".to_owned()),
        org_email: Some("mdm@example.org".to_owned()),
        org_phone: Some("+49 30 1234".to_owned()),
        page_limit: Some(1000),
    };
    world.store.set_account(world.server, &account).await?;
    let server = world.store.server_by_id(world.server).await?.expect("it exists");
    assert_eq!(server.account, Some(account));
    Ok(())
}

/// Both databases keep milliseconds: what is finer is cut off, not rounded up.
pub async fn moments_are_kept_to_the_millisecond(fixture: &dyn Fixture) -> Case {
    let store = fixture.store();
    let fine = at(0) + chrono::TimeDelta::microseconds(999);
    let id = store.add_server(&new("fine"), &operator(0).at(fine)).await?;
    assert_eq!(store.server_by_id(id).await?.expect("it exists").created_at, at(0));
    Ok(())
}
