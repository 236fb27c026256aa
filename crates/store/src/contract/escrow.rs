//! Secrets of devices that are kept for people.

use adelie_model::{EscrowId, ServerId};
use uuid::Uuid;

use super::world::{World, add_server, at, operator, serial};
use super::{Case, Fixture};
use crate::{
    AuditFilter, EscrowFilter, EscrowKind, EscrowState, Escrowed, NewEscrow, Result, Sealed, Store,
    StoreError,
};

fn secret(world: &World, device: &str, kind: EscrowKind, number: u128) -> NewEscrow {
    NewEscrow {
        id: EscrowId(Uuid::from_u128(number)),
        server: world.server,
        serial: serial(device),
        kind,
        secret: Sealed(vec![0, u8::try_from(number).unwrap_or(0), 255]),
    }
}

async fn all(store: &dyn Store) -> Result<Vec<Escrowed>> {
    store.escrowed(&EscrowFilter::default(), None, 100).await
}

fn states(all: &[Escrowed]) -> Vec<(u128, EscrowState)> {
    all.iter().map(|one| (one.id.0.as_u128(), one.state)).collect()
}

/// What is kept is there for other processes at once, with everything that is known of it.
pub async fn a_secret_is_kept_before_anybody_is_told(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let new = secret(&world, "A", EscrowKind::BypassCode, 1);
    world.store.escrow(&new, &operator(1)).await?;
    let found = all(&*fixture.another().await).await?;
    let [kept] = found.as_slice() else { panic!("one secret: {found:?}") };
    assert_eq!((kept.id, kept.server, &kept.serial, kept.kind), (new.id, new.server, &new.serial, new.kind));
    assert_eq!(kept.secret, new.secret);
    assert_eq!((kept.state, kept.detail.as_str()), (EscrowState::Escrowed, ""));
    assert_eq!((kept.created_at, kept.created_by.as_str(), kept.since), (at(1), "kim", at(1)));
    assert_eq!((kept.viewed_at, kept.rotate_at), (None, None));

    let told = fixture.store().audit_after(&AuditFilter::default(), 0, 100).await?;
    let of_it = told.iter().filter(|entry| entry.action.starts_with("secret."));
    let of_it: Vec<_> = of_it.map(|entry| (entry.action.as_str(), entry.object.name.as_str())).collect();
    assert_eq!(of_it, [("secret.escrowed", "A")]);

    let nowhere = NewEscrow { server: ServerId(4711), ..secret(&world, "A", EscrowKind::BypassCode, 2) };
    let error = world.store.escrow(&nowhere, &operator(2)).await.expect_err("no such MDM server");
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    Ok(())
}

/// The new one takes the place of the old one in one step; other devices, kinds and MDM servers keep theirs.
pub async fn a_device_has_one_secret_of_a_kind_at_a_time(fixture: &dyn Fixture) -> Case {
    use EscrowState::{Active, Refused, Replaced};
    let world = World::new(fixture).await?;
    let store = &world.store;
    let other = add_server(&**store, "other").await?;
    let password = EscrowKind::AdminPassword;
    let news = [
        secret(&world, "A", password, 1),
        secret(&world, "A", EscrowKind::BypassCode, 2),
        secret(&world, "B", password, 3),
        NewEscrow { server: other, ..secret(&world, "A", password, 4) },
        secret(&world, "A", password, 5),
        secret(&world, "A", password, 6),
    ];
    for new in &news {
        store.escrow(new, &operator(1)).await?;
    }
    for new in &news[..4] {
        assert!(store.settle_escrow(new.id, Active, "", Some(at(900)), &operator(2)).await?);
    }
    assert!(store.settle_escrow(news[4].id, Refused, "no such account", None, &operator(3)).await?);
    assert!(store.settle_escrow(news[5].id, Active, "", Some(at(950)), &operator(4)).await?);
    let now = all(&**store).await?;
    let expected = [(6, Active), (5, Refused), (4, Active), (3, Active), (2, Active), (1, Replaced)];
    assert_eq!(states(&now), expected);
    assert_eq!((now[0].since, now[0].rotate_at), (at(4), Some(at(950))));
    assert_eq!(now[1].detail, "no such account");
    assert_eq!((now[5].since, now[5].rotate_at), (at(4), None), "a replaced one has no end to come");

    assert!(
        !store.settle_escrow(news[0].id, Active, "", None, &operator(5)).await?,
        "what is replaced stays so"
    );
    assert!(!store.settle_escrow(EscrowId(Uuid::from_u128(99)), Active, "", None, &operator(5)).await?);
    assert_eq!(states(&all(&**store).await?), expected);
    Ok(())
}

/// A secret that somebody has seen is replaced soon after, and one that is to be replaced sooner anyway is not kept longer.
pub async fn whoever_looks_at_a_secret_brings_its_end_nearer(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let store = &world.store;
    let (a, b) = (
        secret(&world, "A", EscrowKind::AdminPassword, 1),
        secret(&world, "B", EscrowKind::AdminPassword, 2),
    );
    for (new, rotate_at) in [(&a, 900), (&b, 20)] {
        store.escrow(new, &operator(1)).await?;
        store.settle_escrow(new.id, EscrowState::Active, "", Some(at(rotate_at)), &operator(2)).await?;
        assert!(store.view_escrow(new.id, Some(at(100)), &operator(10)).await?);
    }
    assert!(!store.view_escrow(EscrowId(Uuid::from_u128(99)), None, &operator(10)).await?);
    let now = all(&**store).await?;
    let ends: Vec<_> = now.iter().map(|one| (one.viewed_at, one.rotate_at)).collect();
    assert_eq!(ends, [(Some(at(10)), Some(at(20))), (Some(at(10)), Some(at(100)))]);

    let due = |by| EscrowFilter { to_rotate_by: Some(at(by)), ..EscrowFilter::default() };
    assert!(store.escrowed(&due(19), None, 10).await?.is_empty());
    assert_eq!(store.escrowed(&due(20), None, 10).await?.len(), 1);
    assert_eq!(store.escrowed(&due(100), None, 10).await?.len(), 2);

    // By hand, whatever stands there.
    assert!(store.rotate_escrow(world.server, &a.serial, a.kind, &operator(11)).await?);
    assert!(!store.rotate_escrow(world.server, &a.serial, EscrowKind::BypassCode, &operator(11)).await?);
    assert_eq!(store.escrowed(&due(11), None, 10).await?[0].id, a.id);
    let told = world.store.audit_after(&AuditFilter::default(), 0, 100).await?;
    let of_it = told.iter().filter(|entry| entry.action.starts_with("secret."));
    let of_it: Vec<_> = of_it.map(|entry| entry.action.as_str().replace("secret.", "")).collect();
    let expected = ["escrowed", "settled", "viewed", "escrowed", "settled", "viewed", "rotated"];
    assert_eq!(of_it, expected, "what did nothing is not told");
    // One that nobody has looked at, and that need not be replaced, stays without an end.
    let c = secret(&world, "C", EscrowKind::BypassCode, 3);
    store.escrow(&c, &operator(12)).await?;
    store.view_escrow(c.id, None, &operator(13)).await?;
    assert_eq!(all(&**store).await?[0].rotate_at, None);
    Ok(())
}

/// Lists are for people who look for one device, and for whoever goes through all of them.
pub async fn secrets_are_listed_newest_first_and_page_by_page(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let other = add_server(&*world.store, "other").await?;
    for number in 1..=6 {
        let kind = if number % 2 == 0 { EscrowKind::BypassCode } else { EscrowKind::AdminPassword };
        let new = secret(&world, if number < 4 { "A" } else { "B" }, kind, number);
        let server = if number == 6 { other } else { world.server };
        world.store.escrow(&NewEscrow { server, ..new }, &operator(1)).await?;
    }
    let list = async |filter: EscrowFilter, before: Option<u128>, limit| -> Result<Vec<u128>> {
        let before = before.map(|id| EscrowId(Uuid::from_u128(id)));
        let found = world.store.escrowed(&filter, before, limit).await?;
        Ok(found.iter().map(|one| one.id.0.as_u128()).collect())
    };
    let everything = EscrowFilter::default;
    assert_eq!(list(everything(), None, 4).await?, [6, 5, 4, 3]);
    assert_eq!(list(everything(), Some(3), 4).await?, [2, 1]);
    let of_kind = EscrowFilter { kind: Some(EscrowKind::BypassCode), ..everything() };
    assert_eq!(list(of_kind, None, 10).await?, [6, 4, 2]);
    assert_eq!(list(EscrowFilter { serial: Some(serial("A")), ..everything() }, None, 10).await?, [3, 2, 1]);
    assert_eq!(list(EscrowFilter { server: Some(other), ..everything() }, None, 10).await?, [6]);
    let other_name =
        world.store.escrowed(&EscrowFilter { server: Some(other), ..everything() }, None, 1).await?;
    assert_eq!(other_name[0].server_name.as_str(), "other");
    Ok(())
}
