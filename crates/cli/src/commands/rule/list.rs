use adelie_model::RuleName;
use adelie_rules::Condition;
use adelie_store::configuration::{Configuration, StoredRule};
use adelie_store::{RuleBook, StoreError};
use serde_json::{Value, json};

use super::named;
use crate::context::Context;
use crate::exit::Exit;

/// Patterns of a condition that a table shows.
const SHOWN: usize = 3;

/// Lists the rules in their order, with what is wrong with them.
pub async fn list(context: &Context) -> anyhow::Result<Exit> {
    let configuration = context.store.configuration().await?;
    let hits = context.store.rule_hits().await?;
    let findings = RuleBook::new(&configuration).findings();
    let mut rows = Vec::with_capacity(configuration.rules.len());
    for (place, rule) in configuration.rules.iter().enumerate() {
        let devices = hits.get(&rule.id).copied().unwrap_or(0);
        if context.out.json {
            let mut object = object(rule);
            object["place"] = json!(place + 1);
            object["devices"] = json!(devices);
            object["findings"] = findings
                .iter()
                .filter(|finding| finding.rule == rule.name)
                .map(|finding| json!(finding))
                .collect();
            context.out.object(&object)?;
            continue;
        }
        rows.push(vec![
            (place + 1).to_string(),
            rule.name.to_string(),
            rule.profile.to_string(),
            rule.only.as_ref().map_or_else(|| "all".to_owned(), |(_, name)| name.to_string()),
            devices.to_string(),
            when(rule),
        ]);
    }
    if context.out.json {
        return Ok(Exit::Done);
    }
    if rows.is_empty() {
        context.out.hint(
            "there is no rule yet, so that the defaults decide: add one with `adelie rule add NAME --when \
             FIELD=PATTERN --profile PROFILE`",
        )?;
        return Ok(Exit::Done);
    }
    context.out.table(&["#", "rule", "profile", "server", "devices", "when"], rows)?;
    for finding in findings {
        context.out.warn(&finding.to_string())?;
    }
    Ok(Exit::Done)
}

/// Shows one rule with all its conditions.
pub async fn show(context: &Context, name: &RuleName) -> anyhow::Result<Exit> {
    let configuration = context.store.configuration().await?;
    let Some(rule) = configuration.rule(name) else {
        let missing = StoreError::Missing { what: "rule", name: name.to_string() };
        return Err(named(missing, &configuration));
    };
    let devices = context.store.rule_hits().await?.get(&rule.id).copied().unwrap_or(0);
    let findings = RuleBook::new(&configuration).findings().into_iter();
    let findings: Vec<_> = findings.filter(|finding| finding.rule == *name).collect();
    if context.out.json {
        let mut object = object(rule);
        object["place"] = json!(place(&configuration, rule));
        object["devices"] = json!(devices);
        object["findings"] = json!(findings);
        context.out.object(&object)?;
        return Ok(Exit::Done);
    }
    let mut facts = vec![
        ("rule", rule.name.to_string()),
        ("place", format!("{} of {}", place(&configuration, rule), configuration.rules.len())),
        ("gives profile", rule.profile.to_string()),
        (
            "to devices at",
            rule.only.as_ref().map_or_else(|| "all MDM servers".to_owned(), |(_, name)| name.to_string()),
        ),
        ("decides", crate::words::count(devices, "device", "devices")),
    ];
    if rule.conditions.is_empty() {
        facts.push(("when", "always".to_owned()));
    }
    facts.extend(rule.conditions.iter().map(|condition| ("when", condition.to_string())));
    context.out.facts(&facts)?;
    for finding in findings {
        context.out.warn(&finding.to_string())?;
    }
    Ok(Exit::Done)
}

fn place(configuration: &Configuration, rule: &StoredRule) -> usize {
    configuration.rules.iter().take_while(|other| other.id != rule.id).count() + 1
}

fn object(rule: &StoredRule) -> Value {
    json!({
        "name": rule.name,
        "profile": rule.profile,
        "server": rule.only.as_ref().map(|(_, name)| name),
        "when": rule.conditions,
    })
}

/// The conditions of a rule in one line.
fn when(rule: &StoredRule) -> String {
    match rule.conditions.is_empty() {
        true => "always".to_owned(),
        false => rule.conditions.iter().map(brief).collect::<Vec<_>>().join(" and "),
    }
}

fn brief(condition: &Condition) -> String {
    let patterns = condition.patterns();
    if patterns.len() <= SHOWN {
        return condition.to_string();
    }
    let shown: Vec<String> = patterns.iter().take(SHOWN).map(ToString::to_string).collect();
    format!("{}={} and {} more", condition.field(), shown.join(","), patterns.len() - SHOWN)
}
