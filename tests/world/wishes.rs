//! What people want for devices: defaults, a rule, revisions that are rolled out step by step; and which revisions a device
//! may have to have by all that.

use adelie_model::{Device, ProfileName, RevisionId};
use adelie_rules::Scope;
use adelie_store::configuration::{Change, Configuration, NewRevision, NewRule, RollOut, is_among};
use adelie_store::page::Action;
use adelie_store::{ConfigurationError, StoreError};
use serde_json::json;

use crate::operation::{Order, Step};
use crate::world::{World, profile_name, server_id};

/// The only rule there is, and the tag that it looks at.
const RULE: &str = "red";

impl World {
    /// Makes a change of what is wanted. `false` when the order is about something else.
    pub fn wish(&mut self, server: usize, what: &Order) -> bool {
        let change = match what {
            Order::Default(number) => Change::SetDefault {
                server: server_id(server),
                scope: Scope::Any,
                profile: number.map(|number| profile_name(number % 2)),
            },
            Order::Revise { profile, percent } => {
                self.revisions += 1;
                let profile = profile_name(profile % 2);
                let revision = revision(&profile, self.revisions);
                Change::Revise { profile, seen: None, revision, percent: *percent }
            }
            Order::RollOut { profile, step } => {
                let step = match step {
                    Step::Percent(percent) => RollOut::Percent(*percent),
                    Step::Pause => RollOut::Pause,
                    Step::Continue => RollOut::Continue,
                    Step::Abort => RollOut::Abort,
                };
                Change::RollOut { profile: profile_name(profile % 2), step }
            }
            Order::Rule { profile, limited } => self.rule(server, *profile, *limited),
            Order::Mark { which, count, on } => {
                let tag = vec![RULE.parse().expect("a good tag")];
                let (add, remove) = if *on { (tag, Vec::new()) } else { (Vec::new(), tag) };
                self.operate(server, *which, *count, &Action::Tag { add, remove });
                return true;
            }
            _ => return false,
        };
        match self.block_on(self.store.configure(&[change], None, &self.operator())) {
            Ok(_) => self.witness.see("wishes"),
            Err(StoreError::Configuration(ConfigurationError::NothingStaged { .. })) => {}
            Err(error) => panic!("{what:?}: {error}"),
        }
        true
    }

    /// The change by which the rule comes, or goes when it is there.
    fn rule(&self, server: usize, profile: u8, limited: bool) -> Change {
        let name = RULE.parse().expect("a good name");
        let configuration = self.what_is_decided();
        if configuration.rule(&name).is_some() {
            return Change::RemoveRule { name };
        }
        let of_server = configuration.server(server_id(server)).expect("it is there");
        let rule = NewRule {
            name,
            only: limited.then(|| (of_server.id, of_server.name.clone())),
            conditions: vec![format!("tag={RULE}").parse().expect("a good condition")],
            profile: profile_name(profile % 2),
        };
        Change::AddRule { rule, before: None }
    }

    /// What people have decided.
    pub fn what_is_decided(&self) -> Configuration {
        self.block_on(self.store.configuration()).expect("the store answers")
    }
}

/// The revisions that a device may have to have: none without any wish, and two in a pause, which keeps what there is.
pub fn wanted(configuration: &Configuration, server: usize, device: &Device) -> Vec<RevisionId> {
    let here = server_id(server);
    let rule = configuration.rules.iter().find(|rule| {
        rule.only.as_ref().is_none_or(|(only, _)| *only == here) && device.tags.iter().any(|tag| tag == RULE)
    });
    let default = configuration.server(here).and_then(|server| server.defaults.first());
    let profile = rule.map(|rule| &rule.profile).or(default.map(|(_, profile)| profile));
    let Some(head) = profile.and_then(|profile| configuration.profile(profile)) else { return Vec::new() };
    match &head.staged {
        Some(staged) if is_among(&device.serial, head.id, staged.percent) => match staged.paused {
            true => vec![staged.revision.id, head.in_force.id],
            false => vec![staged.revision.id],
        },
        _ => vec![head.in_force.id],
    }
}

/// What a profile says, differently each time.
pub fn revision(name: &ProfileName, number: u32) -> NewRevision {
    let content = json!({
        "profile_name": name.to_string(), "url": "https://mdm.example/enroll", "department": number.to_string(),
    });
    NewRevision {
        content: content.as_object().cloned().unwrap_or_default(),
        content_hash: format!("{number:064x}"),
        ..NewRevision::default()
    }
}
