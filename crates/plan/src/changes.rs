use adelie_model::{ProfileName, RuleName, ServerId, ServerName};
use adelie_rules::Scope;
use adelie_store::SyncSettings;
use adelie_store::configuration::{
    Change, Configuration, NewRule, RulePatch, ServerConfiguration, StoredRule,
};

use crate::{Problem, Wanted, WantedProfile, WantedRule, WantedServer, order};

/// Whether what a folder does not name is taken away: profiles and rules beside those in it, and defaults and settings of
/// the MDM servers in it. Where a folder says nothing at all, like without `rules.toml`, nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prune {
    /// It stays.
    No,
    /// It goes.
    Yes,
}

/// The changes that lead from what is decided now to what is wanted; none when it is so already.
///
/// # Errors
/// Names in the folder that nothing stands behind.
pub fn changes(now: &Configuration, wanted: &Wanted, prune: Prune) -> Result<Vec<Change>, Vec<Problem>> {
    let problems = unknown_names(now, wanted);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut changes = Vec::new();
    // First what others need, last what nobody needs any more.
    for profile in wanted.profiles.iter().flatten() {
        changes.extend(profile_change(now, profile));
    }
    if let Some(rules) = &wanted.rules {
        rule_changes(now, rules, prune, &mut changes);
    }
    for server in &wanted.servers {
        if let Some(known) = now.servers.iter().find(|known| known.name == server.name) {
            server_changes(known, server, prune, &mut changes);
        }
    }
    if prune == Prune::Yes {
        changes
            .extend(unnamed_profiles(now, wanted).map(|name| Change::RemoveProfile { name: name.clone() }));
    }
    Ok(changes)
}

/// What stays although the folder does not name it, for people: what [`Prune::Yes`] would take away.
#[must_use]
pub fn left_alone(now: &Configuration, wanted: &Wanted) -> Vec<String> {
    let mut left: Vec<String> = unnamed_profiles(now, wanted).map(|name| format!("profile {name}")).collect();
    if let Some(rules) = &wanted.rules {
        let unnamed = now.rules.iter().filter(|known| !rules.iter().any(|rule| rule.name == known.name));
        left.extend(unnamed.map(|rule| format!("rule {}", rule.name)));
    }
    for server in &wanted.servers {
        let Some(known) = now.servers.iter().find(|known| known.name == server.name) else { continue };
        for (scope, profile) in unnamed_defaults(known, server) {
            left.push(format!("default {scope}={profile} at {}", known.name));
        }
        if let Some(settings) = &server.settings
            && laid_over(&known.settings, settings) != *settings
        {
            left.push(format!("settings of {}", known.name));
        }
    }
    left
}

fn profile_change(now: &Configuration, wanted: &WantedProfile) -> Option<Change> {
    let WantedProfile { name, revision } = wanted.clone();
    let Some(head) = now.profile(&name) else {
        return Some(Change::AddProfile { name, revision });
    };
    let hash = revision.hash();
    // A revision that is being rolled out goes on, whether the folder has it or what is in force: its author decides
    // when it is in force, and an export in the middle of a roll-out leads to no change.
    let staged = head.staged.as_ref().is_some_and(|staged| staged.revision.hash == hash);
    if staged || head.in_force.hash == hash {
        return None;
    }
    Some(Change::Revise { profile: name, seen: Some(head.newest), revision, percent: 100 })
}

fn unnamed_profiles<'n>(now: &'n Configuration, wanted: &'n Wanted) -> impl Iterator<Item = &'n ProfileName> {
    let profiles = wanted.profiles.as_deref();
    now.profiles.iter().map(|head| &head.name).filter(move |name| {
        profiles.is_some_and(|profiles| !profiles.iter().any(|profile| profile.name == **name))
    })
}

fn rule_changes(now: &Configuration, wanted: &[WantedRule], prune: Prune, changes: &mut Vec<Change>) {
    let known: Vec<&str> = now.rules.iter().map(|rule| rule.name.as_str()).collect();
    let named: Vec<&str> = wanted.iter().map(|rule| rule.name.as_str()).collect();
    let target = order::target(&known, &named, prune == Prune::No);
    let staying = order::staying(&known, &target);
    for rule in now.rules.iter().filter(|rule| !target.contains(&rule.name.as_str())) {
        changes.push(Change::RemoveRule { name: rule.name.clone() });
    }
    // From the end, so that the one that a rule is to stand before is always in its place already.
    let mut before: Option<RuleName> = None;
    for name in target.into_iter().rev() {
        let wanted = wanted.iter().find(|rule| rule.name.as_str() == name);
        let known = now.rules.iter().find(|rule| rule.name.as_str() == name);
        match (known, wanted) {
            (None, Some(rule)) => {
                changes.push(Change::AddRule { rule: new_rule(now, rule), before: before.take() });
            }
            (Some(known), wanted) => {
                if !staying.contains(&name) {
                    changes.push(Change::MoveRule { name: known.name.clone(), before: before.take() });
                }
                changes.extend(wanted.and_then(|wanted| rule_change(now, known, wanted)));
            }
            (None, None) => {}
        }
        before = known.map(|known| known.name.clone()).or(wanted.map(|wanted| wanted.name.clone()));
    }
}

fn rule_change(now: &Configuration, known: &StoredRule, wanted: &WantedRule) -> Option<Change> {
    let only = only(now, wanted);
    let patch = RulePatch {
        profile: (known.profile != wanted.profile).then(|| wanted.profile.clone()),
        only: (known.only.as_ref().map(|(id, _)| id) != only.as_ref().map(|(id, _)| id)).then_some(only),
        conditions: (known.conditions != wanted.conditions).then(|| wanted.conditions.clone()),
        ..RulePatch::default()
    };
    (patch != RulePatch::default()).then(|| Change::SetRule { name: known.name.clone(), patch })
}

fn new_rule(now: &Configuration, wanted: &WantedRule) -> NewRule {
    NewRule {
        name: wanted.name.clone(),
        only: only(now, wanted),
        conditions: wanted.conditions.clone(),
        profile: wanted.profile.clone(),
    }
}

fn only(now: &Configuration, wanted: &WantedRule) -> Option<(ServerId, ServerName)> {
    let name = wanted.server.as_ref()?;
    let server = now.servers.iter().find(|server| server.name == *name)?;
    Some((server.id, server.name.clone()))
}

fn server_changes(
    known: &ServerConfiguration,
    wanted: &WantedServer,
    prune: Prune,
    changes: &mut Vec<Change>,
) {
    for (scope, profile) in wanted.defaults.iter().flatten() {
        if !known.defaults.contains(&(scope.clone(), profile.clone())) {
            let (scope, profile) = (scope.clone(), Some(profile.clone()));
            changes.push(Change::SetDefault { server: known.id, scope, profile });
        }
    }
    if prune == Prune::Yes {
        changes.extend(unnamed_defaults(known, wanted).map(|(scope, _)| Change::SetDefault {
            server: known.id,
            scope: scope.clone(),
            profile: None,
        }));
    }
    if let Some(settings) = &wanted.settings {
        let settings = match prune {
            Prune::Yes => *settings,
            Prune::No => laid_over(&known.settings, settings),
        };
        if settings != known.settings {
            changes.push(Change::SetSettings { server: known.id, settings });
        }
    }
}

fn unnamed_defaults<'n>(
    known: &'n ServerConfiguration,
    wanted: &'n WantedServer,
) -> impl Iterator<Item = &'n (Scope, ProfileName)> {
    let named = wanted.defaults.as_deref();
    known
        .defaults
        .iter()
        .filter(move |(scope, _)| named.is_some_and(|named| !named.iter().any(|(other, _)| other == scope)))
}

/// The settings with those of another that it has.
fn laid_over(settings: &SyncSettings, wanted: &SyncSettings) -> SyncSettings {
    SyncSettings {
        delta_interval_s: wanted.delta_interval_s.or(settings.delta_interval_s),
        full_interval_s: wanted.full_interval_s.or(settings.full_interval_s),
        manual_interval_s: wanted.manual_interval_s.or(settings.manual_interval_s),
        manual_full_interval_s: wanted.manual_full_interval_s.or(settings.manual_full_interval_s),
        progress_deadline_s: wanted.progress_deadline_s.or(settings.progress_deadline_s),
        removal_percent: wanted.removal_percent.or(settings.removal_percent),
        tombstone_days: wanted.tombstone_days.or(settings.tombstone_days),
        drift: wanted.drift.or(settings.drift),
    }
}

/// Profiles and MDM servers that are named and are neither there nor in the folder.
fn unknown_names(now: &Configuration, wanted: &Wanted) -> Vec<Problem> {
    let mut problems = Vec::new();
    let has_profile = |name: &ProfileName| {
        now.profile(name).is_some() || wanted.profiles.iter().flatten().any(|profile| profile.name == *name)
    };
    let no_profile = |name: &ProfileName| {
        format!("there is no profile {name}: add profiles/{name}.toml, or mend the name")
    };
    let has_server = |name: &ServerName| now.servers.iter().any(|server| server.name == *name);
    let no_server = |name: &ServerName| {
        format!(
            "there is no MDM server {name}: a folder cannot make one, because it needs a token; add it with \
             `adelie server add {name}`"
        )
    };
    for rule in wanted.rules.iter().flatten() {
        if !has_profile(&rule.profile) {
            problems
                .push(Problem::new("rules", format!("rule {}: {}", rule.name, no_profile(&rule.profile))));
        }
        if let Some(server) = rule.server.as_ref().filter(|server| !has_server(server)) {
            problems.push(Problem::new("rules", format!("rule {}: {}", rule.name, no_server(server))));
        }
    }
    for server in &wanted.servers {
        if !has_server(&server.name) {
            problems.push(Problem::new("servers", no_server(&server.name)));
        }
        for (_, profile) in server.defaults.iter().flatten() {
            if !has_profile(profile) {
                problems.push(Problem::new("servers", format!("{}: {}", server.name, no_profile(profile))));
            }
        }
    }
    problems
}
