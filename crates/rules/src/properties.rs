//! What must hold for any rules and any devices. The judge is a second way to decide, which shares nothing with the
//! first one and is as simple as can be.

use adelie_model::{DeviceFamily, RevisionId, ServerId, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;

use crate::fixture::{Sample, serial};
use crate::{Condition, Defaults, Field, FindingKind, OnlyServer, Outcome, Rule, Rules, Scope};

const SERVERS: [&str; 2] = ["Ab", "ba"];

/// A condition in parts, from which the text is made that the crate reads.
#[derive(Clone, Debug)]
struct Plain {
    field: Field,
    patterns: Vec<PlainPattern>,
}

#[derive(Clone, Debug)]
enum PlainPattern {
    /// As it is written; there are no backslashes in it.
    Text(String),
    /// As it is written, the first moment that it takes, and the first one after it that it does not.
    Days(String, Timestamp, Timestamp),
}

#[derive(Clone, Debug)]
struct PlainRule {
    only: Option<usize>,
    conditions: Vec<Plain>,
}

fn text() -> impl Strategy<Value = String> {
    "[aAbé]{1,3}"
}

/// Few letters, so that much matches; and some wildcards.
fn pattern_text() -> impl Strategy<Value = String> {
    prop_oneof![3 => text(), 2 => "[aB]{0,2}\\*", 2 => "[abÉ?*]{1,4}"]
}

fn moment(day: u32, hour: u32) -> Timestamp {
    format!("2026-01-{day:02}T{hour:02}:59:59Z").parse().expect("a moment")
}

fn days() -> impl Strategy<Value = PlainPattern> {
    let first = "0001-01-01T00:00:00Z".parse::<Timestamp>().expect("a moment");
    let last = "9999-01-01T00:00:00Z".parse::<Timestamp>().expect("a moment");
    let start = |day: u32| format!("2026-01-{day:02}T00:00:00Z").parse::<Timestamp>().expect("a moment");
    (1..8_u32, 0..3_u32, 0..5_u8).prop_map(move |(day, more, form)| {
        let to = day + more;
        let (text, from, until) = match form {
            0 => (format!("2026-01-{day:02}"), start(day), start(day + 1)),
            1 => (format!("2026-01-{day:02}..2026-01-{to:02}"), start(day), start(to + 1)),
            2 => (format!(">=2026-01-{day:02}"), start(day), last),
            3 => (format!("<2026-01-{day:02}"), first, start(day)),
            _ => ("*".to_owned(), first, last),
        };
        PlainPattern::Days(text, from, until)
    })
}

fn condition() -> impl Strategy<Value = Plain> {
    // Mostly a few fields, so that conditions meet.
    let field = prop_oneof![
        3 => Just(Field::Serial),
        3 => Just(Field::Tag),
        2 => Just(Field::AssignedDate),
        2 => select(Field::ALL.to_vec()),
    ];
    field.prop_flat_map(|field| {
        let pattern = match field {
            Field::AssignedDate => days().boxed(),
            _ => pattern_text().prop_map(PlainPattern::Text).boxed(),
        };
        let some = prop::collection::vec(pattern, 1..4);
        let patterns = prop_oneof![1 => Just(Vec::new()), 6 => some];
        patterns.prop_map(move |patterns| Plain { field, patterns })
    })
}

fn rules() -> impl Strategy<Value = Vec<PlainRule>> {
    let only = prop_oneof![3 => Just(None), 1 => (0..SERVERS.len()).prop_map(Some)];
    let rule = (only, prop::collection::vec(condition(), 0..4))
        .prop_map(|(only, conditions)| PlainRule { only, conditions });
    prop::collection::vec(rule, 0..8)
}

fn device() -> impl Strategy<Value = Sample> {
    let fact = || prop::option::of(prop_oneof![4 => text(), 1 => Just(String::new())]);
    let family = prop::option::of(prop_oneof![
        Just(DeviceFamily::Mac),
        text().prop_map(|text| DeviceFamily::from(&*text)),
    ]);
    let date = prop::option::of((1..12_u32, 0..24_u32).prop_map(|(day, hour)| moment(day, hour)));
    let facts = (fact(), fact(), fact(), fact(), fact(), fact());
    let tags = prop::collection::vec(prop_oneof![6 => text(), 1 => Just(String::new())], 0..3);
    (0..SERVERS.len(), text(), family, facts, date, tags).prop_map(
        |(
            server,
            own,
            family,
            (model, os, color, description, asset_tag, assigned_by),
            assigned_date,
            tags,
        )| Sample {
            server: id(server),
            server_name: SERVERS[server].parse().expect("a name"),
            serial: serial(&own),
            family,
            model,
            os,
            color,
            description,
            asset_tag,
            assigned_by,
            assigned_date,
            tags,
        },
    )
}

fn id(server: usize) -> ServerId {
    ServerId(i64::try_from(server).expect("a small number"))
}

fn defaults() -> Defaults {
    Defaults::new([(Scope::Family(DeviceFamily::Mac), RevisionId(1000)), (Scope::Any, RevisionId(1001))])
}

/// The rules as the crate takes them: everything goes through its text form.
fn made(rules: &[PlainRule]) -> Vec<Rule> {
    let written = |condition: &Plain| {
        let patterns: Vec<&str> = condition
            .patterns
            .iter()
            .map(|pattern| match pattern {
                PlainPattern::Text(text) | PlainPattern::Days(text, ..) => text.as_str(),
            })
            .collect();
        format!("{}={}", condition.field, patterns.join(","))
    };
    let rule = |(at, rule): (usize, &PlainRule)| Rule {
        name: format!("r{at}").parse().expect("a name"),
        only: rule
            .only
            .map(|server| OnlyServer { id: id(server), name: SERVERS[server].parse().expect("a name") }),
        conditions: rule
            .conditions
            .iter()
            .map(|plain| written(plain).parse().expect("a condition"))
            .collect(),
        gives: RevisionId(i64::try_from(at).expect("a small number")),
    };
    rules.iter().enumerate().map(rule).collect()
}

fn plainly_like(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*', rest @ ..] => (0..=text.len()).any(|from| plainly_like(rest, &text[from..])),
        ['?', rest @ ..] => !text.is_empty() && plainly_like(rest, &text[1..]),
        [c, rest @ ..] => text.first() == Some(c) && plainly_like(rest, &text[1..]),
    }
}

fn plainly_holds(condition: &Plain, device: &Sample) -> bool {
    let one = |text: &Option<String>| text.iter().cloned().collect::<Vec<_>>();
    let texts = match condition.field {
        Field::AssignedDate => {
            return match device.assigned_date {
                None => condition.patterns.is_empty(),
                Some(moment) => condition.patterns.iter().any(|pattern| match pattern {
                    PlainPattern::Days(_, from, until) => *from <= moment && moment < *until,
                    PlainPattern::Text(_) => false,
                }),
            };
        }
        Field::Serial => vec![device.serial.to_string()],
        Field::Server => vec![device.server_name.to_string()],
        Field::Family => device.family.iter().map(ToString::to_string).collect(),
        Field::Model => one(&device.model),
        Field::Os => one(&device.os),
        Field::Color => one(&device.color),
        Field::Description => one(&device.description),
        Field::AssetTag => one(&device.asset_tag),
        Field::AssignedBy => one(&device.assigned_by),
        Field::Tag => device.tags.clone(),
    };
    let chars = |text: &str| text.to_lowercase().chars().collect::<Vec<char>>();
    let mut texts = texts.iter().filter(|text| !text.is_empty()).peekable();
    if condition.patterns.is_empty() {
        return texts.peek().is_none();
    }
    texts.any(|text| {
        condition.patterns.iter().any(|pattern| match pattern {
            PlainPattern::Text(pattern) => plainly_like(&chars(pattern), &chars(text)),
            PlainPattern::Days(..) => false,
        })
    })
}

fn plainly_matches(rule: &PlainRule, device: &Sample) -> bool {
    rule.only.is_none_or(|server| id(server) == device.server)
        && rule.conditions.iter().all(|condition| plainly_holds(condition, device))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_first_rule_that_plainly_matches_decides(
        plain in rules(), devices in prop::collection::vec(device(), 1..8),
    ) {
        let rules = Rules::new(made(&plain), defaults());
        for device in &devices {
            let first = plain.iter().position(|rule| plainly_matches(rule, device));
            let ruling = rules.decide(&device.subject());
            prop_assert_eq!(ruling.rule, first);
            match first {
                Some(at) => {
                    prop_assert_eq!(ruling.wanted, Some(rules.rules().nth(at).expect("a rule").gives));
                    prop_assert_eq!(&*ruling.because, format!("rule \"r{at}\""));
                }
                None => {
                    let decision = defaults().decide(device.family.as_ref());
                    prop_assert_eq!(ruling.wanted, decision.wanted);
                    prop_assert_eq!(ruling.because, decision.because);
                }
            }
        }
    }

    #[test]
    fn the_explanation_agrees_with_the_decision_and_names_a_condition_that_fails(
        plain in rules(), device in device(),
    ) {
        let rules = Rules::new(made(&plain), defaults());
        let explanation = rules.explain(&device.subject());
        prop_assert_eq!(&explanation.ruling, &rules.decide(&device.subject()));
        prop_assert_eq!(explanation.steps.len(), plain.len());
        let decided = explanation.ruling.rule.unwrap_or(plain.len());
        for (at, (step, rule)) in explanation.steps.iter().zip(&plain).enumerate() {
            match &step.outcome {
                Outcome::Matched => prop_assert_eq!(at, decided),
                Outcome::NotReached { .. } => prop_assert!(at > decided),
                Outcome::OtherServer { .. } => {
                    prop_assert!(at < decided && rule.only.is_some_and(|only| id(only) != device.server));
                }
                Outcome::NotMet(unmet) => {
                    let first = rule.conditions.iter().find(|condition| !plainly_holds(condition, &device));
                    prop_assert!(at < decided);
                    prop_assert_eq!(first.map(|condition| condition.field), Some(unmet.field));
                    prop_assert_eq!(first.map(|condition| condition.patterns.len()), Some(unmet.wants.len()));
                }
            }
        }
    }

    #[test]
    fn what_is_called_dead_never_decides(
        plain in rules(), devices in prop::collection::vec(device(), 1..30),
    ) {
        let rules = Rules::new(made(&plain), defaults());
        for finding in rules.findings() {
            let rule = &plain[finding.place];
            for device in &devices {
                let decided = rules.decide(&device.subject()).rule;
                match &finding.kind {
                    FindingKind::NeverMatches => prop_assert!(!plainly_matches(rule, device), "{}", finding),
                    FindingKind::Shadowed { by } => {
                        let earlier = rules.rules().position(|rule| rule.name == *by).expect("a rule");
                        prop_assert!(earlier < finding.place);
                        prop_assert!(decided != Some(finding.place), "{}", finding);
                        prop_assert!(!plainly_matches(rule, device) || plainly_matches(&plain[earlier], device));
                    }
                    FindingKind::TakesAll => prop_assert!(plainly_matches(rule, device), "{}", finding),
                    FindingKind::NeedlessCondition { .. } => {}
                }
            }
        }
    }

    /// All needless conditions of all rules go at once, and nothing changes.
    #[test]
    fn what_is_called_needless_can_be_left_out(
        plain in rules(), devices in prop::collection::vec(device(), 1..10),
    ) {
        let all = Rules::new(made(&plain), defaults());
        let findings = all.findings();
        let shorter = all.rules().enumerate().map(|(at, rule)| {
            let needless = |place| {
                let kind = FindingKind::NeedlessCondition { condition: place };
                findings.iter().any(|finding| finding.place == at && finding.kind == kind)
            };
            let kept = rule.conditions.iter().enumerate().filter(|(place, _)| !needless(*place));
            Rule { conditions: kept.map(|(_, condition)| condition.clone()).collect(), ..rule.clone() }
        });
        let shorter = Rules::new(shorter, defaults());
        for device in &devices {
            prop_assert_eq!(all.decide(&device.subject()), shorter.decide(&device.subject()));
        }
    }

    #[test]
    fn rules_that_share_no_device_can_stand_in_any_order(
        (before, after) in prop::collection::hash_map("[a-d]{2}", 0..4_usize, 1..12)
            .prop_map(|owners| {
                let mut lists = vec![Vec::new(); 4];
                owners.into_iter().for_each(|(serial, owner)| lists[owner].push(serial));
                lists.retain(|list| !list.is_empty());
                lists.into_iter().enumerate().collect::<Vec<_>>()
            })
            .prop_flat_map(|lists| (Just(lists.clone()), Just(lists).prop_shuffle())),
        own in "[a-d]{2}",
    ) {
        let ruled = |lists: &[(usize, Vec<String>)]| {
            let rule = |(at, serials): &(usize, Vec<String>)| Rule {
                name: format!("r{at}").parse().expect("a name"),
                only: None,
                conditions: vec![Condition::values(Field::Serial, serials).expect("serial numbers")],
                gives: RevisionId(i64::try_from(*at).expect("a small number")),
            };
            let rules = Rules::new(lists.iter().map(rule), defaults());
            let device = Sample { serial: serial(&own), ..Sample::default() };
            rules.decide(&device.subject()).wanted
        };
        prop_assert_eq!(ruled(&before), ruled(&after));
    }

    #[test]
    fn every_rule_reads_back_what_it_prints(plain in rules()) {
        for condition in made(&plain).iter().flat_map(|rule| &rule.conditions) {
            prop_assert_eq!(condition.to_string().parse(), Ok(condition.clone()));
        }
    }
}
