use adelie_model::{DeviceFamily, ProfileName, RuleName, ServerId, ServerName};
use adelie_rules::{Condition, Field};
use adelie_store::RuleBook;
use adelie_store::configuration::{Change, NewRule, RulePatch};
use serde_json::json;

use super::named;
use crate::args::{Conditions, Patch, Serials};
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::serials;

pub async fn add(
    context: &Context,
    name: RuleName,
    conditions: &Conditions,
    profile: ProfileName,
    server: Option<&ServerName>,
    before: Option<RuleName>,
) -> anyhow::Result<Exit> {
    let mut all = conditions.when.clone();
    all.extend(conditions.serials.clone().map(listed).transpose()?);
    warn_of_families(context, &all)?;
    let line = format!("added rule {name}, which gives {profile}");
    let rule = NewRule { name, only: only(context, server).await?, conditions: all, profile };
    make(context, &[Change::AddRule { rule, before }], &line).await
}

pub async fn set(context: &Context, name: RuleName, patch: Patch) -> anyhow::Result<Exit> {
    let only = match (&patch.server, patch.all_servers) {
        (Some(_), _) => Some(only(context, patch.server.as_ref()).await?),
        (None, true) => Some(None),
        (None, false) => None,
    };
    let (mut add, mut remove) = (patch.add, patch.remove);
    add.extend(patch.add_serials.map(listed).transpose()?);
    remove.extend(patch.remove_serials.map(listed).transpose()?);
    let conditions = (patch.always || !patch.when.is_empty()).then_some(patch.when);
    let patch = RulePatch { rename: patch.rename, profile: patch.profile, only, conditions, add, remove };
    if patch == RulePatch::default() {
        return Err(wrong(
            format!("there is nothing to change in rule {name}: no option is given"),
            "`adelie rule set --help` lists them",
        ));
    }
    let line = format!("changed rule {name}");
    make(context, &[Change::SetRule { name, patch }], &line).await
}

/// Makes changes of rules and tells what they came to; `line` when they are made.
pub async fn make(context: &Context, changes: &[Change], line: &str) -> anyhow::Result<Exit> {
    let before = context.store.configuration().await?;
    let version = match context.store.configure(changes, None, &context.operator()).await {
        Ok(version) => version,
        Err(error) => return Err(named(error, &before)),
    };
    let changed = version != before.version;
    if context.out.json {
        context.out.object(&json!({ "changed": changed, "version": version }))?;
        return Ok(Exit::Done);
    }
    if !changed {
        context.out.line("nothing to do: it is so already")?;
        return Ok(Exit::Done);
    }
    context.out.line(line)?;
    // What was wrong before is told by `rule list`; here only what these changes have brought.
    let known = RuleBook::new(&before).findings();
    for finding in RuleBook::new(&context.store.configuration().await?).findings() {
        if !known.iter().any(|one| one.rule == finding.rule && one.message == finding.message) {
            context.out.warn(&finding.to_string())?;
        }
    }
    // A profile that can be removed is given to no device.
    if !matches!(changes, [Change::RemoveProfile { .. }]) {
        context
            .out
            .hint("a running service decides devices anew within seconds; `adelie sync` does it now")?;
    }
    Ok(Exit::Done)
}

/// Warns of families that Apple has not named yet: such a condition holds for no device that there is.
fn warn_of_families(context: &Context, conditions: &[Condition]) -> anyhow::Result<()> {
    let families = conditions.iter().filter(|condition| condition.field() == Field::Family);
    for pattern in families.flat_map(Condition::patterns).map(ToString::to_string) {
        let known = DeviceFamily::KNOWN.iter().any(|family| family.as_str().eq_ignore_ascii_case(&pattern));
        if !known && !pattern.contains(['*', '?']) {
            let words: Vec<&str> = DeviceFamily::KNOWN.iter().map(DeviceFamily::as_str).collect();
            context
                .out
                .warn(&format!("no device has the family {pattern}: Apple's are {}", words.join(", ")))?;
        }
    }
    Ok(())
}

/// The condition that a device is one of those in a file.
fn listed(path: std::path::PathBuf) -> anyhow::Result<Condition> {
    let serials = serials::required(&Serials { serials: Vec::new(), file: Some(path) })?;
    let texts = serials.iter().map(|serial| serial.as_str());
    Condition::values(Field::Serial, texts).map_err(|error| wrong(error.to_string(), "mend the file"))
}

async fn only(
    context: &Context,
    server: Option<&ServerName>,
) -> anyhow::Result<Option<(ServerId, ServerName)>> {
    match server {
        Some(name) => {
            let server = context.server(name).await?;
            Ok(Some((server.id, server.name)))
        }
        None => Ok(None),
    }
}
