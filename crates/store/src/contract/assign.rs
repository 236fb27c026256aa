//! Claims and settlements.

use adelie_model::{AssignState, ProfileName, ProfileStatus};
use adelie_rules::Scope;

use super::world::{
    World, at, event, mac, operator, phone, serial, serials, settlement, showing, told, uuid,
};
use super::{Case, Fixture};
use crate::page::Action;
use crate::{Claim, DueGroup, PublishOutcome, Settlement};

/// L20: the intent is stored before the request, and every device's result after it.
pub async fn a_device_is_claimed_once_and_settled(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A"), phone("B")], 1).await?;
    let due = [DueGroup { revision: revision.id, devices: 2 }];
    assert_eq!(world.store.due_groups(world.server, at(1)).await?, due);
    assert_eq!(world.claim(&revision, 2).await?, serials(["A", "B"]));
    assert!(world.claim(&revision, 3).await?.is_empty());
    assert!(world.store.due_groups(world.server, at(3)).await?.is_empty());
    let sent = world.device("A").await?.assignment;
    assert_eq!((sent.state, sent.attempts), (AssignState::Sent, 1));
    assert_eq!((sent.next_attempt_at, sent.wanted), (Some(at(302)), Some(revision.id)));

    let settlements = [
        Settlement { profile_uuid: Some(uuid("UUID-1")), ..settlement(&serial("A"), AssignState::Assigned) },
        Settlement {
            reason: "Apple says FAILED".to_owned(),
            next_attempt_at: Some(at(3600)),
            ..settlement(&serial("B"), AssignState::Failed)
        },
    ];
    world.settle(&settlements, 4).await?;
    let device = world.device("A").await?;
    assert_eq!((device.assignment.state, device.assignment.attempts), (AssignState::Assigned, 0));
    assert_eq!(device.assignment.next_attempt_at, None);
    assert_eq!(device.actual.profile_uuid, Some(uuid("UUID-1")));
    assert_eq!(device.actual.profile_status, Some(ProfileStatus::Assigned));
    assert_eq!(device.actual.profile_assign_time, Some(at(4)));
    let device = world.device("B").await?;
    assert_eq!((device.assignment.state, device.assignment.attempts), (AssignState::Failed, 1));
    assert_eq!(device.assignment.reason, "Apple says FAILED");
    assert_eq!(device.assignment.next_attempt_at, Some(at(3600)));
    assert_eq!((device.actual.profile_uuid, device.actual.profile_assign_time), (None, None));
    Ok(())
}

/// L22: one request takes a limited number of devices; the rest stays due.
pub async fn a_claim_takes_no_more_than_its_limit(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full((0..25).map(|number| phone(&format!("S{number:02}"))).collect(), 1).await?;
    let mut all = Vec::new();
    for size in [10, 10, 5, 0] {
        let claimed = world.store.claim_due(&world.lease, revision.id, 10, at(2), at(300)).await?;
        assert_eq!(claimed.len(), size);
        all.extend(claimed.into_iter().map(|claim| claim.serial));
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 25);
    Ok(())
}

/// An answer that comes after the device has left, or to another holder's request, changes nothing.
pub async fn a_late_settlement_is_left_alone(fixture: &dyn Fixture) -> Case {
    let (mut world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A"), phone("B"), phone("C")], 1).await?;
    assert_eq!(world.claim(&revision, 2).await?.len(), 3);
    world.delta(vec![event(phone("A"), adelie_model::OpType::Deleted, 3)], 4).await?;
    let success = |text: &str| Settlement {
        profile_uuid: Some(uuid("UUID-1")),
        ..settlement(&serial(text), AssignState::Assigned)
    };
    world.settle(&[success("A"), success("B"), success("nobody")], 5).await?;
    assert_eq!(world.state("A").await?, AssignState::Removed);
    assert_eq!(world.device("A").await?.actual.profile_uuid, None);
    assert_eq!(world.state("B").await?, AssignState::Assigned);
    world.lease = world.taken_over().await?;
    world.settle(&[success("C")], 6).await?;
    assert_eq!(world.state("C").await?, AssignState::Sent);
    Ok(())
}

/// L24: what was sent for the former wish is heard of before anything is sent for the present one.
pub async fn a_settlement_is_for_the_revision_that_was_sent(fixture: &dyn Fixture) -> Case {
    let (world, one) = World::with_default(fixture).await?;
    world.full(["A", "B", "C", "D"].map(phone).into(), 1).await?;
    assert_eq!(world.claim(&one, 2).await?.len(), 4);
    let two = world.profile("two").await?;
    world.store.set_defaults(world.server, &[(Scope::Any, Some(two.name.clone()))], &operator(3)).await?;
    world.decide_all(3).await?;
    assert!(world.claim(&two, 4).await?.is_empty(), "the answer is on its way");
    assert!(world.store.to_read_back(&world.lease, at(4), 10).await?.is_empty());
    let success = |text: &str, uuid_of: &str| Settlement {
        profile_uuid: Some(uuid(uuid_of)),
        ..settlement(&serial(text), AssignState::Assigned)
    };
    let failed =
        Settlement { next_attempt_at: Some(at(3600)), ..settlement(&serial("B"), AssignState::Failed) };
    let throttled =
        Settlement { next_attempt_at: Some(at(9000)), ..settlement(&serial("C"), AssignState::Throttled) };
    world.store.settle(&world.lease, one.id, &[success("A", "UUID-1"), failed, throttled], at(5)).await?;
    let outcomes = told(fixture).await.into_iter().filter(|event| event.kind.starts_with("assignment."));
    let mut kinds: Vec<_> = outcomes.map(|event| event.kind).collect();
    kinds.sort();
    assert_eq!(kinds, ["assignment.throttled"], "of the others Apple is asked");
    let c = world.device("C").await?.assignment;
    assert_eq!(
        (c.state, c.next_attempt_at, c.wanted),
        (AssignState::Throttled, Some(at(9000)), Some(two.id))
    );
    assert_eq!(world.store.to_read_back(&world.lease, at(5), 10).await?, serials(["A", "B"]));
    assert_eq!(world.state("D").await?, AssignState::Sent, "nothing was heard of it");

    world.read_back([phone("A"), phone("B")], 6).await?;
    assert_eq!(world.claim(&two, 6).await?, serials(["A", "B"]));
    world.store.settle(&world.lease, one.id, &[success("A", "UUID-1")], at(7)).await?;
    assert_eq!(world.state("A").await?, AssignState::Sent, "what comes too late is left alone");
    world.store.settle(&world.lease, two.id, &[success("A", "UUID-2")], at(8)).await?;
    assert_eq!(world.device("A").await?.actual.profile_uuid, Some(uuid("UUID-2")));
    assert_eq!(world.state("A").await?, AssignState::Assigned);
    Ok(())
}

/// L24: a wish that changes and comes back, a hold and the lack of a wish do not make anybody forget that it is open what
/// became of a request: Apple is asked before the device is sent again.
pub async fn an_open_outcome_outlasts_a_changed_wish(fixture: &dyn Fixture) -> Case {
    let (world, one) = World::with_default(fixture).await?;
    world.full(vec![phone("A"), phone("B")], 1).await?;
    world.claim(&one, 2).await?;
    let left_out = |text: &str| Settlement {
        next_attempt_at: Some(at(3600)),
        ..settlement(&serial(text), AssignState::Failed)
    };
    world.settle(&[left_out("A"), left_out("B")], 3).await?;
    let wish = async |name: Option<ProfileName>, seconds| -> Case {
        world.store.set_defaults(world.server, &[(Scope::Any, name)], &operator(seconds)).await?;
        world.decide_all(seconds).await?;
        Ok(())
    };
    let b = serials(["B"]);
    world.store.operate(world.server, &b, &Action::Hold { reason: String::new() }, &operator(4)).await?;
    wish(None, 5).await?;
    assert_eq!(
        (world.state("A").await?, world.state("B").await?),
        (AssignState::Unmatched, AssignState::Held)
    );
    wish(Some(one.name.clone()), 6).await?;
    world.store.operate(world.server, &b, &Action::Unhold, &operator(7)).await?;
    assert!(world.claim(&one, 8).await?.is_empty());
    assert_eq!(world.store.to_read_back(&world.lease, at(8), 10).await?, serials(["A", "B"]));
    let shows = showing(phone("A"), ProfileStatus::Assigned, "UUID-1");
    world.publish(&one, "UUID-1").await?;
    world.read_back([shows, phone("B")], 9).await?;
    assert_eq!((world.state("A").await?, world.state("B").await?), (AssignState::Assigned, AssignState::Due));
    Ok(())
}

/// L21, L24: a throttled device is not sent before its time, and then only if Apple does not show what is wanted.
pub async fn a_throttled_device_waits_for_its_time(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    world.claim(&revision, 2).await?;
    let throttled = Settlement {
        next_attempt_at: Some(at(86_400)),
        reason: "Apple says THROTTLED".to_owned(),
        ..settlement(&serial("A"), AssignState::Throttled)
    };
    world.settle(&[throttled], 3).await?;
    world.delta(vec![event(phone("A"), adelie_model::OpType::Modified, 50)], 60).await?;
    assert!(world.store.due_groups(world.server, at(86_399)).await?.is_empty());
    assert!(world.claim(&revision, 86_399).await?.is_empty());
    assert!(world.store.to_read_back(&world.lease, at(86_399), 10).await?.is_empty());
    let other = fixture.another().await;
    assert_eq!(other.to_read_back(&world.lease, at(86_400), 10).await?, [serial("A")]);
    assert!(world.claim(&revision, 86_400).await?.is_empty());
    world.read_back([phone("A")], 86_400).await?;
    assert_eq!(other.due_groups(world.server, at(86_400)).await?.len(), 1);
    assert_eq!(world.claim(&revision, 86_400).await?, [serial("A")]);
    Ok(())
}

/// The number of attempts says how long it has been tried, so that waits can grow.
pub async fn attempts_are_counted_until_success(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    for attempt in 1..=3 {
        let now = i64::from(attempt) * 10;
        let claims = world.store.claim_due(&world.lease, revision.id, 9, at(now), at(900)).await?;
        assert_eq!(claims, [Claim { serial: serial("A"), attempts: attempt, drifted: false }]);
        assert_eq!(world.device("A").await?.assignment.attempts, attempt);
        let failed = Settlement {
            next_attempt_at: Some(at(now + 5)),
            ..settlement(&serial("A"), AssignState::Failed)
        };
        world.settle(&[failed], now).await?;
        world.read_back([phone("A")], now + 5).await?;
        assert_eq!(world.device("A").await?.assignment.attempts, attempt);
    }
    world.assign(&revision, "UUID-1", 100).await?;
    assert_eq!(world.device("A").await?.assignment.attempts, 0);
    Ok(())
}

/// What certainly was not sent needs no reading back, and was no attempt.
pub async fn what_was_not_sent_is_given_back(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(["A", "B", "C", "D"].map(phone).into(), 1).await?;
    world.claim(&revision, 2).await?;
    let inaccessible =
        Settlement { next_attempt_at: Some(at(9)), ..settlement(&serial("C"), AssignState::NotAccessible) };
    let assigned =
        Settlement { profile_uuid: Some(uuid("UUID-1")), ..settlement(&serial("D"), AssignState::Assigned) };
    world.settle(&[inaccessible, assigned], 3).await?;
    let given_back = serials(["A", "C", "D", "nobody"]);
    world.store.unclaim(&world.lease, &given_back, "no connection", at(30)).await?;
    let assignment = world.device("A").await?.assignment;
    assert_eq!((assignment.state, assignment.next_attempt_at), (AssignState::Due, Some(at(30))));
    assert_eq!((assignment.reason.as_str(), assignment.attempts), ("no connection", 0));
    // Of those something is known.
    let assignment = world.device("C").await?.assignment;
    assert_eq!((assignment.state, assignment.next_attempt_at), (AssignState::NotAccessible, Some(at(9))));
    assert_eq!(world.state("B").await?, AssignState::Sent);
    assert_eq!(world.state("D").await?, AssignState::Assigned);
    assert!(world.claim(&revision, 29).await?.is_empty());
    assert_eq!(world.claim(&revision, 30).await?, serials(["A"]));
    Ok(())
}

/// L32: what an operator holds while its request is on the way is not due again when the request did not leave.
pub async fn what_is_held_meanwhile_is_not_given_back(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A"), phone("B")], 1).await?;
    world.claim(&revision, 2).await?;
    let hold = Action::Hold { reason: String::new() };
    world.store.operate(world.server, &serials(["A"]), &hold, &operator(3)).await?;
    world.store.unclaim(&world.lease, &serials(["A", "B"]), "no connection", at(4)).await?;
    let assignment = world.device("A").await?.assignment;
    assert_eq!((assignment.state, assignment.reason.as_str()), (AssignState::Held, "held by kim"));
    assert_eq!((assignment.next_attempt_at, assignment.attempts), (None, 0));
    assert_eq!(world.claim(&revision, 5).await?, serials(["B"]));
    Ok(())
}

/// Between request and answer a page may come in: the claim stands, and the answer still counts.
pub async fn news_of_a_sent_device_leaves_it_sent(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full(vec![phone("A")], 1).await?;
    world.claim(&revision, 2).await?;
    let mut news = event(phone("A"), adelie_model::OpType::Modified, 3);
    news.actual.color = Some("RED".to_owned());
    assert_eq!(world.delta(vec![news], 4).await?.modified, 1);
    assert_eq!(world.state("A").await?, AssignState::Sent);
    assert!(world.store.to_read_back(&world.lease, at(5), 10).await?.is_empty());
    let success =
        Settlement { profile_uuid: Some(uuid("UUID-1")), ..settlement(&serial("A"), AssignState::Assigned) };
    world.settle(&[success], 6).await?;
    assert_eq!(world.state("A").await?, AssignState::Assigned);
    Ok(())
}

/// Groups by size, so that most devices are ready soonest.
pub async fn the_largest_group_comes_first(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let macs = world.default(Scope::ALL[0].clone(), "macs").await?;
    let others = world.default(Scope::Any, "others").await?;
    world.full(vec![mac("M1"), phone("P1"), phone("P2"), mac("M2"), mac("M3")], 1).await?;
    let expected = [DueGroup { revision: macs.id, devices: 3 }, DueGroup { revision: others.id, devices: 2 }];
    assert_eq!(world.store.due_groups(world.server, at(2)).await?, expected);
    assert_eq!(world.claim(&others, 2).await?, serials(["P1", "P2"]));
    Ok(())
}

/// L27: a profile that Apple refuses keeps its own devices waiting and no others.
pub async fn a_refused_profile_holds_only_its_own_devices(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    let macs = world.default(Scope::ALL[0].clone(), "macs").await?;
    let others = world.default(Scope::Any, "others").await?;
    world.full(vec![mac("M1"), mac("M2"), phone("P1")], 1).await?;
    let refused = PublishOutcome::Refused { error: "FLAGS_INVALID".to_owned(), next_attempt_at: at(600) };
    world.store.set_published(&world.lease, macs.id, &refused, at(2)).await?;
    let of = |revision: &crate::Revision, devices| DueGroup { revision: revision.id, devices };
    assert_eq!(world.store.due_groups(world.server, at(3)).await?, [of(&others, 1)]);
    assert_eq!(world.view("M1").await?.state(), (AssignState::Held, "FLAGS_INVALID"));
    assert_eq!(world.view("P1").await?.state().0, AssignState::Due);
    assert_eq!(
        world.store.due_groups(world.server, at(600)).await?,
        [of(&macs, 2), of(&others, 1)],
        "its time has come to be defined again"
    );
    world.publish(&macs, "UUID-M").await?;
    assert_eq!(world.store.due_groups(world.server, at(3)).await?.len(), 2);
    assert_eq!(world.assign(&macs, "UUID-M", 4).await?.len(), 2);
    Ok(())
}

/// The service sleeps until something is due, no longer.
pub async fn the_next_attempt_is_known(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    assert_eq!(world.store.next_attempt_at(world.server).await?, None);
    world.full(vec![phone("A"), phone("B")], 1).await?;
    assert_eq!(world.store.next_attempt_at(world.server).await?, Some(at(1)));
    world.claim(&revision, 2).await?;
    assert_eq!(world.store.next_attempt_at(world.server).await?, Some(at(302)));
    let throttled = |text: &str, seconds| Settlement {
        next_attempt_at: Some(at(seconds)),
        ..settlement(&serial(text), AssignState::Throttled)
    };
    world.settle(&[throttled("A", 9000), throttled("B", 8000)], 3).await?;
    assert_eq!(world.store.next_attempt_at(world.server).await?, Some(at(8000)));
    world.read_back([phone("A"), phone("B")], 9000).await?;
    world.assign(&revision, "UUID-1", 9000).await?;
    assert_eq!(world.store.next_attempt_at(world.server).await?, None);
    Ok(())
}
