//! Dependencies that nobody names.
//!
//! A dependency is used when its name occurs as a word in the code of the crate. That is coarse but quick, and
//! it needs no nightly compiler.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use toml::{Table, Value};

use crate::context::Context;
use crate::process::verdict;

/// Dependencies that no code names, and what they are for.
const EXCEPTIONS: &[(&str, &str, &str)] =
    &[("adelie-store-postgres", "sqlx-core", "named only to switch on the TLS of sqlx")];

/// The step `unused`.
pub(crate) fn check(context: &Context) -> Result<()> {
    let mut findings = Vec::new();
    let mut named = BTreeSet::new();
    for package in context.graph()?.members() {
        let code: String = package.rust_files()?.iter().map(|(_, text)| without_comments(text)).collect();
        let mut unused = Vec::new();
        for dependency in &package.dependencies {
            let name = dependency.rename.as_deref().unwrap_or(&dependency.name);
            named.insert(name.to_owned());
            let excepted =
                EXCEPTIONS.iter().any(|(member, other, _)| *member == package.name && *other == name);
            // A crate that names itself does so to switch on a feature in its tests.
            if name == package.name || excepted || has_word(&code, &name.replace('-', "_")) {
                continue;
            }
            if !unused.contains(&name) {
                unused.push(name);
            }
        }
        if !unused.is_empty() {
            findings.push(format!("{} does not use {}", package.name, unused.join(", ")));
        }
    }
    let manifest: Table = toml::from_str(&context.read("Cargo.toml")?).context("cannot read Cargo.toml")?;
    let shared = manifest.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    for name in shared.and_then(Value::as_table).into_iter().flat_map(Table::keys) {
        if !named.contains(name) {
            findings.push(format!("[workspace.dependencies] {name} is asked for by no crate"));
        }
    }
    verdict(
        findings,
        "take them out of the manifest; one that is needed without being named goes into EXCEPTIONS in \
         crates/xtask/src/unused.rs, with its reason",
    )
}

/// The code without its comment lines, in which a name would prove nothing.
fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| [line, "\n"]).collect()
}

fn has_word(text: &str, word: &str) -> bool {
    let inside = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + word.len()..].chars().next();
        !before.is_some_and(inside) && !after.is_some_and(inside)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_only_as_a_whole_word() {
        assert!(has_word("use serde_json::Value;", "serde_json"));
        assert!(!has_word("use serde_json::Value;", "serde"));
        assert!(!has_word("let myserde = 1;", "serde"));
        assert!(has_word("hex", "hex"));
    }

    #[test]
    fn a_comment_is_no_use() {
        assert!(!has_word(&without_comments("// serde\n    /// serde\nfn a() {}"), "serde"));
    }
}
