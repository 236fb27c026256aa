//! Our crates import only downwards. The table is the law; ARCHITECTURE.md explains it.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::context::{Context, Dependency, Package};
use crate::process::verdict;

/// Which of our crates a crate may name, in any of its dependency tables.
enum Below {
    /// These and no others.
    Only(&'static [&'static str]),
    /// All: the crates at the top, that wire or test the whole.
    Anything,
}

use Below::{Anything, Only};

/// The allowed arrows. A new crate gets a row here, and with it a place in the house.
const ARROWS: &[(&str, Below)] = &[
    ("adelie-model", Only(&[])),
    ("adelie-token", Only(&["adelie-model"])),
    ("adelie-dep", Only(&["adelie-model"])),
    ("adelie-profile", Only(&["adelie-model"])),
    ("adelie-rules", Only(&["adelie-model"])),
    ("adelie-store", Only(&["adelie-model", "adelie-rules"])),
    ("adelie-store-sqlite", Only(&["adelie-model", "adelie-rules", "adelie-store"])),
    ("adelie-store-postgres", Only(&["adelie-model", "adelie-rules", "adelie-store"])),
    ("adelie-plan", Only(&["adelie-model", "adelie-profile", "adelie-rules", "adelie-store"])),
    (
        "adelie-scheduler",
        Only(&["adelie-model", "adelie-dep", "adelie-profile", "adelie-rules", "adelie-store"]),
    ),
    ("adelie-webhook", Only(&["adelie-model", "adelie-store"])),
    ("adelie-simulator", Only(&["adelie-model", "adelie-dep"])),
    ("adelie", Anything),
    ("adelie-tests", Anything),
    ("adelie-world", Anything),
    ("xtask", Only(&[])),
];

/// Crates of others that only some of ours may name, and why.
const RESERVED: &[(&str, &[&str], &str)] = &[
    (
        "sqlx",
        &["adelie-store-sqlite", "adelie-store-postgres", "adelie-tests"],
        "only a driver opens a database; the others know the traits of adelie-store",
    ),
    ("tokio-cron-scheduler", &["adelie-scheduler"], "only the scheduler decides when work starts"),
    (
        "reqwest",
        &["adelie-dep", "adelie-webhook", "adelie-simulator", "adelie-tests"],
        "all that is sent to Apple goes through adelie-dep, all that is sent to receivers through adelie-webhook and \
         its guard of internal addresses",
    ),
];

/// The step `layers`.
pub(crate) fn check(context: &Context) -> Result<()> {
    let graph = context.graph()?;
    let findings = graph.members().into_iter().flat_map(findings).collect();
    verdict(
        findings,
        "move the code to the crate that may know both, or pass what is needed in from above; \
         the table is in crates/xtask/src/layers.rs",
    )
}

fn findings(package: &Package) -> Vec<String> {
    let arrows: BTreeMap<&str, &Below> = ARROWS.iter().map(|(name, below)| (*name, below)).collect();
    let name = package.name.as_str();
    let Some(below) = arrows.get(name) else {
        return vec![format!("{name} has no row in the table of layers")];
    };
    package.dependencies.iter().filter_map(|dependency| finding(name, below, dependency)).collect()
}

fn finding(name: &str, below: &Below, dependency: &Dependency) -> Option<String> {
    let other = dependency.name.as_str();
    let table = match dependency.kind.as_deref() {
        Some(kind) => format!("[{kind}-dependencies]"),
        None => "[dependencies]".to_owned(),
    };
    if dependency.path.is_some() {
        // A crate may name itself, to switch on a feature of its own in its tests.
        let allowed = other == name
            || match below {
                Anything => true,
                Only(names) => names.contains(&other),
            };
        return (!allowed).then(|| format!("{name} {table} names {other}, which is not below it"));
    }
    // The end-to-end tests look at the whole from outside, into its database and its traffic too.
    if matches!(below, Anything) && dependency.kind.as_deref() == Some("dev") {
        return None;
    }
    let (_, users, why) = RESERVED.iter().find(|(reserved, ..)| *reserved == other)?;
    (!users.contains(&name)).then(|| format!("{name} {table} names {other}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(name: &str, kind: Option<&str>) -> Dependency {
        Dependency {
            name: name.to_owned(),
            rename: None,
            kind: kind.map(str::to_owned),
            path: Some("/anywhere".into()),
        }
    }

    #[test]
    fn arrows_point_down_in_every_table() {
        let below = Only(&["adelie-model"]);
        assert_eq!(finding("adelie-dep", &below, &ours("adelie-model", None)), None);
        assert_eq!(finding("adelie-dep", &below, &ours("adelie-dep", Some("dev"))), None);
        let found = finding("adelie-dep", &below, &ours("adelie-store", Some("dev")));
        assert_eq!(
            found.as_deref(),
            Some("adelie-dep [dev-dependencies] names adelie-store, which is not below it")
        );
    }

    #[test]
    fn only_a_driver_opens_a_database() {
        let sqlx = Dependency { name: "sqlx".into(), rename: None, kind: None, path: None };
        assert!(finding("adelie-simulator", &Anything, &sqlx).is_some());
        assert!(finding("adelie-store-sqlite", &Only(&[]), &sqlx).is_none());
        let sqlx_for_tests = Dependency { kind: Some("dev".into()), ..sqlx };
        assert!(finding("adelie", &Anything, &sqlx_for_tests).is_none());
        assert!(finding("adelie-store", &Only(&[]), &sqlx_for_tests).is_some());
    }

    #[test]
    fn the_table_has_no_cycle() {
        // Every row names only rows above it, so no arrow can come back.
        let names: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
        for (index, (name, below)) in ARROWS.iter().enumerate() {
            if let Only(allowed) = below {
                for other in *allowed {
                    assert!(
                        names[..index].contains(other),
                        "{name} names {other}, which has no row above it"
                    );
                }
            }
        }
    }
}
