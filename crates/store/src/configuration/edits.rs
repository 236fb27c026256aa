use std::collections::BTreeSet;

use adelie_model::{ProfileName, RevisionId, RuleId, RuleName, ServerId, ServerName};
use adelie_rules::Scope;

use super::{
    Change, Configuration, Head, NewRevision, NewRule, RevisionRef, RollOut, RulePatch, Staged, StoredRule,
    rule_change,
};
use crate::{ConfigurationError, StoreError, SyncSettings};

/// What a driver has to write for some changes, and what they make of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Edits {
    /// The configuration afterwards. What is new in it has no ids yet: revisions have negative ones, profiles and rules 0.
    pub after: Configuration,
    /// New revisions, in their order; a profile is to be added with the one that has number 1.
    pub revisions: Vec<RevisionEdit>,
    /// Profiles of which another revision is in force or staged than before, or that come or go.
    pub heads: Vec<HeadEdit>,
    /// Rules that come, go, or change.
    pub rules: Vec<RuleEdit>,
    /// Defaults that change.
    pub defaults: Vec<DefaultEdit>,
    /// Sync settings that change.
    pub settings: Vec<(ServerId, SyncSettings)>,
    /// Whose devices are to be decided anew.
    pub affected: Affected,
    /// A line for each change, for people.
    pub lines: Vec<String>,
    /// Those of the lines that are about a profile, with its name.
    pub about_profiles: Vec<(ProfileName, String)>,
    /// Those of the lines that are about rules.
    pub about_rules: Vec<String>,
}

/// A revision to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct RevisionEdit {
    /// The profile.
    pub profile: ProfileName,
    /// The number of the revision.
    pub number: u32,
    /// What it says.
    pub revision: NewRevision,
}

/// Which revisions of a profile are in force and staged from now on, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadEdit {
    /// The profile.
    pub profile: ProfileName,
    /// The revision in force; `None` removes the profile.
    pub in_force: Option<u32>,
    /// The staged revision, its percent, and whether it is paused.
    pub staged: Option<(u32, u8, bool)>,
}

/// What becomes of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleEdit {
    /// It is new, at this place.
    Insert {
        /// Its place, from 0.
        place: usize,
        /// The rule.
        rule: StoredRule,
    },
    /// It changes, or stands at another place.
    Update {
        /// Its place, from 0.
        place: usize,
        /// The rule.
        rule: StoredRule,
    },
    /// It goes.
    Delete(RuleId),
}

/// A default that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultEdit {
    /// The MDM server.
    pub server: ServerId,
    /// For which devices.
    pub scope: Scope,
    /// The profile; `None` takes the default away.
    pub profile: Option<ProfileName>,
}

/// The MDM servers whose devices may be decided otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affected {
    /// All of them, because a rule for all of them is concerned.
    pub all: bool,
    /// These.
    pub servers: BTreeSet<ServerId>,
    /// Those that have one of these profiles as a default.
    pub with_default: BTreeSet<ProfileName>,
}

/// The MDM servers that [`edits`] must see in a configuration for some changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needed {
    /// These.
    pub servers: BTreeSet<ServerId>,
    /// Those that have one of these profiles as a default.
    pub with_default: BTreeSet<ProfileName>,
}

impl Needed {
    /// What these changes need.
    #[must_use]
    pub fn by(changes: &[Change]) -> Self {
        let mut needed = Self::default();
        for change in changes {
            match change {
                Change::SetDefault { server, .. } | Change::SetSettings { server, .. } => {
                    needed.servers.insert(*server);
                }
                Change::AddRule { rule: NewRule { only, .. }, .. }
                | Change::SetRule { patch: RulePatch { only: Some(only), .. }, .. } => {
                    needed.servers.extend(only.iter().map(|(server, _)| *server));
                }
                Change::RemoveProfile { name } => {
                    needed.with_default.insert(name.clone());
                }
                _ => {}
            }
        }
        needed
    }
}

impl Edits {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.revisions.is_empty()
            && self.heads.is_empty()
            && self.rules.is_empty()
            && self.defaults.is_empty()
            && self.settings.is_empty()
    }
}

/// Works out changes, one after the other.
///
/// # Errors
/// `Exists`, `Missing`, or `Configuration` with what cannot be done, and why.
pub fn edits(before: &Configuration, changes: &[Change]) -> Result<Edits, StoreError> {
    let mut work = Work {
        after: before.clone(),
        revisions: Vec::new(),
        defaults: Vec::new(),
        settings: Vec::new(),
        affected: Affected::default(),
        lines: Vec::new(),
        about_profiles: Vec::new(),
        about_rules: Vec::new(),
    };
    for change in changes {
        work.make(change)?;
    }
    let heads = heads(before, &work.after);
    let rules = rules(before, &work.after);
    work.affect_by_rules(before, &heads, &rules);
    let Work { after, revisions, defaults, settings, affected, lines, about_profiles, about_rules } = work;
    Ok(Edits {
        after,
        revisions,
        heads,
        rules,
        defaults,
        settings,
        affected,
        lines,
        about_profiles,
        about_rules,
    })
}

struct Work {
    after: Configuration,
    revisions: Vec<RevisionEdit>,
    defaults: Vec<DefaultEdit>,
    settings: Vec<(ServerId, SyncSettings)>,
    affected: Affected,
    lines: Vec<String>,
    about_profiles: Vec<(ProfileName, String)>,
    about_rules: Vec<String>,
}

impl Work {
    fn tell_of_profile(&mut self, name: &ProfileName, line: String) {
        self.about_profiles.push((name.clone(), line.clone()));
        self.lines.push(line);
    }

    fn tell_of_rules(&mut self, line: String) {
        self.about_rules.push(line.clone());
        self.lines.push(line);
    }

    fn make(&mut self, change: &Change) -> Result<(), StoreError> {
        match change {
            Change::AddProfile { name, revision } => self.add_profile(name, revision),
            Change::Revise { profile, seen, revision, percent } => {
                self.revise(profile, *seen, revision, *percent)
            }
            Change::RollOut { profile, step } => self.roll_out(profile, *step),
            Change::RemoveProfile { name } => self.remove_profile(name),
            Change::AddRule { rule, before } => {
                self.free_rule(&rule.name)?;
                self.has_profile(&rule.profile)?;
                self.has_server(rule.only.as_ref())?;
                let rule = StoredRule {
                    id: RuleId(0),
                    name: rule.name.clone(),
                    only: rule.only.clone(),
                    conditions: rule.conditions.clone(),
                    profile: rule.profile.clone(),
                };
                self.tell_of_rules(format!("add rule {}, which gives {}", rule.name, rule.profile));
                self.put(rule, before.as_ref())
            }
            Change::SetRule { name, patch } => {
                let at = self.rule_at(name)?;
                if let Some(new) = patch.rename.as_ref().filter(|new| *new != name) {
                    self.free_rule(new)?;
                }
                if let Some(profile) = &patch.profile {
                    self.has_profile(profile)?;
                }
                if let Some(only) = &patch.only {
                    self.has_server(only.as_ref())?;
                }
                let rule = &mut self.after.rules[at];
                let was = rule.clone();
                rule_change::patch(rule, patch)?;
                if let Some(new) = &patch.rename {
                    rule.name = new.clone();
                }
                if *rule != was {
                    self.tell_of_rules(format!("change rule {name}"));
                }
                Ok(())
            }
            Change::MoveRule { name, before } => {
                let at = self.rule_at(name)?;
                let follower = self.after.rules.get(at + 1).map(|rule| &rule.name);
                if before.as_ref() == Some(name) || before.as_ref() == follower {
                    return Ok(());
                }
                let rule = self.after.rules.remove(at);
                self.tell_of_rules(match before {
                    Some(before) => format!("move rule {name} before {before}"),
                    None => format!("move rule {name} to the end"),
                });
                self.put(rule, before.as_ref())
            }
            Change::RemoveRule { name } => {
                let at = self.rule_at(name)?;
                self.after.rules.remove(at);
                self.tell_of_rules(format!("remove rule {name}"));
                Ok(())
            }
            Change::SetDefault { server, scope, profile } => {
                self.set_default(*server, scope, profile.as_ref())
            }
            Change::SetSettings { server, settings } => self.set_settings(*server, settings),
        }
    }

    fn add_profile(&mut self, name: &ProfileName, revision: &NewRevision) -> Result<(), StoreError> {
        if self.after.profile(name).is_some() {
            return Err(StoreError::Exists { what: "profile", name: name.to_string() });
        }
        let removed = self.after.removed.iter().position(|(removed, _)| removed == name);
        let number = removed.map_or(0, |at| self.after.removed.remove(at).1) + 1;
        let in_force = self.stored(name, number, revision);
        self.after.profiles.push(Head {
            id: adelie_model::ProfileId(0),
            name: name.clone(),
            newest: number,
            in_force,
            staged: None,
        });
        self.after.profiles.sort_by(|a, b| a.name.cmp(&b.name));
        self.tell_of_profile(name, format!("add profile {name}"));
        Ok(())
    }

    fn revise(
        &mut self,
        name: &ProfileName,
        seen: Option<u32>,
        revision: &NewRevision,
        percent: u8,
    ) -> Result<(), StoreError> {
        percent_is_good(percent)?;
        let head = self.head(name)?;
        if let Some(seen) = seen.filter(|seen| *seen != head.newest) {
            return Err(ConfigurationError::Stale { profile: name.clone(), seen, newest: head.newest }.into());
        }
        if head.staged.is_none() && head.in_force.hash == revision.hash() {
            return Ok(());
        }
        head.newest += 1;
        let number = head.newest;
        let new = self.stored(name, number, revision);
        let head = self.head(name)?;
        if percent == 100 {
            head.in_force = new;
            head.staged = None;
            self.tell_of_profile(name, format!("put revision {number} of profile {name} in force"));
        } else {
            head.staged = Some(Staged { revision: new, percent, paused: false });
            let line = format!("give revision {number} of profile {name} to {percent} % of its devices");
            self.tell_of_profile(name, line);
        }
        Ok(())
    }

    fn roll_out(&mut self, name: &ProfileName, step: RollOut) -> Result<(), StoreError> {
        let head = self.head(name)?;
        let Some(staged) = &mut head.staged else {
            return Err(ConfigurationError::NothingStaged { profile: name.clone() }.into());
        };
        let number = staged.revision.number;
        let line = match step {
            RollOut::Percent(percent) => {
                percent_is_good(percent)?;
                if percent == 100 {
                    head.in_force = staged.revision.clone();
                    head.staged = None;
                    format!("put revision {number} of profile {name} in force")
                } else if staged.percent == percent && !staged.paused {
                    return Ok(());
                } else {
                    (staged.percent, staged.paused) = (percent, false);
                    format!("give revision {number} of profile {name} to {percent} % of its devices")
                }
            }
            RollOut::Pause if staged.paused => return Ok(()),
            RollOut::Continue if !staged.paused => return Ok(()),
            RollOut::Pause => {
                staged.paused = true;
                format!("pause the roll-out of revision {number} of profile {name}")
            }
            RollOut::Continue => {
                staged.paused = false;
                format!("go on with the roll-out of revision {number} of profile {name}")
            }
            RollOut::Abort => {
                head.staged = None;
                format!("take revision {number} of profile {name} back from all devices")
            }
        };
        self.tell_of_profile(name, line);
        Ok(())
    }

    fn remove_profile(&mut self, name: &ProfileName) -> Result<(), StoreError> {
        let newest = self.head(name)?.newest;
        let rules = self.after.rules.iter().filter(|rule| rule.profile == *name);
        let mut users: Vec<String> = rules.map(|rule| format!("rule {}", rule.name)).collect();
        users.extend(
            self.after
                .servers
                .iter()
                .filter(|server| server.defaults.iter().any(|(_, profile)| profile == name))
                .map(|server| format!("MDM server {}", server.name)),
        );
        if !users.is_empty() {
            return Err(ConfigurationError::InUse { profile: name.clone(), by: users }.into());
        }
        self.after.profiles.retain(|head| head.name != *name);
        self.after.removed.push((name.clone(), newest));
        self.after.removed.sort();
        self.tell_of_profile(name, format!("remove profile {name}"));
        Ok(())
    }

    fn set_default(
        &mut self,
        server: ServerId,
        scope: &Scope,
        profile: Option<&ProfileName>,
    ) -> Result<(), StoreError> {
        if let Some(profile) = profile {
            self.has_profile(profile)?;
        }
        let known = self.server(server)?;
        let was = known.defaults.iter().position(|(known, _)| known == scope);
        match (was, profile) {
            (Some(at), Some(profile)) if known.defaults[at].1 == *profile => return Ok(()),
            (None, None) => return Ok(()),
            (Some(at), None) => drop(known.defaults.remove(at)),
            (Some(at), Some(profile)) => known.defaults[at].1 = profile.clone(),
            (None, Some(profile)) => known.defaults.push((scope.clone(), profile.clone())),
        }
        known.defaults.sort_by(|(a, _), (b, _)| a.order().cmp(&b.order()));
        let line = match profile {
            Some(profile) => format!("make {profile} the default for {scope} at {}", known.name),
            None => format!("take the default for {scope} away at {}", known.name),
        };
        self.lines.push(line);
        self.defaults.retain(|edit| (edit.server, &edit.scope) != (server, scope));
        self.defaults.push(DefaultEdit { server, scope: scope.clone(), profile: profile.cloned() });
        self.affected.servers.insert(server);
        Ok(())
    }

    fn set_settings(&mut self, server: ServerId, settings: &SyncSettings) -> Result<(), StoreError> {
        let known = self.server(server)?;
        if known.settings == *settings {
            return Ok(());
        }
        let drift = known.settings.drift.unwrap_or_default() != settings.drift.unwrap_or_default();
        known.settings = *settings;
        let line = format!("change the settings of {}", known.name);
        self.lines.push(line);
        if drift {
            self.affected.servers.insert(server);
        }
        self.settings.retain(|(known, _)| *known != server);
        self.settings.push((server, *settings));
        Ok(())
    }

    /// Notes a revision to be stored, and says what to call it until then.
    fn stored(&mut self, profile: &ProfileName, number: u32, revision: &NewRevision) -> RevisionRef {
        let edit = RevisionEdit { profile: profile.clone(), number, revision: revision.clone() };
        self.revisions.push(edit);
        let place = i64::try_from(self.revisions.len()).unwrap_or(i64::MAX);
        RevisionRef { id: RevisionId(-place), number, hash: revision.hash() }
    }

    /// Puts a rule before another, or at the end.
    fn put(&mut self, rule: StoredRule, before: Option<&RuleName>) -> Result<(), StoreError> {
        let at = match before {
            Some(before) => self.rule_at(before)?,
            None => self.after.rules.len(),
        };
        self.after.rules.insert(at, rule);
        Ok(())
    }

    fn head(&mut self, name: &ProfileName) -> Result<&mut Head, StoreError> {
        let head = self.after.profiles.iter_mut().find(|head| head.name == *name);
        head.ok_or_else(|| no_profile(name))
    }

    fn has_profile(&self, name: &ProfileName) -> Result<(), StoreError> {
        self.after.profile(name).map(drop).ok_or_else(|| no_profile(name))
    }

    fn server(&mut self, id: ServerId) -> Result<&mut super::ServerConfiguration, StoreError> {
        let server = self.after.servers.iter_mut().find(|server| server.id == id);
        server.ok_or_else(|| StoreError::no_server(id))
    }

    fn has_server(&mut self, only: Option<&(ServerId, ServerName)>) -> Result<(), StoreError> {
        only.map_or(Ok(()), |(id, _)| self.server(*id).map(drop))
    }

    fn rule_at(&self, name: &RuleName) -> Result<usize, StoreError> {
        let at = self.after.rules.iter().position(|rule| rule.name == *name);
        at.ok_or_else(|| StoreError::Missing { what: "rule", name: name.to_string() })
    }

    fn free_rule(&self, name: &RuleName) -> Result<(), StoreError> {
        match self.after.rule(name) {
            Some(_) => Err(StoreError::Exists { what: "rule", name: name.to_string() }),
            None => Ok(()),
        }
    }

    /// A rule decides otherwise when it or its profile changes, and reaches as far as its limit.
    fn affect_by_rules(&mut self, before: &Configuration, heads: &[HeadEdit], edits: &[RuleEdit]) {
        let mut affect = |rule: &StoredRule| match &rule.only {
            Some((server, _)) => drop(self.affected.servers.insert(*server)),
            None => self.affected.all = true,
        };
        for edit in edits {
            match edit {
                RuleEdit::Insert { rule, .. } => affect(rule),
                RuleEdit::Update { rule, .. } => {
                    affect(rule);
                    before.rules.iter().filter(|was| was.id == rule.id).for_each(&mut affect);
                }
                RuleEdit::Delete(id) => before.rules.iter().filter(|was| was.id == *id).for_each(&mut affect),
            }
        }
        for head in heads.iter().filter(|head| before.profile(&head.profile).is_some()) {
            before.rules.iter().filter(|rule| rule.profile == head.profile).for_each(&mut affect);
            self.affected.with_default.insert(head.profile.clone());
        }
    }
}

fn no_profile(name: &ProfileName) -> StoreError {
    StoreError::Missing { what: "profile", name: name.to_string() }
}

fn percent_is_good(percent: u8) -> Result<(), ConfigurationError> {
    match percent {
        1..=100 => Ok(()),
        _ => Err(ConfigurationError::Percent(percent)),
    }
}

fn heads(before: &Configuration, after: &Configuration) -> Vec<HeadEdit> {
    let changed = after.profiles.iter().filter(|head| before.profile(&head.name) != Some(head));
    let changed = changed.map(|head| HeadEdit {
        profile: head.name.clone(),
        in_force: Some(head.in_force.number),
        staged: head.staged.as_ref().map(|staged| (staged.revision.number, staged.percent, staged.paused)),
    });
    // Not those of `before` that `after` has no more: one may come and go by the same changes, and stays as removed.
    let gone = after.removed.iter().filter(|removed| !before.removed.contains(removed));
    let gone = gone.map(|(name, _)| HeadEdit { profile: name.clone(), in_force: None, staged: None });
    changed.chain(gone).collect()
}

fn rules(before: &Configuration, after: &Configuration) -> Vec<RuleEdit> {
    let gone = before.rules.iter().filter(|was| !after.rules.iter().any(|rule| rule.id == was.id));
    let mut edits: Vec<RuleEdit> = gone.map(|was| RuleEdit::Delete(was.id)).collect();
    for (place, rule) in after.rules.iter().enumerate() {
        let rule = rule.clone();
        let was = before.rules.iter().position(|was| was.id == rule.id);
        match was {
            None => edits.push(RuleEdit::Insert { place, rule }),
            Some(was) if was != place || before.rules[was] != rule => {
                edits.push(RuleEdit::Update { place, rule });
            }
            Some(_) => {}
        }
    }
    edits
}
