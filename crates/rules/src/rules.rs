use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use adelie_model::RevisionId;
use serde::Serialize;

use crate::facts::Facts;
use crate::matcher::Matcher;
use crate::set::WIDTH;
use crate::table::Table;
use crate::{Defaults, Rule, Subject};

/// Rules in their order, and the [`Defaults`] for the devices that no rule matches. The first rule that matches
/// decides.
///
/// Made ready once for any number of devices. A clone is cheap: it shares the rules.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub(crate) entries: Arc<[Entry]>,
    tables: Arc<[Table]>,
    defaults: Defaults,
}

/// What a device is to have, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ruling<'r> {
    /// The revision that it is to have; `None` when nothing gives it one.
    pub wanted: Option<RevisionId>,
    /// The place of the rule that has decided, counted from 0; `None` when it was a default, or nothing.
    pub rule: Option<usize>,
    /// Why, for people: `rule "labs"`, or what [`Defaults::decide`] says. Borrowed, as far as that can be.
    pub because: Cow<'r, str>,
}

/// A rule, and what is made of it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) rule: Rule,
    because: String,
    /// Made when somebody first asks for an explanation or for findings: the decision needs the tables only.
    matchers: OnceLock<Vec<Matcher>>,
}

impl Entry {
    fn new(rule: Rule) -> Self {
        Self { because: format!("rule \"{}\"", rule.name), rule, matchers: OnceLock::new() }
    }

    /// The rule's conditions, in their order.
    pub(crate) fn matchers(&self) -> &[Matcher] {
        self.matchers.get_or_init(|| self.rule.conditions.iter().map(Matcher::new).collect())
    }
}

impl Rules {
    /// These rules in this order, and these defaults behind them.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = Rule>, defaults: Defaults) -> Self {
        let entries: Arc<[Entry]> = rules.into_iter().map(Entry::new).collect();
        Self { tables: Table::all(entries.iter().map(|entry| &entry.rule)).into(), entries, defaults }
    }

    /// The same rules with the defaults of another MDM server.
    #[must_use]
    pub fn with_defaults(&self, defaults: Defaults) -> Self {
        Self { defaults, ..self.clone() }
    }

    /// The rules, in their order.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.entries.iter().map(|entry| &entry.rule)
    }

    /// What decides for the devices that no rule matches.
    #[must_use]
    pub fn defaults(&self) -> &Defaults {
        &self.defaults
    }

    /// What this device is to have.
    #[must_use]
    pub fn decide(&self, subject: &Subject<'_>) -> Ruling<'_> {
        let mut facts = Facts::new(subject);
        let first = self
            .tables
            .iter()
            .zip((0..).step_by(WIDTH))
            .find_map(|(table, start)| Some(start + table.first(&mut facts)?));
        self.ruling(first, subject)
    }

    /// The ruling of the rule at this place, or of the defaults.
    pub(crate) fn ruling(&self, rule: Option<usize>, subject: &Subject<'_>) -> Ruling<'_> {
        match rule.and_then(|at| self.entries.get(at)) {
            Some(entry) => {
                Ruling { wanted: Some(entry.rule.gives), rule, because: Cow::Borrowed(&entry.because) }
            }
            None => {
                let decision = self.defaults.decide(subject.family);
                Ruling { wanted: decision.wanted, rule: None, because: decision.because }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scope;
    use crate::fixture::{self, Sample};

    #[test]
    fn the_first_rule_that_matches_decides_and_then_the_defaults() {
        let rules = Rules::new(
            [
                fixture::rule("labs", &["family=mac", "tag=LAB-?"], 1),
                fixture::rule("macs", &["family=mac"], 2),
                fixture::rule("phones", &["family=iphone"], 3),
            ],
            Defaults::new([(Scope::Any, RevisionId(9))]),
        );
        let mut device = Sample::default();
        let decided = |device: &Sample| {
            let ruling = rules.decide(&device.subject());
            assert!(matches!(ruling.because, Cow::Borrowed(_)), "nothing is allocated for a reason");
            (ruling.wanted, ruling.rule, ruling.because.into_owned())
        };
        assert_eq!(decided(&device), (Some(RevisionId(1)), Some(0), "rule \"labs\"".to_owned()));
        device.tags.clear();
        assert_eq!(decided(&device), (Some(RevisionId(2)), Some(1), "rule \"macs\"".to_owned()));
        device.family = None;
        assert_eq!(decided(&device), (Some(RevisionId(9)), None, "default for any family".to_owned()));

        let bare = rules.with_defaults(Defaults::default());
        assert_eq!(bare.decide(&device.subject()).wanted, None);
        assert_eq!(bare.rules().len(), 3);
    }

    #[test]
    fn more_rules_than_one_table_holds_keep_their_order() {
        let serials = |at: usize| format!("serial=X{at},Y*");
        let rules = (0..600).map(|at| fixture::rule(&format!("r{at}"), &[&serials(at)], 1));
        let rules = Rules::new(rules, Defaults::default());
        for (serial, place) in [("x0", 0), ("X255", 255), ("X256", 256), ("X599", 599), ("Y", 0)] {
            let device = Sample { serial: fixture::serial(serial), ..Sample::default() };
            assert_eq!(rules.decide(&device.subject()).rule, Some(place), "{serial}");
        }
    }
}
