use std::collections::HashMap;

use adelie_model::ServerId;

use crate::facts::Facts;
use crate::glob::Glob;
use crate::glob_index::GlobIndex;
use crate::pattern::Form;
use crate::set::{Set, WIDTH};
use crate::{Condition, Field, Rule, fold};

/// Up to [`WIDTH`] rules turned round: instead of what each rule asks of a device, which rules each value satisfies.
///
/// A device is looked up once per field, however many rules ask for it. What the fields say of the rules is a [`Set`]
/// each, and what is in all of them matches.
#[derive(Debug)]
pub(crate) struct Table {
    /// The rules for devices at any MDM server.
    everywhere: Set,
    /// The rules for devices at one MDM server only.
    only: Vec<(ServerId, Set)>,
    /// The cheapest to look at comes first, because what it rules out need not be looked at later.
    layers: Vec<Layer>,
}

/// Conditions on one field, at most one of each rule. The second condition of a rule on the same field is in a second
/// layer.
#[derive(Debug)]
struct Layer {
    field: Field,
    /// The rules with a condition here.
    asking: Set,
    /// The rules that ask for devices without the fact.
    absent: Set,
    /// The rules that each value satisfies by a pattern without wildcards.
    exact: HashMap<Box<[u8]>, Set>,
    globs: GlobIndex,
    /// First and last day of each alternative, by rule.
    days: Vec<(u8, i32, i32)>,
}

impl Table {
    /// Splits rules into tables, in their order.
    pub(crate) fn all<'r>(rules: impl IntoIterator<Item = &'r Rule>) -> Vec<Self> {
        let rules: Vec<&Rule> = rules.into_iter().collect();
        rules.chunks(WIDTH).map(Self::new).collect()
    }

    fn new(rules: &[&Rule]) -> Self {
        let mut table = Self { everywhere: Set::default(), only: Vec::new(), layers: Vec::new() };
        for (at, rule) in (0..=u8::MAX).zip(rules) {
            match &rule.only {
                None => table.everywhere.insert(at),
                Some(only) => table.only(only.id).insert(at),
            }
            for condition in &rule.conditions {
                table.layer(condition.field(), at).add(at, condition);
            }
        }
        table.layers.sort_by_key(|layer| layer.globs.costly());
        table
    }

    fn only(&mut self, server: ServerId) -> &mut Set {
        let at = self.only.iter().position(|(id, _)| *id == server).unwrap_or_else(|| {
            self.only.push((server, Set::default()));
            self.only.len() - 1
        });
        &mut self.only[at].1
    }

    /// The first layer of the field in which the rule has no condition yet.
    fn layer(&mut self, field: Field, rule: u8) -> &mut Layer {
        let free = |layer: &Layer| layer.field == field && !layer.asking.has(rule);
        let at = self.layers.iter().position(free).unwrap_or_else(|| {
            self.layers.push(Layer::new(field));
            self.layers.len() - 1
        });
        &mut self.layers[at]
    }

    /// The place of the first rule that matches.
    pub(crate) fn first(&self, facts: &mut Facts<'_>) -> Option<usize> {
        let mut candidates = self.everywhere;
        if let Some((_, only)) = self.only.iter().find(|(id, _)| *id == facts.subject().server) {
            candidates.add(only);
        }
        for layer in &self.layers {
            let asking = candidates.both(&layer.asking);
            if !asking.is_empty() {
                let failing = asking.without(&layer.satisfied(facts, &asking));
                candidates = candidates.without(&failing);
            }
        }
        candidates.first().map(usize::from)
    }
}

impl Layer {
    fn new(field: Field) -> Self {
        Self {
            field,
            asking: Set::default(),
            absent: Set::default(),
            exact: HashMap::new(),
            globs: GlobIndex::default(),
            days: Vec::new(),
        }
    }

    fn add(&mut self, rule: u8, condition: &Condition) {
        self.asking.insert(rule);
        if condition.patterns().is_empty() {
            self.absent.insert(rule);
        }
        for pattern in condition.patterns() {
            match &pattern.0 {
                Form::Exact(text) => self.exact.entry(fold::text(text)).or_default().insert(rule),
                Form::Glob(letters) => self.globs.insert(rule, Glob::new(letters)),
                Form::Days(days) => {
                    let (first, last) = days.bounds();
                    self.days.push((rule, first, last));
                }
            }
        }
    }

    /// Those of the rules that ask whose condition holds. Others may be among them.
    fn satisfied(&self, facts: &mut Facts<'_>, asking: &Set) -> Set {
        let mut satisfied = Set::default();
        if self.field == Field::AssignedDate {
            let Some(day) = facts.day() else { return self.absent };
            let holding = self.days.iter().filter(|(_, first, last)| (*first..=*last).contains(&day));
            holding.for_each(|(rule, ..)| satisfied.insert(*rule));
            return satisfied;
        }
        let known = facts.each(self.field, |text| {
            if let Some(rules) = self.exact.get(text) {
                satisfied.add(rules);
            }
            self.globs.add_matching(text, asking, &mut satisfied);
        });
        if known { satisfied } else { self.absent }
    }
}
