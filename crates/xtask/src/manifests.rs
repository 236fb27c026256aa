//! Manifests: one version per dependency, one set of lints, one set of package fields.

use anyhow::{Context as _, Result};
use toml::{Table, Value};

use crate::context::{Context, Package};
use crate::process::verdict;

/// Package fields that every crate takes from the workspace.
const SHARED_FIELDS: &[&str] = &["version", "edition", "rust-version", "license", "publish"];

/// The step `manifests`.
pub(crate) fn check(context: &Context) -> Result<()> {
    let mut findings = workspace_findings(&parse(&context.read("Cargo.toml")?)?);
    for package in context.graph()?.members() {
        let text = context.read(&package.manifest_path)?;
        let manifest =
            parse(&text).with_context(|| format!("in {}", context.shown(&package.manifest_path)))?;
        findings.extend(manifest_findings(&package.name, &manifest));
        findings.extend(attribute_findings(context, package)?);
    }
    verdict(findings, "versions and lints are written once, in the Cargo.toml of the workspace")
}

fn parse(text: &str) -> Result<Table> {
    toml::from_str(text).context("not a manifest")
}

/// The workspace forbids unsafe code for all, and names no version loosely.
fn workspace_findings(manifest: &Table) -> Vec<String> {
    let mut findings = Vec::new();
    let workspace = manifest.get("workspace");
    let unsafe_code = workspace
        .and_then(|value| value.get("lints"))
        .and_then(|value| value.get("rust"))
        .and_then(|value| value.get("unsafe_code"))
        .and_then(Value::as_str);
    if unsafe_code != Some("forbid") {
        findings.push("[workspace.lints.rust] has no `unsafe_code = \"forbid\"`".to_owned());
    }
    findings
}

fn manifest_findings(name: &str, manifest: &Table) -> Vec<String> {
    let mut findings = Vec::new();
    if !inherits(manifest.get("lints")) {
        findings.push(format!("{name}: no `[lints] workspace = true`"));
    }
    for field in SHARED_FIELDS {
        if !inherits(manifest.get("package").and_then(|package| package.get(field))) {
            findings.push(format!("{name}: `{field}` is not taken from the workspace"));
        }
    }
    for (table, entries) in dependency_tables(manifest) {
        for (dependency, entry) in entries {
            let itself = entry.get("path").and_then(Value::as_str) == Some(".");
            if !inherits(Some(entry)) && !itself {
                findings.push(format!("{name}: [{table}] {dependency} is not `workspace = true`"));
            }
        }
    }
    findings
}

/// All dependency tables of a manifest, those of single platforms too.
fn dependency_tables(manifest: &Table) -> Vec<(String, &Table)> {
    let mut found = tables_in("", manifest);
    if let Some(targets) = manifest.get("target").and_then(Value::as_table) {
        for (target, value) in targets {
            if let Some(table) = value.as_table() {
                found.extend(tables_in(&format!("target.{target}."), table));
            }
        }
    }
    found
}

fn tables_in<'a>(prefix: &str, manifest: &'a Table) -> Vec<(String, &'a Table)> {
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .into_iter()
        .filter_map(|name| Some((format!("{prefix}{name}"), manifest.get(name)?.as_table()?)))
        .collect()
}

fn inherits(value: Option<&Value>) -> bool {
    value.and_then(|value| value.get("workspace")).and_then(Value::as_bool) == Some(true)
}

/// Clippy sees `#[allow]` on items, but not the inner form that silences a lint for a whole file.
fn attribute_findings(context: &Context, package: &Package) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for (path, text) in package.rust_files()? {
        for (index, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("#![allow") {
                findings.push(format!(
                    "{}:{}: an inner `allow`; write `#![expect(…, reason = \"…\")]`",
                    context.shown(&path),
                    index + 1
                ));
            }
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [package]
        name = "x"
        version.workspace = true
        edition.workspace = true
        rust-version.workspace = true
        license.workspace = true
        publish.workspace = true
        [lints]
        workspace = true
        [dependencies]
        serde.workspace = true
        [dev-dependencies]
        x = { path = ".", features = ["tests"] }
    "#;

    #[test]
    fn a_manifest_that_inherits_everything_is_good() {
        assert_eq!(manifest_findings("x", &parse(GOOD).unwrap()), Vec::<String>::new());
    }

    #[test]
    fn a_version_of_its_own_is_found_in_every_table() {
        for table in
            ["dependencies", "dev-dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"]
        {
            let text = format!(
                "{}\n[{table}]\nhex = \"0.4\"\n",
                GOOD.replace("[dependencies]", "[x]").replace("[dev-dependencies]", "[y]")
            );
            let found = manifest_findings("x", &parse(&text).unwrap());
            assert_eq!(found.len(), 1, "{table}: {found:?}");
            assert!(found[0].contains("hex"), "{found:?}");
        }
    }

    #[test]
    fn own_lints_are_found() {
        let text = GOOD.replace("[lints]\n        workspace = true", "[lints.rust]\nunsafe_code = \"allow\"");
        assert_eq!(manifest_findings("x", &parse(&text).unwrap()), ["x: no `[lints] workspace = true`"]);
        assert_eq!(workspace_findings(&parse("[workspace]").unwrap()).len(), 1);
    }
}
