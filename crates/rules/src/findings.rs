use std::fmt;

use adelie_model::RuleName;
use serde::Serialize;

use crate::listing::brief;
use crate::matcher::Matcher;
use crate::rules::Entry;
use crate::{Condition, Field, Rules};

/// Something in the rules that does nothing, or hides what comes after it.
///
/// What is said is certain: it holds for every device that there can be. What is not said may still be true, because
/// only each rule is compared with each earlier one, and not with all of them together. The names of MDM servers are
/// taken to be those that [`OnlyServer`](crate::OnlyServer) says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: RuleName,
    /// Its place, counted from 0.
    pub place: usize,
    /// What kind of thing it is.
    #[serde(flatten)]
    pub kind: FindingKind,
    /// What is wrong, for people.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

/// What a [`Finding`] is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FindingKind {
    /// No device can match the rule.
    NeverMatches,
    /// Every device that could match the rule matches an earlier one.
    Shadowed {
        /// The first rule that does so.
        by: RuleName,
    },
    /// Every device matches the rule, and there are rules behind it.
    TakesAll,
    /// A condition of the rule holds whenever the rest of it does.
    NeedlessCondition {
        /// Its place among the rule's conditions, counted from 0.
        condition: usize,
    },
}

impl Rules {
    /// What in the rules does nothing or hides others, in the order of the rules.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let views: Vec<View<'_>> = self.entries.iter().map(View::new).collect();
        let mut findings = Vec::new();
        for (at, view) in views.iter().enumerate() {
            if let Some((message, fix)) = view.contradiction() {
                findings.push(view.finding(at, FindingKind::NeverMatches, message, fix));
                continue;
            }
            let behind = views.len() - at - 1;
            if let Some(earlier) = views[..at].iter().find(|earlier| earlier.takes_all_of(view)) {
                // What is behind a rule that takes every device is told of once, with that rule.
                if earlier.takes_all() {
                    continue;
                }
                let by = earlier.entry.rule.name.clone();
                let message = format!("every device that it matches is matched by rule \"{by}\" before it");
                let fix = format!("move it before rule \"{by}\", or remove it");
                findings.push(view.finding(at, FindingKind::Shadowed { by }, message, fix));
            } else if behind > 0 && view.takes_all() {
                let message = match behind {
                    1 => "it matches every device, so the rule behind it is never looked at".to_owned(),
                    more => {
                        format!("it matches every device, so the {more} rules behind it are never looked at")
                    }
                };
                let fix = "move it to the end, or give it a condition".to_owned();
                findings.push(view.finding(at, FindingKind::TakesAll, message, fix));
            }
            for (condition, because) in view.needless() {
                let text = brief(&view.entry.rule.conditions[condition]);
                let message = format!("its condition {text} holds anyway: {because}");
                let fix = "remove that condition".to_owned();
                findings.push(view.finding(at, FindingKind::NeedlessCondition { condition }, message, fix));
            }
        }
        findings
    }
}

impl fmt::Display for Finding {
    /// One line: `rule "labs": every device that … before it; fix: move it …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule \"{}\": {}; fix: {}", self.rule, self.message, self.fix)
    }
}

/// A rule with all that it asks of a device.
struct View<'r> {
    entry: &'r Entry,
    /// What its limit says of the name of the MDM server.
    limit: Option<Matcher>,
}

impl<'r> View<'r> {
    fn new(entry: &'r Entry) -> Self {
        let name = |only: &crate::OnlyServer| Matcher::exactly(Field::Server, only.name.as_str());
        Self { entry, limit: entry.rule.only.as_ref().map(name) }
    }

    fn finding(&self, place: usize, kind: FindingKind, message: String, fix: String) -> Finding {
        Finding { rule: self.entry.rule.name.clone(), place, kind, message, fix }
    }

    /// Each condition with its text.
    fn conditions(&self) -> impl Iterator<Item = (&'r Matcher, &'r Condition)> {
        self.entry.matchers().iter().zip(&self.entry.rule.conditions)
    }

    /// All that must hold, the limit being one more condition.
    fn all(&self) -> impl Iterator<Item = &Matcher> {
        self.entry.matchers().iter().chain(&self.limit)
    }

    fn takes_all(&self) -> bool {
        self.limit.is_none() && self.entry.matchers().iter().all(Matcher::always_holds)
    }

    /// Whether every device that the other rule matches is matched by this one.
    fn takes_all_of(&self, other: &View<'_>) -> bool {
        let same_server = match (&self.entry.rule.only, &other.entry.rule.only) {
            (None, _) => true,
            (Some(own), Some(others)) => own.id == others.id,
            (Some(_), None) => false,
        };
        let holds = |own: &Matcher| own.always_holds() || other.all().any(|others| own.follows_from(others));
        same_server && self.entry.matchers().iter().all(holds)
    }

    /// Why no device can match the rule, and what to do about it.
    fn contradiction(&self) -> Option<(String, String)> {
        let remove = "remove one of the two conditions, or the rule";
        for (at, (matcher, condition)) in self.conditions().enumerate() {
            if matcher.never_holds() {
                let message =
                    format!("its condition {} holds for no device: every one has it", brief(condition));
                return Some((message, "write a pattern behind the =, or remove the condition".to_owned()));
            }
            if let Some((_, other)) = self.conditions().take(at).find(|(other, _)| other.excludes(matcher)) {
                let message =
                    format!("its conditions {} and {} never hold together", brief(other), brief(condition));
                return Some((message, remove.to_owned()));
            }
            if let (Some(limit), Some(only)) = (&self.limit, &self.entry.rule.only)
                && limit.excludes(matcher)
            {
                let message = format!(
                    "it is for devices at {} only, and its condition {} never holds there",
                    only.name,
                    brief(condition)
                );
                return Some((message, "remove the condition, or the limit to the MDM server".to_owned()));
            }
        }
        let all: Vec<&Matcher> = self.all().collect();
        let (_, condition) = self.conditions().find(|(matcher, _)| matcher.has_no_value_for(&all))?;
        let message = format!(
            "none of the values in its condition {} passes its other conditions on {}",
            brief(condition),
            condition.field()
        );
        Some((message, "remove one of these conditions, or the rule".to_owned()))
    }

    /// The places of the conditions that can all be left out, each with why.
    fn needless(&self) -> Vec<(usize, String)> {
        let reason = |at: usize, own: &Matcher| {
            if own.always_holds() {
                return Some("every device has that".to_owned());
            }
            if let (Some(limit), Some(only)) = (&self.limit, &self.entry.rule.only)
                && own.follows_from(limit)
            {
                return Some(format!("the rule is for devices at {} only", only.name));
            }
            // Of two that say the same the first one stays.
            let (_, other) = self.conditions().enumerate().find_map(|(place, (matcher, condition))| {
                let follows =
                    place != at && own.follows_from(matcher) && (place < at || !matcher.follows_from(own));
                follows.then_some((place, condition))
            })?;
            Some(format!("it says no more than {}", brief(other)))
        };
        let conditions = self.conditions().enumerate();
        conditions.filter_map(|(at, (own, _))| Some((at, reason(at, own)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{only, rule};
    use crate::{Defaults, Rule};

    fn found(rules: impl IntoIterator<Item = Rule>) -> Vec<String> {
        Rules::new(rules, Defaults::default()).findings().iter().map(ToString::to_string).collect()
    }

    fn at(server: i64, name: &str, rule: Rule) -> Rule {
        Rule { only: Some(only(server, name)), ..rule }
    }

    #[test]
    fn a_rule_behind_a_wider_one_is_pointed_out() {
        let wide = || rule("wide", &["serial=F*,DMP1,C0?"], 1);
        for conditions in [
            &["serial=fa*"][..],
            &["serial=FX,DMP1"],
            &["serial=C0?,FA*B"],
            &["family=mac", "serial=F1", "tag=x"],
        ] {
            assert_eq!(
                found([wide(), rule("narrow", conditions, 2)]),
                [
                    "rule \"narrow\": every device that it matches is matched by rule \"wide\" before it; fix: move \
                     it before rule \"wide\", or remove it"
                ],
                "{conditions:?}"
            );
        }
        for conditions in [&["serial=FA*,DMP2"][..], &["serial=C0*"], &["tag=F1"], &[], &["serial=*F"]] {
            assert_eq!(found([wide(), rule("other", conditions, 2)]), [""; 0], "{conditions:?}");
        }
    }

    #[test]
    fn shadows_fall_on_dates_absent_facts_and_servers() {
        let dates = rule("dates", &["assigned-date=2026-01-01..2026-06-30,>=2027-01-01"], 1);
        assert_eq!(
            found([dates.clone(), rule("day", &["assigned-date=2026-02-01,2028-01-01..2028-02-01"], 2)])
                .len(),
            1
        );
        assert_eq!(found([dates, rule("day", &["assigned-date=2026-06-30..2026-07-01"], 2)]).len(), 0);
        assert_eq!(found([rule("a", &["asset-tag="], 1), rule("b", &["asset-tag=", "os=ios"], 2)]).len(), 1);
        assert_eq!(found([rule("a", &["asset-tag="], 1), rule("b", &["asset-tag=*"], 2)]).len(), 0);

        let here = || at(1, "School", rule("here", &["os=ios"], 1));
        assert_eq!(found([here(), at(1, "School", rule("b", &["os=iOS"], 2))]).len(), 1);
        assert_eq!(found([here(), at(2, "Town", rule("b", &["os=ios"], 2))]).len(), 0);
        assert_eq!(found([here(), rule("b", &["os=ios"], 2)]).len(), 0);
        assert_eq!(found([rule("a", &["server=school"], 1), at(1, "School", rule("b", &[], 2))]).len(), 1);
    }

    #[test]
    fn a_rule_for_all_hides_what_is_behind_it() {
        let all = || rule("all", &["serial=*"], 1);
        let hidden = found([rule("all", &[], 1), rule("a", &["os=ios"], 2), rule("b", &["os=tvos"], 3)]);
        assert_eq!(hidden.len(), 1, "it is told of once");
        assert_eq!(
            hidden[0],
            "rule \"all\": it matches every device, so the 2 rules behind it are never looked at; fix: move it to the \
             end, or give it a condition"
        );
        assert_eq!(
            found([rule("a", &["os=ios"], 1), rule("all", &[], 2)]),
            [""; 0],
            "at the end it is right"
        );
        assert_eq!(found([all(), rule("a", &["os=ios"], 2)]).len(), 2, "its condition is needless, too");
    }

    #[test]
    fn a_rule_that_no_device_can_match_is_pointed_out() {
        for (conditions, says) in [
            (&["serial=A,B", "serial=c,d"][..], "`serial=A,B` and `serial=c,d` never hold together"),
            (&["serial=F*", "serial=D*"], "`serial=F*` and `serial=D*` never hold together"),
            (&["model=*Pro", "model=*Air"], "never hold together"),
            (&["serial=F*", "serial=D1"], "never hold together"),
            (
                &["serial=A1,B2", "serial=A*", "serial=*2"],
                "none of the values in its condition `serial=A1,B2` passes",
            ),
            (&["asset-tag=", "asset-tag=1"], "never hold together"),
            (&["tag=x", "tag="], "never hold together"),
            (&["serial="], "its condition `serial=` holds for no device"),
            (&["assigned-date=<2026-01-01", "assigned-date=>=2026-01-01"], "never hold together"),
        ] {
            let findings = found([rule("r", conditions, 1)]);
            assert!(findings.len() == 1 && findings[0].contains(says), "{findings:?}");
        }
        for conditions in [
            &["tag=x", "tag=y"][..],
            &["serial=F*", "serial=*D"],
            &["serial=A,B", "serial=B,C"],
            &["tag=x", "tag=*y"],
        ] {
            assert_eq!(found([rule("r", conditions, 1)]), [""; 0], "{conditions:?}");
        }
        let findings = found([at(1, "School", rule("r", &["server=Town*"], 1))]);
        assert_eq!(
            findings,
            [
                "rule \"r\": it is for devices at School only, and its condition `server=Town*` never holds there; fix: \
              remove the condition, or the limit to the MDM server"
            ]
        );
    }

    #[test]
    fn a_condition_that_says_nothing_new_is_pointed_out() {
        for (conditions, says) in [
            (&["os=iOS", "os=IOS"][..], "its condition `os=IOS` holds anyway: it says no more than `os=iOS`"),
            (
                &["serial=F*", "serial=FA*"],
                "its condition `serial=F*` holds anyway: it says no more than `serial=FA*`",
            ),
            (&["tag=a*", "tag=ab"], "its condition `tag=a*` holds anyway"),
            (&["os=ios", "server=*"], "its condition `server=*` holds anyway: every device has that"),
        ] {
            let findings = found([rule("r", conditions, 1)]);
            assert!(findings.len() == 1 && findings[0].contains(says), "{findings:?}");
        }
        let findings = found([at(1, "School", rule("r", &["server=Sch*"], 1))]);
        assert!(
            findings.len() == 1 && findings[0].contains("the rule is for devices at School only"),
            "{findings:?}"
        );
        assert_eq!(found([rule("r", &["os=*", "tag=*"], 1)]), [""; 0], "not every device has these");
    }

    #[test]
    fn the_json_form_says_the_kind() {
        let rules = Rules::new([rule("a", &["os=ios"], 1), rule("b", &["os=ios"], 2)], Defaults::default());
        let json = serde_json::to_value(rules.findings()).expect("plain data");
        assert_eq!(json[0]["kind"], "shadowed");
        assert_eq!(json[0]["by"], "a");
        assert_eq!(json[0]["place"], 1);
    }
}
