//! What cargo-deny checks, from the same deny.toml, on machines that do not have cargo-deny.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::context::Context;
use crate::licences::fulfilled;
use crate::process::{cargo, say, verdict};

/// How Cargo.lock marks what comes from a registry, in contrast to `git+` and paths.
const REGISTRY: &str = "registry+";

/// The parts of deny.toml that we read too.
#[derive(Deserialize)]
pub(crate) struct DenyFile {
    pub(crate) graph: GraphSection,
    bans: BansSection,
    licenses: LicensesSection,
}

/// `[graph]`: which platforms count.
#[derive(Deserialize)]
pub(crate) struct GraphSection {
    pub(crate) targets: Vec<String>,
}

#[derive(Deserialize)]
struct BansSection {
    #[serde(default)]
    skip: Vec<Skip>,
}

#[derive(Deserialize)]
struct LicensesSection {
    allow: BTreeSet<String>,
}

/// A version that may stand beside another one of the same crate.
#[derive(Deserialize)]
struct Skip {
    name: String,
    version: String,
    #[serde(default)]
    reason: String,
}

impl DenyFile {
    /// Reads deny.toml.
    pub(crate) fn read(context: &Context) -> Result<Self> {
        toml::from_str(&context.read("deny.toml")?).context("cannot read deny.toml")
    }
}

impl Skip {
    /// We write the compatible version ("0.22", "2"), so that an update inside it changes nothing here.
    fn covers(&self, name: &str, version: &str) -> bool {
        self.name == name
            && version
                .strip_prefix(&self.version)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    fn shown(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

/// The step `sources`.
pub(crate) fn sources(context: &Context) -> Result<()> {
    let mut findings = Vec::new();
    let mut registries = BTreeSet::new();
    for package in context.graph()?.others() {
        let from = package.source.as_deref().unwrap_or("a path outside the workspace");
        if !from.starts_with(REGISTRY) {
            findings.push(format!("{} {} comes from {from}", package.name, package.version));
        }
        registries.insert(from.to_owned());
    }
    if findings.is_empty() && registries.len() > 1 {
        findings.push(format!("dependencies come from {} registries", registries.len()));
    }
    verdict(findings, "use a release from the registry")
}

/// The step `licenses`.
pub(crate) fn licences(context: &Context) -> Result<()> {
    let allow = DenyFile::read(context)?.licenses.allow;
    let mut findings = Vec::new();
    for package in &context.graph()?.packages {
        let name = format!("{} {}", package.name, package.version);
        let Some(expression) = package.license.as_deref() else {
            findings.push(format!("{name} states no licence"));
            continue;
        };
        match fulfilled(expression, &|licence| allow.contains(licence)) {
            Ok(true) => {}
            Ok(false) => findings.push(format!("{name}: {expression} is not on the list")),
            Err(error) => findings.push(format!("{name}: {error:#}")),
        }
    }
    verdict(findings, "look for another crate; add a licence to deny.toml only with its reason")
}

/// The step `duplicates`.
pub(crate) fn duplicates(context: &Context) -> Result<()> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in &context.graph()?.packages {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    verdict(
        duplicate_findings(&versions, &DenyFile::read(context)?.bans.skip),
        "`cargo tree -d --workspace` shows who asks for which; [bans] skip in deny.toml takes the ones that \
         cannot be helped, each with its reason",
    )
}

fn duplicate_findings(versions: &BTreeMap<&str, BTreeSet<&str>>, skips: &[Skip]) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, found) in versions {
        let unexplained: Vec<&str> = found
            .iter()
            .copied()
            .filter(|version| !skips.iter().any(|skip| skip.covers(name, version)))
            .collect();
        if unexplained.len() > 1 {
            findings.push(format!("{name} is there as {}", unexplained.join(" and ")));
        }
    }
    for skip in skips {
        let other = versions.get(skip.name.as_str()).is_some_and(|found| found.len() > 1)
            && versions[skip.name.as_str()].iter().any(|version| skip.covers(&skip.name, version));
        if !other {
            findings.push(format!("deny.toml skips {}, which is no longer there twice", skip.shown()));
        }
        if skip.reason.trim().is_empty() {
            findings.push(format!("deny.toml skips {} without a reason", skip.shown()));
        }
    }
    findings
}

/// The step `deny`.
pub(crate) fn cargo_deny(context: &Context) -> Result<()> {
    if !cargo(context, &["deny", "--version"]).works() {
        say("    cargo-deny is not installed; the steps sources, licenses and duplicates stood in for it");
        return Ok(());
    }
    cargo(context, &["deny", "--locked", "check", "bans", "licenses", "sources"])
        .run("cargo-deny says above what it found; deny.toml holds the exceptions")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions<'a>(list: &[(&'a str, &[&'a str])]) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
        list.iter().map(|(name, found)| (*name, found.iter().copied().collect())).collect()
    }

    fn skip(name: &str, version: &str, reason: &str) -> Skip {
        Skip { name: name.into(), version: version.into(), reason: reason.into() }
    }

    #[test]
    fn two_versions_need_a_reason() {
        let twice = versions(&[("base64", &["0.22.1", "0.23.1"])]);
        assert_eq!(duplicate_findings(&twice, &[]), ["base64 is there as 0.22.1 and 0.23.1"]);
        assert!(duplicate_findings(&twice, &[skip("base64", "0.22", "reqwest is ahead")]).is_empty());
        assert_eq!(
            duplicate_findings(&twice, &[skip("base64", "0.22", " ")]),
            ["deny.toml skips base64 0.22 without a reason"]
        );
    }

    #[test]
    fn a_skip_does_not_outlive_its_duplicate() {
        let gone = ["deny.toml skips base64 0.22, which is no longer there twice"];
        let skips = [skip("base64", "0.22", "reqwest is ahead")];
        assert_eq!(duplicate_findings(&versions(&[("base64", &["0.22.1"])]), &skips), gone);
        assert_eq!(duplicate_findings(&versions(&[]), &skips), gone);
    }

    #[test]
    fn a_skip_covers_whole_numbers() {
        assert!(skip("a", "0.2", "").covers("a", "0.2.17"));
        assert!(!skip("a", "0.2", "").covers("a", "0.22.1"));
        assert!(!skip("a", "0.2", "").covers("b", "0.2.17"));
    }
}
