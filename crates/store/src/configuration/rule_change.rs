//! What a patch makes of a rule's conditions.

use adelie_rules::{Condition, Pattern};

use super::{RulePatch, StoredRule};
use crate::ConfigurationError;

/// Lays a patch over a rule, all but its name.
pub(super) fn patch(rule: &mut StoredRule, patch: &RulePatch) -> Result<(), ConfigurationError> {
    if let Some(profile) = &patch.profile {
        rule.profile = profile.clone();
    }
    if let Some(only) = &patch.only {
        rule.only.clone_from(only);
    }
    if let Some(conditions) = &patch.conditions {
        rule.conditions.clone_from(conditions);
    }
    for wanted in &patch.add {
        add(rule, wanted)?;
    }
    for unwanted in &patch.remove {
        remove(rule, unwanted)?;
    }
    Ok(())
}

fn add(rule: &mut StoredRule, wanted: &Condition) -> Result<(), ConfigurationError> {
    let Some(at) = the_one(rule, wanted)? else {
        rule.conditions.push(wanted.clone());
        return Ok(());
    };
    let known = rule.conditions[at].patterns();
    if known.is_empty() != wanted.patterns().is_empty() {
        return Err(ConfigurationError::AbsentAndPresent { rule: rule.name.clone(), field: wanted.field() });
    }
    let new: Vec<Pattern> =
        wanted.patterns().iter().filter(|pattern| !known.contains(pattern)).cloned().collect();
    if !new.is_empty() {
        rule.conditions[at] = with_patterns(wanted, known.iter().cloned().chain(new))?;
    }
    Ok(())
}

fn remove(rule: &mut StoredRule, unwanted: &Condition) -> Result<(), ConfigurationError> {
    let missing = |pattern: &str| ConfigurationError::NoSuchPattern {
        rule: rule.name.clone(),
        field: unwanted.field(),
        pattern: pattern.to_owned(),
    };
    let Some(at) = the_one(rule, unwanted)? else {
        return Err(missing(&unwanted.to_string()));
    };
    let known = rule.conditions[at].patterns();
    if let Some(pattern) = unwanted.patterns().iter().find(|pattern| !known.contains(pattern)) {
        return Err(missing(&pattern.to_string()));
    }
    let left: Vec<Pattern> =
        known.iter().filter(|pattern| !unwanted.patterns().contains(pattern)).cloned().collect();
    if left.is_empty() {
        return Err(ConfigurationError::LastPattern { rule: rule.name.clone(), field: unwanted.field() });
    }
    rule.conditions[at] = with_patterns(unwanted, left)?;
    Ok(())
}

/// The place of the rule's condition on the same field, if it has just one.
fn the_one(rule: &StoredRule, condition: &Condition) -> Result<Option<usize>, ConfigurationError> {
    let field = condition.field();
    let mut places = (0..rule.conditions.len()).filter(|at| rule.conditions[*at].field() == field);
    match (places.next(), places.next()) {
        (at, None) => Ok(at),
        (_, Some(_)) => Err(ConfigurationError::SeveralConditions { rule: rule.name.clone(), field }),
    }
}

fn with_patterns(
    like: &Condition,
    patterns: impl IntoIterator<Item = Pattern>,
) -> Result<Condition, ConfigurationError> {
    Condition::one_of(like.field(), patterns).map_err(ConfigurationError::Condition)
}
