//! Changes of what people decide: versions, all or none, and several at once.

use std::sync::Arc;

use adelie_model::{DriftMode, ServerId, SyncKind};
use adelie_rules::Scope;

use super::world::{World, add_rule, add_server, at, lease, operator, phone, profile_name, rule, says};
use super::{Case, Failed, Fixture};
use crate::configuration::{
    Change, Changed, Configuration, NewRevision, NewRule, RollOut, RulePatch, Version, edits,
};
use crate::{ConfigurationError, Operator, Store, StoreError, SyncSettings};

fn add_profile(name: &str) -> Change {
    Change::AddProfile { name: profile_name(name), revision: says(name) }
}

/// L32: every change has a version, and it is written who has made it and what it was.
pub async fn a_change_leads_to_the_next_version(fixture: &dyn Fixture) -> Case {
    let store = fixture.store();
    let empty = store.configuration().await?;
    let expected = Configuration {
        version: Version(1),
        profiles: Vec::new(),
        removed: Vec::new(),
        rules: Vec::new(),
        servers: Vec::new(),
    };
    assert_eq!(empty, expected);
    assert_eq!(store.changes(9).await?, []);
    let changes = [add_profile("one"), add_rule(rule("macs", &["family=mac"], "one"))];
    assert_eq!(store.configure(&changes, Some(Version(1)), &operator(5)).await?, Version(2));
    let by = Operator::new("O'Neil", at(6));
    assert_eq!(store.configure(&[add_profile("two")], None, &by).await?, Version(3));
    assert_eq!(store.configure(&[], None, &operator(7)).await?, Version(3), "nothing is no change");
    let same =
        Change::Revise { profile: profile_name("one"), seen: None, revision: says("one"), percent: 100 };
    assert_eq!(store.configure(&[same], None, &operator(7)).await?, Version(3), "nor is the same");
    let told = |version, at, by: &str, lines: &[&str]| Changed {
        version: Version(version),
        at,
        by: by.to_owned(),
        changes: lines.iter().map(|line| (*line).to_owned()).collect(),
    };
    let second = told(3, at(6), "O'Neil", &["add profile two"]);
    let first = told(2, at(5), "kim", &["add profile one", "add rule macs, which gives one"]);
    assert_eq!(store.changes(9).await?, [second.clone(), first]);
    assert_eq!(store.changes(1).await?, [second]);
    assert_eq!(store.configuration().await?.version, Version(3));
    Ok(())
}

/// One change that cannot be made refuses all of them.
pub async fn changes_are_made_all_or_none(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    let before = (world.store.configuration().await?, world.store.changes(9).await?, fixture.events().await);
    let settings = SyncSettings { delta_interval_s: Some(60), ..SyncSettings::default() };
    let good = [
        add_profile("two"),
        add_rule(rule("macs", &["family=mac"], "two")),
        Change::SetDefault { server: world.server, scope: Scope::Any, profile: Some(profile_name("two")) },
        Change::SetSettings { server: world.server, settings },
    ];
    let nobody = ServerId(4711);
    let bad = [
        add_profile("one"),
        add_rule(rule("macs", &[], "one")),
        add_rule(rule("phones", &[], "nothing")),
        Change::RemoveProfile { name: profile_name("one") },
        Change::RemoveProfile { name: profile_name("two") },
        Change::RollOut { profile: profile_name("one"), step: RollOut::Pause },
        Change::SetDefault { server: nobody, scope: Scope::Any, profile: None },
        Change::SetSettings { server: nobody, settings },
        Change::RemoveRule { name: "nothing".parse().expect("a good rule name") },
    ];
    for bad in bad {
        // `one` is a default until the good ones are made.
        let mut changes = good.to_vec();
        if matches!(&bad, Change::RemoveProfile { name } if name.as_str() == "one") {
            changes.truncate(2);
        }
        changes.push(bad.clone());
        let refused = world.store.configure(&changes, None, &operator(5)).await;
        assert!(refused.is_err(), "{bad:?} was made");
        let after =
            (world.store.configuration().await?, world.store.changes(9).await?, fixture.events().await);
        assert_eq!(after, before, "{bad:?}");
        assert!(!world.store.decisions_pending(world.server).await?);
    }
    world.store.configure(&good, None, &operator(5)).await?;
    Ok(())
}

/// Who has shown people what a change would do has it made only if nothing else has changed since.
pub async fn what_was_not_looked_at_is_not_changed(fixture: &dyn Fixture) -> Case {
    let (world, _) = World::with_default(fixture).await?;
    let before = world.store.configuration().await?;
    fixture.another().await.configure(&[add_profile("two")], None, &operator(1)).await?;
    let between = world.store.configuration().await?;
    let change = [add_rule(rule("all", &[], "two"))];
    let moved = world.store.configure(&change, Some(before.version), &operator(2)).await;
    let Err(StoreError::Configuration(ConfigurationError::Moved { expected, found })) = moved else {
        panic!("it was to be refused: {moved:?}");
    };
    assert_eq!((Version(expected), Version(found)), (before.version, between.version));
    assert_eq!(world.store.configuration().await?, between);
    assert!(!world.store.decisions_pending(world.server).await?);
    let version = world.store.configure(&change, Some(between.version), &operator(3)).await?;
    assert_eq!(version, between.version.next());
    Ok(())
}

/// Numbers that look like chance and are the same every time.
struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % sides
    }

    fn maybe<T>(&mut self, value: T) -> Option<T> {
        (self.roll(2) == 0).then_some(value)
    }

    fn profile(&mut self) -> adelie_model::ProfileName {
        profile_name(["a", "b", "c", "d"][self.roll(4)])
    }

    fn rule(&mut self) -> adelie_model::RuleName {
        ["r", "s", "t", "u", "v"][self.roll(5)].parse().expect("a good rule name")
    }

    fn revision(&mut self) -> NewRevision {
        let text = ["x", "y", "z"][self.roll(3)];
        let document = crate::configuration::Document { content: says(text).content, hash: text.to_owned() };
        NewRevision { document: self.maybe(document), ..says(text) }
    }

    /// Any change, sensible or not.
    fn change(&mut self, servers: &[(ServerId, adelie_model::ServerName)]) -> Change {
        let server = servers[self.roll(servers.len())].clone();
        let condition = |number: usize| -> adelie_rules::Condition {
            ["serial=A*", "family=mac", "tag="][number].parse().expect("a good condition")
        };
        match self.roll(14) {
            0 | 1 => Change::AddProfile { name: self.profile(), revision: self.revision() },
            2 | 3 => {
                let (percent, revision) = ([10, 50, 100][self.roll(3)], self.revision());
                Change::Revise { profile: self.profile(), seen: None, revision, percent }
            }
            4 => {
                let steps = [RollOut::Percent(20), RollOut::Percent(100), RollOut::Pause, RollOut::Continue];
                let step = steps.get(self.roll(5)).copied().unwrap_or(RollOut::Abort);
                Change::RollOut { profile: self.profile(), step }
            }
            5 => Change::RemoveProfile { name: self.profile() },
            6 | 7 => {
                let conditions = (0..self.roll(3)).map(|_| condition(self.roll(3))).collect();
                let (name, profile) = (self.rule(), self.profile());
                let rule = NewRule { name, only: self.maybe(server), conditions, profile };
                let before = self.rule();
                Change::AddRule { rule, before: self.maybe(before) }
            }
            8 => {
                let (rename, profile, conditions) =
                    (self.rule(), self.profile(), vec![condition(self.roll(3))]);
                let only = self.maybe(server);
                let patch = RulePatch {
                    rename: self.maybe(rename),
                    profile: self.maybe(profile),
                    only: self.maybe(only),
                    conditions: self.maybe(conditions),
                    ..RulePatch::default()
                };
                Change::SetRule { name: self.rule(), patch }
            }
            9 => {
                let before = self.rule();
                Change::MoveRule { name: self.rule(), before: self.maybe(before) }
            }
            10 => Change::RemoveRule { name: self.rule() },
            11 | 12 => {
                let (scope, profile) = (Scope::ALL[self.roll(3) * 3].clone(), self.profile());
                Change::SetDefault { server: server.0, scope, profile: self.maybe(profile) }
            }
            _ => {
                let (drift, interval) = (self.maybe(DriftMode::Report), self.maybe(60));
                let settings = SyncSettings { drift, delta_interval_s: interval, ..SyncSettings::default() };
                Change::SetSettings { server: server.0, settings }
            }
        }
    }
}

/// What is new has no ids before it is stored; all else must be the same.
fn with_new_ids(mut worked_out: Configuration, stored: &Configuration) -> Configuration {
    worked_out.version = stored.version;
    for (head, stored) in worked_out.profiles.iter_mut().zip(&stored.profiles) {
        if head.id.0 == 0 {
            head.id = stored.id;
        }
        let staged = head.staged.as_mut().map(|staged| &mut staged.revision);
        let stored_staged = stored.staged.as_ref().map(|staged| &staged.revision);
        let staged = staged.zip(stored_staged);
        for (new, stored) in [(&mut head.in_force, &stored.in_force)].into_iter().chain(staged) {
            if new.id.0 < 0 {
                new.id = stored.id;
            }
        }
    }
    for (rule, stored) in worked_out.rules.iter_mut().zip(&stored.rules) {
        if rule.id.0 == 0 {
            rule.id = stored.id;
        }
    }
    worked_out
}

/// Whatever is changed: what is stored is what was worked out, and those MDM servers are decided anew of which it was
/// worked out.
pub async fn stored_configurations_are_what_was_worked_out(fixture: &dyn Fixture) -> Case {
    let store = fixture.store();
    let mut worlds = Vec::new();
    let mut servers = Vec::new();
    for name in ["east", "west", "north"] {
        let server = add_server(&*store, name).await?;
        worlds.push(World { store: store.clone(), server, lease: lease(&*store, server, "us").await? });
        servers.push((server, name.parse().expect("a good server name")));
    }
    let mut dice = Dice(7);
    let (mut made, mut refused) = (0, 0);
    for round in 0..250 {
        let before = store.configuration().await?;
        let changes: Vec<_> = (0..=dice.roll(3)).map(|_| dice.change(&servers)).collect();
        let worked_out = edits(&before, &changes);
        let result = store.configure(&changes, None, &operator(round)).await;
        let after = store.configuration().await?;
        let said = |error: &StoreError| error.to_string();
        let worked_out = match (worked_out, result) {
            (Ok(worked_out), Ok(version)) => {
                assert_eq!(version, after.version);
                worked_out
            }
            (worked_out, result) => {
                let worked_out = worked_out.as_ref().map(drop).map_err(said);
                assert_eq!(result.as_ref().map(drop).map_err(said), worked_out, "{changes:?}");
                assert_eq!(after, before);
                refused += 1;
                continue;
            }
        };
        let expected = if worked_out.is_empty() { before.version } else { before.version.next() };
        assert_eq!(after.version, expected, "{changes:?}");
        assert_eq!(with_new_ids(worked_out.after, &after), after, "{changes:?}");
        let affected = &worked_out.affected;
        for world in &worlds {
            let defaults = &before.server(world.server).expect("it is there").defaults;
            let by_default = defaults.iter().any(|(_, profile)| affected.with_default.contains(profile));
            let expected = affected.all || by_default || affected.servers.contains(&world.server);
            assert_eq!(store.decisions_pending(world.server).await?, expected, "{changes:?}");
            world.decide_all(round).await?;
        }
        made += 1;
    }
    assert!(made > 60 && refused > 60, "{made} made, {refused} refused");
    Ok(())
}

/// Two people at two processes: nothing that either does is lost, and every change has its own version.
pub async fn changes_of_two_processes_are_all_made(fixture: &dyn Fixture) -> Case {
    const EACH: usize = 12;
    let handles = [fixture.store(), fixture.another().await];
    let first = handles[0].configure(&[add_profile("one")], None, &operator(0)).await?;
    let tasks: Vec<_> = handles
        .into_iter()
        .enumerate()
        .map(|(handle, store)| {
            tokio::spawn(async move {
                let mut versions = Vec::new();
                for number in 0..EACH {
                    let new = rule(&format!("{handle}-{number}"), &["serial=X*"], "one");
                    versions.push(store.configure(&[add_rule(new)], None, &operator(1)).await?);
                }
                Ok::<_, StoreError>(versions)
            })
        })
        .collect();
    let mut versions = Vec::new();
    for task in tasks {
        versions.extend(task.await.expect("no panic")?);
    }
    versions.sort();
    let expected: Vec<_> = (1..=2 * EACH as i64).map(|number| Version(first.0 + number)).collect();
    assert_eq!(versions, expected);
    let after = fixture.store().configuration().await?;
    let mut names: Vec<_> = after.rules.iter().map(|rule| rule.name.to_string()).collect();
    for handle in 0..2 {
        let own = names.iter().filter(|name| name.starts_with(&format!("{handle}-")));
        assert!(own.eq((0..EACH).map(|number| format!("{handle}-{number}")).collect::<Vec<_>>().iter()));
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 2 * EACH);
    assert_eq!(fixture.store().changes(100).await?.len(), 2 * EACH + 1);
    Ok(())
}

/// Changes that concern all MDM servers, while pages of them are stored: everybody waits a little, nobody fails, and every
/// device ends up as the last word says.
pub async fn changes_and_pages_take_their_turns(fixture: &dyn Fixture) -> Case {
    const ROUNDS: usize = 15;
    let store = fixture.store();
    store.configure(&[add_profile("one"), add_profile("two")], None, &operator(0)).await?;
    store.configure(&[add_rule(rule("all", &[], "one"))], None, &operator(0)).await?;
    let mut worlds = Vec::new();
    for number in 0..3 {
        let store = fixture.another().await;
        let server = add_server(&*store, &format!("server {number}")).await?;
        let lease = lease(&*store, server, "us").await?;
        worlds.push(Arc::new(World { store, server, lease }));
    }
    let pages = worlds.iter().cloned().map(|world| {
        tokio::spawn(async move {
            let run = world.begin(SyncKind::Full, 1).await?;
            for page in 0..ROUNDS {
                let records = (0..20).map(|device| phone(&format!("P{page}D{device}"))).collect();
                world.fetch_page(&run, records, 2).await?;
                world.store.decide_anew(&world.lease, at(2), 7).await?;
            }
            Ok::<_, Failed>(())
        })
    });
    let pages: Vec<_> = pages.collect();
    let changes = |store: Arc<dyn Store>| {
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                let profile = Some(profile_name(["two", "one"][round % 2]));
                let patch = RulePatch { profile, ..RulePatch::default() };
                let name = "all".parse().expect("a good rule name");
                store.configure(&[Change::SetRule { name, patch }], None, &operator(1)).await?;
            }
            Ok::<_, StoreError>(())
        })
    };
    let changes = [changes(store.clone()), changes(fixture.another().await)];
    for task in changes {
        task.await.expect("no panic")?;
    }
    for task in pages {
        task.await.expect("no panic")?;
    }
    for world in &worlds {
        world.decide_all(3).await?;
    }
    let gives = store.configuration().await?.rules[0].profile.clone();
    let all = worlds[0].all().await?;
    assert_eq!(all.len(), 3 * 20 * ROUNDS);
    let others = all.iter().filter(|view| view.wanted_profile.as_ref() != Some(&gives)).count();
    assert_eq!(others, 0, "devices that another word than the last has decided");
    Ok(())
}
