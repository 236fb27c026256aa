use std::fmt;

use adelie_model::{RuleName, ServerName};
use serde::Serialize;

use crate::facts::Facts;
use crate::listing::{first_few, listing};
use crate::rules::Entry;
use crate::{Condition, Field, Rules, Ruling, Subject};

/// Why a device is to have what it is to have: what each rule says of it, and what has decided.
///
/// `Display` writes a line for each rule, and a last one for the ruling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation<'r> {
    /// Every rule, in order.
    pub steps: Vec<Step<'r>>,
    /// What has decided; the same that [`Rules::decide`] says.
    pub ruling: Ruling<'r>,
}

/// What one rule says of the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step<'r> {
    /// The rule.
    pub rule: &'r RuleName,
    /// What it says.
    #[serde(flatten)]
    pub outcome: Outcome<'r>,
}

/// What a rule says of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome<'r> {
    /// It is the first one that matches: it decides.
    Matched,
    /// It is for devices at another MDM server.
    OtherServer {
        /// The one that it is for.
        only: &'r ServerName,
        /// The one that the device is at.
        device_at: String,
    },
    /// A condition does not hold.
    NotMet(NotMet),
    /// A rule before it matched, so it was not looked at.
    NotReached {
        /// The rule that matched.
        matched: &'r RuleName,
    },
}

/// The first condition of a rule that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotMet {
    /// What it looks at.
    pub field: Field,
    /// What the device has there: nothing, one value, or for tags any number of them.
    pub has: Vec<String>,
    /// The first patterns of the condition; none when it asks for devices without the fact.
    pub wants: Vec<String>,
    /// How many patterns there are besides.
    pub more: usize,
}

impl Rules {
    /// Says of every rule why it decides for this device, or why not.
    ///
    /// Made for a device at a time: for many, [`Rules::decide`] is faster by far.
    #[must_use]
    pub fn explain(&self, subject: &Subject<'_>) -> Explanation<'_> {
        let mut facts = Facts::new(subject);
        let mut matched = None;
        let mut steps = Vec::with_capacity(self.entries.len());
        for (at, entry) in self.entries.iter().enumerate() {
            let outcome = match matched {
                Some((_, rule)) => Outcome::NotReached { matched: rule },
                None => entry.look_at(&mut facts),
            };
            if outcome == Outcome::Matched {
                matched = Some((at, &entry.rule.name));
            }
            steps.push(Step { rule: &entry.rule.name, outcome });
        }
        Explanation { steps, ruling: self.ruling(matched.map(|(at, _)| at), subject) }
    }
}

impl Entry {
    fn look_at(&self, facts: &mut Facts<'_>) -> Outcome<'_> {
        let subject = facts.subject();
        if let Some(only) = self.rule.only.as_ref().filter(|only| only.id != subject.server) {
            return Outcome::OtherServer { only: &only.name, device_at: subject.server_name.to_string() };
        }
        let unmet =
            self.matchers().iter().zip(&self.rule.conditions).find(|(matcher, _)| !matcher.holds(facts));
        match unmet {
            None => Outcome::Matched,
            Some((_, condition)) => Outcome::NotMet(NotMet::new(condition, subject)),
        }
    }
}

impl NotMet {
    fn new(condition: &Condition, subject: &Subject<'_>) -> Self {
        let field = condition.field();
        let has = match field {
            Field::Tag => subject.tags().map(str::to_owned).collect(),
            Field::AssignedDate => {
                subject.assigned_date.iter().map(|moment| moment.date_naive().to_string()).collect()
            }
            text => subject.text(text).into_iter().map(str::to_owned).collect(),
        };
        let (wants, more) = first_few(condition.patterns());
        Self { field, has, wants, more }
    }
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        write!(f, "decided by: {}", self.ruling.because)
    }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule \"{}\": {}", self.rule, self.outcome)
    }
}

impl fmt::Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Matched => f.write_str("matched"),
            Self::OtherServer { only, device_at } => {
                write!(f, "is for devices at {only} only, and this one is at {device_at}")
            }
            Self::NotMet(unmet) => unmet.fmt(f),
            Self::NotReached { matched } => write!(f, "not looked at: rule \"{matched}\" matched before"),
        }
    }
}

impl fmt::Display for NotMet {
    /// `serial is C02XYZ, not one of F*, DMP*`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.field;
        let patterns = self.wants.len() + self.more;
        match &*self.has {
            [] => write!(f, "there is no {field}, and it is to be ")?,
            [one] => write!(f, "{field} is {one}, ")?,
            more => write!(f, "{field}s are {}, ", more.join(", "))?,
        }
        match (self.has.len(), patterns) {
            (_, 0) => return f.write_str("and the rule is for devices without any"),
            (0, 1) => {}
            (0, _) => f.write_str("one of ")?,
            (1, 1) => f.write_str("not ")?,
            (1, _) => f.write_str("not one of ")?,
            (_, 1) => f.write_str("none of them ")?,
            (_, _) => f.write_str("none of them one of ")?,
        }
        listing(&self.wants, self.more, f)
    }
}

#[cfg(test)]
mod tests {
    use adelie_model::{RevisionId, ServerId};

    use super::*;
    use crate::fixture::{self, Sample};
    use crate::{Defaults, Rule, Scope};

    #[test]
    fn every_rule_says_why_and_the_last_line_says_what_decided() {
        let mut elsewhere = fixture::rule("elsewhere", &[], 1);
        elsewhere.only = Some(fixture::only(2, "Town"));
        let rules = Rules::new(
            [
                elsewhere,
                fixture::rule("execs", &["family=Mac", "serial=F*,DMP*"], 2),
                fixture::rule("labs", &["tag=lab-*", "assigned-date=>=2026-01-01"], 3),
                fixture::rule("rest", &[], 4),
            ],
            Defaults::default(),
        );
        let device = Sample::default();
        let explanation = rules.explain(&device.subject());
        assert_eq!(explanation.ruling.rule, Some(2));
        assert_eq!(
            explanation.to_string(),
            "rule \"elsewhere\": is for devices at Town only, and this one is at School\n\
             rule \"execs\": serial is C02XYZ, not one of F*, DMP*\n\
             rule \"labs\": matched\n\
             rule \"rest\": not looked at: rule \"labs\" matched before\n\
             decided by: rule \"labs\""
        );
        let json = serde_json::to_value(&explanation).expect("plain data");
        assert_eq!(
            json["steps"][1],
            serde_json::json!({
                "rule": "execs", "outcome": "not_met", "field": "serial",
                "has": ["C02XYZ"], "wants": ["F*", "DMP*"], "more": 0,
            })
        );
        assert_eq!(json["ruling"], serde_json::json!({ "wanted": 3, "rule": 2, "because": "rule \"labs\"" }));
    }

    #[test]
    fn without_a_match_the_default_is_named() {
        let defaults = Defaults::new([(Scope::Any, RevisionId(9))]);
        let rules = Rules::new([fixture::rule("phones", &["family=iphone"], 1)], defaults);
        let device = Sample::default();
        assert_eq!(
            rules.explain(&device.subject()).to_string(),
            "rule \"phones\": family is Mac, not iphone\ndecided by: default for any family"
        );
    }

    #[test]
    fn each_way_not_to_hold_has_its_sentence() {
        let device = Sample::default();
        let subject = device.subject();
        for (condition, says) in [
            ("serial=F*", "serial is C02XYZ, not F*"),
            ("serial=A,B,C,D,E,F,G,H,I,J", "serial is C02XYZ, not one of A, B, C, D, E, F, G, H and 2 more"),
            ("asset-tag=1,2", "there is no asset-tag, and it is to be one of 1, 2"),
            ("asset-tag=1", "there is no asset-tag, and it is to be 1"),
            ("color=", "color is SILVER, and the rule is for devices without any"),
            ("tag=west", "tags are lab-1, north, none of them west"),
            ("tag=west,east", "tags are lab-1, north, none of them one of west, east"),
            ("tag=", "tags are lab-1, north, and the rule is for devices without any"),
            ("assigned-date=<2026-01-01", "assigned-date is 2026-03-01, not <2026-01-01"),
            ("server=Town", "server is School, not Town"),
        ] {
            let rules = Rules::new([fixture::rule("r", &[condition], 1)], Defaults::default());
            let explanation = rules.explain(&subject);
            assert_eq!(explanation.steps[0].outcome.to_string(), says);
            assert_eq!(rules.decide(&subject), explanation.ruling);
        }
    }

    #[test]
    fn an_empty_text_is_no_fact() {
        let device =
            Sample { asset_tag: Some(String::new()), tags: vec![String::new()], ..Sample::default() };
        let rules = Rules::new([fixture::rule("r", &["tag=", "asset-tag=*"], 1)], Defaults::default());
        let explanation = rules.explain(&device.subject());
        assert_eq!(explanation.steps[0].outcome.to_string(), "there is no asset-tag, and it is to be *");
    }

    #[test]
    fn a_rule_is_limited_by_the_id_and_not_by_the_name() {
        let device = Sample::default();
        let mut rule: Rule = fixture::rule("renamed", &[], 1);
        rule.only = Some(fixture::only(1, "Old name"));
        let rules = Rules::new([rule], Defaults::default());
        assert_eq!(device.server, ServerId(1));
        assert_eq!(rules.decide(&device.subject()).rule, Some(0));
    }
}
