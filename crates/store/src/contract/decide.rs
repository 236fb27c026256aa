//! Deciding anew after a change of defaults.

use adelie_model::{AssignState, ProfileStatus};
use adelie_rules::Scope;

use super::world::{
    World, at, event, operator, phone, profile_name, serial, serials, settlement, showing, uuid,
};
use super::{Case, Fixture};
use crate::Settlement;

/// L25: a changed default reaches the devices that are there already, a bounded batch at a time.
pub async fn a_changed_default_decides_all_in_batches(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let names: Vec<String> = (0..25).map(|number| format!("S{number:02}")).collect();
    world.full(names.iter().map(|name| phone(name)).collect(), 1).await?;
    world.delta(vec![event(phone("S03"), adelie_model::OpType::Deleted, 2)], 3).await?;
    let one = world.profile("one").await?;
    assert!(!world.store.decisions_pending(world.server).await?);
    world.store.set_defaults(world.server, &[(Scope::Any, Some(one.name.clone()))], &operator(4)).await?;
    assert!(world.store.decisions_pending(world.server).await?);
    let mut due = Vec::new();
    loop {
        let done = world.store.decide_anew(&world.lease, at(4), 10).await?;
        let count: u64 =
            world.store.due_groups(world.server, at(4)).await?.iter().map(|group| group.devices).sum();
        due.push(count);
        assert_eq!(world.store.decisions_pending(world.server).await?, !done);
        if done {
            break;
        }
    }
    assert_eq!(due[..2], [10, 20], "batches are bounded");
    assert_eq!(due.last(), Some(&24), "a tombstone wants nothing");
    assert!(world.store.decide_anew(&world.lease, at(5), 10).await?, "nothing is left to decide");
    assert_eq!(world.device("S24").await?.assignment.wanted, Some(one.id));
    Ok(())
}

/// A change in the middle of deciding makes it begin again, so that no device keeps the first change.
pub async fn a_new_change_begins_the_deciding_anew(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    world.full(["A", "B", "C", "D"].map(phone).into(), 1).await?;
    let one = world.profile("one").await?;
    let two = world.profile("two").await?;
    world.store.set_defaults(world.server, &[(Scope::Any, Some(one.name))], &operator(2)).await?;
    assert!(!world.store.decide_anew(&world.lease, at(2), 2).await?);
    world.store.set_defaults(world.server, &[(Scope::Any, Some(two.name.clone()))], &operator(3)).await?;
    world.decide_all(3).await?;
    for view in world.all().await? {
        assert_eq!(view.device.assignment.wanted, Some(two.id), "{}", view.device.serial);
        assert_eq!(view.wanted_profile, Some(profile_name("two")));
    }
    Ok(())
}

/// Without a default nothing gives the devices a profile, and they say so.
pub async fn a_default_taken_away_leaves_devices_unmatched(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A"), phone("B")], 1).await?;
    world.assign(&revision, "UUID-1", 2).await?;
    world.store.set_defaults(world.server, &[(Scope::Any, None)], &operator(3)).await?;
    world.decide_all(3).await?;
    let assignment = world.device("A").await?.assignment;
    assert_eq!((assignment.state, assignment.wanted), (AssignState::Unmatched, None));
    assert!(!assignment.reason.is_empty());
    assert_eq!(world.store.next_attempt_at(world.server).await?, None);
    Ok(())
}

/// L24: while a request is under way nobody knows what Apple shows, whatever was wanted before or is wanted since.
pub async fn a_changed_wish_does_not_overtake_what_was_sent(fixture: &dyn Fixture) -> Case {
    let (world, one) = World::with_default(fixture).await?;
    let shows_two = showing(phone("B"), ProfileStatus::Assigned, "UUID-2");
    world.full(vec![phone("A"), shows_two.clone()], 1).await?;
    assert_eq!(world.claim(&one, 2).await?, serials(["A", "B"]));
    let two = world.profile("two").await?;
    world.publish(&two, "UUID-2").await?;
    world.store.set_defaults(world.server, &[(Scope::Any, Some(two.name.clone()))], &operator(3)).await?;
    world.decide_all(3).await?;
    let b = world.device("B").await?.assignment;
    assert_eq!(
        (b.state, b.wanted),
        (AssignState::Sent, Some(two.id)),
        "it showed the profile before the request"
    );
    let confirmed =
        Settlement { profile_uuid: Some(uuid("UUID-1")), ..settlement(&serial("A"), AssignState::Assigned) };
    world.store.settle(&world.lease, one.id, &[confirmed], at(4)).await?;
    world.read_back([showing(phone("A"), ProfileStatus::Assigned, "UUID-1"), shows_two], 5).await?;
    assert_eq!((world.state("A").await?, world.state("B").await?), (AssignState::Due, AssignState::Assigned));
    assert_eq!(world.claim(&two, 5).await?, [serial("A")]);
    Ok(())
}
