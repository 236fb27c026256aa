//! Rules: what they decide, in what order, for whom; and tags, which they look at.

use std::collections::HashMap;

use adelie_model::{AssignState, OpType, RuleId, RuleName};
use adelie_rules::Scope;
use serde_json::json;

use super::world::{
    World, add_rule, add_server, event, lease, mac, operator, phone, profile_name, rule, serial, serials,
    told,
};
use super::{Case, Failed, Fixture};
use crate::configuration::{Change, NewRule, RulePatch};
use crate::page::{Action, Outcome};
use crate::{DeviceFilter, StoreError};

fn named(name: &str) -> RuleName {
    name.parse().expect("a good rule name")
}

fn rename(name: &str, new: &str) -> Change {
    let patch = RulePatch { rename: Some(named(new)), ..RulePatch::default() };
    Change::SetRule { name: named(name), patch }
}

fn move_to(name: &str, before: Option<&str>) -> Change {
    Change::MoveRule { name: named(name), before: before.map(named) }
}

/// The rules in their order, with their ids.
async fn order(world: &World) -> Result<Vec<(String, RuleId)>, Failed> {
    let rules = world.store.configuration().await?.rules;
    Ok(rules.into_iter().map(|rule| (rule.name.to_string(), rule.id)).collect())
}

/// The id of a rule.
async fn id(world: &World, name: &str) -> Result<RuleId, Failed> {
    let found = order(world).await?.into_iter().find(|(known, _)| known == name);
    Ok(found.expect("the rule is there").1)
}

/// A second MDM server, leased.
async fn another(world: &World) -> Result<World, Failed> {
    let server = add_server(&*world.store, "other").await?;
    let lease = lease(&*world.store, server, "us").await?;
    Ok(World { store: world.store.clone(), server, lease })
}

/// The first rule that matches decides, on pages and anew, and the device says which one it was.
pub async fn a_rule_decides_before_the_defaults(fixture: &dyn Fixture) -> Case {
    let (world, one) = World::with_default(fixture).await?;
    let two = world.profile("two").await?;
    world.configure(&[add_rule(rule("labs", &["serial=LAB*"], "two"))], 1).await?;
    let labs = id(&world, "labs").await?;
    world.full(vec![phone("LAB1"), phone("OFFICE1")], 2).await?;
    let view = world.view("LAB1").await?;
    assert_eq!((view.device.assignment.wanted, view.device.assignment.rule), (Some(two.id), Some(labs)));
    assert_eq!((view.wanted_profile, view.wanted_by), (Some(two.name.clone()), Some(named("labs"))));
    assert_eq!(view.device.assignment.reason, "rule \"labs\"");
    let view = world.view("OFFICE1").await?;
    assert_eq!((view.device.assignment.wanted, view.device.assignment.rule), (Some(one.id), None));
    assert_eq!(world.store.rule_hits().await?, HashMap::from([(labs, 1)]));

    world.configure(&[add_rule(rule("all", &[], "two"))], 3).await?;
    let all = id(&world, "all").await?;
    assert_eq!(world.device("OFFICE1").await?.assignment.rule, Some(all));
    world.configure(&[move_to("all", Some("labs"))], 4).await?;
    let assignment = world.device("LAB1").await?.assignment;
    assert_eq!((assignment.wanted, assignment.rule), (Some(two.id), Some(all)), "the same by another rule");
    assert_eq!(world.store.rule_hits().await?, HashMap::from([(all, 2)]));
    world.assign(&two, "UUID-2", 5).await?;
    assert_eq!(world.device("LAB1").await?.assignment.rule, Some(all), "an answer changes nothing of it");
    world.delta(vec![event(phone("LAB1"), OpType::Deleted, 6)], 6).await?;
    assert_eq!(world.store.rule_hits().await?, HashMap::from([(all, 1)]), "what has left is not counted");

    let remove = Change::RemoveRule { name: named("all") };
    world.store.configure(&[remove], None, &operator(7)).await?;
    let view = world.view("OFFICE1").await?;
    assert_eq!((view.device.assignment.rule, view.wanted_by), (Some(all), None), "until it is decided anew");
    world.decide_all(7).await?;
    let assignment = world.device("OFFICE1").await?.assignment;
    assert_eq!((assignment.wanted, assignment.rule), (Some(one.id), None));
    assert_eq!(world.store.rule_hits().await?, HashMap::new());
    Ok(())
}

/// Names are unique, and may be exchanged or taken over by one set of changes all the same.
pub async fn rules_keep_their_ids_when_they_move_and_exchange_names(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    world.profile("one").await?;
    let add: Vec<_> = ["a", "b", "c"].map(|name| add_rule(rule(name, &["serial=X*"], "one"))).into();
    world.configure(&add, 1).await?;
    let before = order(&world).await?;
    assert_eq!(before.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    let [a, b, c] = [before[0].1, before[1].1, before[2].1];
    let owned = |rules: &[(&str, RuleId)]| -> Vec<(String, RuleId)> {
        rules.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect()
    };
    world.configure(&[rename("a", "x"), rename("b", "a"), rename("x", "b")], 2).await?;
    assert_eq!(order(&world).await?, owned(&[("b", a), ("a", b), ("c", c)]));
    world.configure(&[move_to("b", None), move_to("c", Some("a"))], 3).await?;
    assert_eq!(order(&world).await?, owned(&[("c", c), ("a", b), ("b", a)]));
    let first = NewRule { name: named("c"), ..rule("c", &[], "one") };
    let remove = Change::RemoveRule { name: named("a") };
    let add = Change::AddRule { rule: first, before: Some(named("d")) };
    world.configure(&[remove, rename("b", "a"), rename("c", "d"), add], 4).await?;
    let after = order(&world).await?;
    assert_eq!(after[1..], owned(&[("d", c), ("a", a)]));
    assert_eq!(after[0].0, "c");
    assert!(after[0].1 > c, "ids are not used again");
    let taken = world.store.configure(&[rename("d", "a")], None, &operator(5)).await;
    assert!(matches!(taken, Err(StoreError::Exists { what: "rule", .. })), "{taken:?}");
    assert_eq!(order(&world).await?, after);
    Ok(())
}

/// A rule may be limited to an MDM server; then the others' devices are not even looked at again.
pub async fn a_rule_reaches_as_far_as_its_limit(fixture: &dyn Fixture) -> Case {
    let (world, one) = World::with_default(fixture).await?;
    let two = world.profile("two").await?;
    let other = another(&world).await?;
    world.full(vec![phone("A")], 1).await?;
    other.full(vec![phone("A")], 1).await?;
    let pending = async || {
        let store = &world.store;
        let mut pending = Vec::new();
        for server in [world.server, other.server] {
            pending.push(store.decisions_pending(server).await?);
        }
        world.decide_all(2).await?;
        other.decide_all(2).await?;
        Ok::<_, Failed>(pending)
    };
    let only = world.store.configuration().await?.server(other.server).map(|it| (it.id, it.name.clone()));
    let limited = NewRule { only, ..rule("there", &["serial=*"], "two") };
    world.store.configure(&[add_rule(limited)], None, &operator(2)).await?;
    assert_eq!(pending().await?, [false, true]);
    assert_eq!(world.device("A").await?.assignment.wanted, Some(one.id));
    assert_eq!(other.device("A").await?.assignment.wanted, Some(two.id));
    let stored = world.store.configuration().await?.rules.remove(0);
    assert_eq!(
        stored.only.map(|(id, name)| (id, name.to_string())),
        Some((other.server, "other".to_owned()))
    );

    let free = RulePatch { only: Some(None), ..RulePatch::default() };
    world
        .store
        .configure(&[Change::SetRule { name: named("there"), patch: free }], None, &operator(3))
        .await?;
    assert_eq!(pending().await?, [true, true]);
    assert_eq!(world.device("A").await?.assignment.wanted, Some(two.id));

    // It is work at once.
    for world in [&world, &other] {
        world.assign(&two, "UUID-2", 4).await?;
        world.store.release_lease(&world.lease, &super::world::end(4)).await?;
    }
    let work = async |now| -> Result<usize, Failed> {
        let store = fixture.another().await;
        let claimed = store.claim_due_servers("them", super::world::TTL, super::world::at(now), 9).await?;
        for lease in &claimed {
            store.release_lease(lease, &super::world::end(now)).await?;
        }
        Ok(claimed.len())
    };
    let idle = work(5).await?;
    world.store.configure(&[rename("there", "everywhere")], None, &operator(7)).await?;
    assert_eq!((idle, work(7).await?), (0, 2));
    let nowhere = (adelie_model::ServerId(4711), "nowhere".parse().expect("a good name"));
    let lost = NewRule { only: Some(nowhere), ..rule("lost", &[], "two") };
    let missing = world.store.configure(&[add_rule(lost)], None, &operator(8)).await;
    assert!(matches!(missing, Err(StoreError::Missing { what: "MDM server", .. })), "{missing:?}");
    Ok(())
}

/// Rules are kept ready between pages; another process's change counts all the same.
pub async fn a_rule_of_another_process_decides_the_next_page(fixture: &dyn Fixture) -> Case {
    let (world, one) = World::with_default(fixture).await?;
    let two = world.profile("two").await?;
    let they = fixture.another().await;
    let wanted = async |text: &str| -> Result<_, Failed> { Ok(world.device(text).await?.assignment.wanted) };
    world.full(vec![phone("A1")], 1).await?;
    they.configure(&[add_rule(rule("a", &["serial=A*"], "two"))], None, &operator(2)).await?;
    world.delta(vec![event(phone("A2"), OpType::Added, 3)], 3).await?;
    assert_eq!(wanted("A2").await?, Some(two.id));
    let patch = RulePatch {
        conditions: Some(vec!["serial=B*".parse().expect("a good condition")]),
        ..RulePatch::default()
    };
    they.configure(&[Change::SetRule { name: named("a"), patch }], None, &operator(4)).await?;
    world.delta(vec![event(phone("A3"), OpType::Added, 5), event(phone("B1"), OpType::Added, 5)], 5).await?;
    assert_eq!((wanted("A3").await?, wanted("B1").await?), (Some(one.id), Some(two.id)));
    world.decide_all(6).await?;
    for (text, revision) in [("A1", &one), ("A2", &one), ("B1", &two)] {
        assert_eq!(wanted(text).await?, Some(revision.id), "{text}");
    }
    Ok(())
}

/// What is intended to be sent is decided again when a rule has changed before it is stored.
pub async fn a_rule_changed_meanwhile_decides_intended_pages(fixture: &dyn Fixture) -> Case {
    use adelie_model::{SyncKind, SyncPhase};
    let (world, _) = World::with_default(fixture).await?;
    let two = world.profile("two").await?;
    let run = world.begin(SyncKind::Full, 1).await?;
    let page = world.commit(&run, SyncPhase::Fetch, vec![phone("A"), mac("B")], 1).await?;
    let ahead = crate::SendAhead { verify_at: super::world::at(300) };
    let intended = world.store.intend_pages(&world.lease, vec![page], ahead).await?.expect("all are new");
    let macs = add_rule(rule("macs", &["family=mac"], "two"));
    fixture.another().await.configure(&[macs], None, &operator(2)).await?;
    world
        .store
        .commit_intended(&world.lease, intended, Vec::new(), super::world::at(3), crate::Turn::now())
        .await?;
    let assignment = world.device("B").await?.assignment;
    assert_eq!((assignment.wanted, assignment.rule), (Some(two.id), Some(id(&world, "macs").await?)));
    assert_eq!(world.device("A").await?.assignment.rule, None);
    Ok(())
}

/// Tags are an operator's word about a device: rules decide by them, lists find them, and they outlast its absence.
pub async fn a_tag_decides_and_outlasts_an_absence(fixture: &dyn Fixture) -> Case {
    let (world, one) = World::with_default(fixture).await?;
    let two = world.profile("two").await?;
    world.configure(&[add_rule(rule("labs", &["tag=lab"], "two"))], 1).await?;
    world.full(["A", "B", "C"].map(phone).into(), 2).await?;
    let tag = |text: &str| text.parse().expect("a good tag");
    let operate = async |texts: &[&str], add: &[&str], remove: &[&str], now| {
        let tags = |texts: &[&str]| texts.iter().map(|text| tag(text)).collect();
        let action = Action::Tag { add: tags(add), remove: tags(remove) };
        let serials: Vec<_> = texts.iter().map(|text| serial(text)).collect();
        let answers = world.store.operate(world.server, &serials, &action, &operator(now)).await?;
        Ok::<_, Failed>(answers.into_iter().map(|answer| answer.outcome).collect::<Vec<_>>())
    };
    assert_eq!(operate(&["A", "B"], &["lab", "Raum 7", "it's"], &[], 3).await?, [const { Outcome::Done }; 2]);
    let a = world.device("A").await?;
    assert_eq!(
        (&a.tags[..], a.assignment.wanted),
        (&["Raum 7", "it's", "lab"].map(str::to_owned)[..], Some(two.id))
    );
    assert_eq!(world.device("C").await?.tags, Vec::<String>::new());
    let again = operate(&["A"], &["lab"], &[], 4).await?;
    assert!(matches!(again[..], [Outcome::Unchanged(_)]), "{again:?}");
    operate(&["B"], &[], &["lab", "it's"], 5).await?;
    let b = world.device("B").await?;
    assert_eq!((b.tags, b.assignment.wanted), (vec!["Raum 7".to_owned()], Some(one.id)));

    let listed = async |text: &str| -> Result<Vec<_>, Failed> {
        let filter = DeviceFilter { tag: Some(tag(text)), ..DeviceFilter::default() };
        let found = world.store.devices(&filter, None, 10).await?;
        Ok(found.into_iter().map(|view| view.device.serial).collect())
    };
    assert_eq!(listed("lab").await?, serials(["A"]));
    assert_eq!(listed("Raum 7").await?, serials(["A", "B"]));
    assert_eq!(listed("Raum").await?, []);
    world.delta(vec![event(phone("A"), OpType::Deleted, 6)], 6).await?;
    assert_eq!(world.device("A").await?.tags.len(), 3);
    world.delta(vec![event(phone("A"), OpType::Added, 7)], 7).await?;
    let a = world.device("A").await?;
    assert_eq!((a.tags.len(), a.assignment.wanted, a.assignment.state), (3, Some(two.id), AssignState::Due));
    operate(&["A"], &[], &["lab", "it's", "Raum 7"], 8).await?;
    assert_eq!(world.device("A").await?.tags, Vec::<String>::new());
    let tagged: Vec<_> =
        told(fixture).await.into_iter().filter(|event| event.kind == "device.tagged").collect();
    assert_eq!(tagged.len(), 4);
    let data = json!({ "by": "kim", "tags": ["Raum 7"], "was": ["Raum 7", "it's", "lab"] });
    assert_eq!((tagged[2].serial.as_deref(), &tagged[2].data), (Some("B"), &data));
    Ok(())
}

/// Lists find devices by what they are to have and by the rule that gives it, together with the other filters.
pub async fn devices_are_listed_by_profile_and_by_rule(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    world.profile("two").await?;
    let other = another(&world).await?;
    let macs = world.default(Scope::ALL[0].clone(), "macs").await?;
    world.configure(&[add_rule(rule("labs", &["serial=L*"], "two"))], 1).await?;
    let labs = id(&world, "labs").await?;
    let records = vec![phone("A"), mac("B"), phone("L1"), mac("L2")];
    world.full(records, 2).await?;
    other.full(vec![phone("L3"), phone("Z")], 2).await?;
    let listed = async |filter: DeviceFilter| -> Result<Vec<String>, Failed> {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = world.store.devices(&filter, after.as_ref(), 2).await?;
            let last = page.last().map(|view| &view.device);
            after = last
                .map(|device| crate::DevicePosition { server: device.server, serial: device.serial.clone() });
            let short = page.len() < 2;
            found.extend(page.into_iter().map(|view| view.device.serial.to_string()));
            if short {
                return Ok(found);
            }
        }
    };
    let wanted = |name: &str| DeviceFilter { wanted: Some(profile_name(name)), ..DeviceFilter::default() };
    assert_eq!(listed(wanted("two")).await?, ["L1", "L2", "L3"]);
    assert_eq!(listed(wanted("macs")).await?, ["B"]);
    assert_eq!(listed(wanted("nobody")).await?, Vec::<String>::new());
    let server = Some(world.server);
    assert_eq!(listed(DeviceFilter { server, ..wanted("two") }).await?, ["L1", "L2"]);
    let by_rule = DeviceFilter { rule: Some(labs), ..DeviceFilter::default() };
    assert_eq!(listed(by_rule.clone()).await?, ["L1", "L2", "L3"]);
    let family = Some(adelie_model::DeviceFamily::Mac);
    assert_eq!(listed(DeviceFilter { family, ..by_rule }).await?, ["L2"]);
    assert_eq!(
        listed(DeviceFilter { rule: Some(RuleId(i64::MAX)), ..DeviceFilter::default() }).await?,
        Vec::<String>::new()
    );
    let change = Change::Revise {
        profile: macs.name.clone(),
        seen: None,
        revision: super::world::says("newer"),
        percent: 100,
    };
    world.configure(&[change], 3).await?;
    assert_eq!(listed(wanted("macs")).await?, ["B"], "whatever the revision");
    Ok(())
}
