use std::collections::BTreeMap;

use adelie_model::{ProfileName, ServerName};
use adelie_rules::{Condition, Field};
use adelie_store::SyncSettings;
use adelie_store::configuration::{Configuration, ServerConfiguration, StoredRule};

use crate::FolderFile;
use crate::rules_file::{RuleEntry, RulesFile};
use crate::servers_file::{ServerEntry, SettingsEntry};

/// So many serial numbers in a condition go to a file of their own.
const LONG: usize = 20;

/// A profile as it is written to a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedProfile {
    /// Its name.
    pub name: ProfileName,
    /// The text of its file, in TOML.
    pub text: String,
}

/// The files of a folder that wants what is decided now: read back, it leads to no change.
///
/// # Errors
/// When something cannot be written as TOML.
pub fn export(
    configuration: &Configuration,
    profiles: Vec<ExportedProfile>,
) -> Result<Vec<FolderFile>, toml::ser::Error> {
    let mut files: Vec<FolderFile> = profiles
        .into_iter()
        .map(|profile| FolderFile { path: format!("profiles/{}.toml", profile.name), text: profile.text })
        .collect();
    let mut rules = RulesFile { rules: Vec::with_capacity(configuration.rules.len()) };
    for rule in &configuration.rules {
        let (entry, list) = entry(rule);
        rules.rules.push(entry);
        files.extend(list);
    }
    files.push(FolderFile { path: "rules.toml".to_owned(), text: toml::to_string_pretty(&rules)? });
    let servers: BTreeMap<&ServerName, ServerEntry> =
        configuration.servers.iter().map(|server| (&server.name, server_entry(server))).collect();
    files.push(FolderFile { path: "servers.toml".to_owned(), text: toml::to_string_pretty(&servers)? });
    Ok(files)
}

fn server_entry(server: &ServerConfiguration) -> ServerEntry {
    let defaults = server.defaults.iter().map(|(scope, profile)| (scope.to_string(), profile.clone()));
    let settings =
        (server.settings != SyncSettings::default()).then(|| SettingsEntry::from(&server.settings));
    ServerEntry { defaults: Some(defaults.collect()), settings }
}

/// A rule, and the file of its serial numbers when it has many.
fn entry(rule: &StoredRule) -> (RuleEntry, Option<FolderFile>) {
    // The list is the last condition when it is read, so that only a last one becomes a list.
    let (when, list) = match rule.conditions.split_last() {
        Some((last, rest)) if is_long_list(last) => {
            let serials: Vec<String> = last.patterns().iter().map(ToString::to_string).collect();
            (rest.to_vec(), Some(serials))
        }
        _ => (rule.conditions.clone(), None),
    };
    let file = list.map(|serials| FolderFile {
        path: format!("lists/{}.csv", rule.name),
        text: serials.join("\n") + "\n",
    });
    let entry = RuleEntry {
        name: rule.name.clone(),
        profile: rule.profile.clone(),
        server: rule.only.as_ref().map(|(_, name)| name.clone()),
        when,
        serials: file.as_ref().map(|file| file.path.clone()),
    };
    (entry, file)
}

/// Whether a condition is a list of many serial numbers, without any wildcard.
fn is_long_list(condition: &Condition) -> bool {
    let texts: Vec<String> = condition.patterns().iter().map(ToString::to_string).collect();
    condition.field() == Field::Serial
        && texts.len() >= LONG
        && texts.iter().all(|text| text.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        && Condition::values(Field::Serial, texts).is_ok_and(|list| list == *condition)
}
