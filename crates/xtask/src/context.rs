//! The workspace as cargo describes it, read once.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::deny::DenyFile;
use crate::process::cargo;
use crate::suite::Figures;

/// What the steps share.
pub(crate) struct Context {
    /// The folder of the workspace.
    pub(crate) root: PathBuf,
    /// What the tests counted, once they ran.
    pub(crate) figures: Cell<Option<Figures>>,
    graph: OnceCell<Graph>,
}

/// The answer of `cargo metadata`, as far as we read it.
#[derive(Deserialize)]
pub(crate) struct Graph {
    pub(crate) packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
    workspace_members: BTreeSet<String>,
}

/// One crate of the graph, ours or not.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    id: String,
    pub(crate) license: Option<String>,
    /// `None` for a crate that is read from a path.
    pub(crate) source: Option<String>,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

/// A library, program, test or example of a crate.
#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    src_path: PathBuf,
}

/// An entry in one of the dependency tables of a manifest.
#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) rename: Option<String>,
    /// `None` for a normal dependency, else "dev" or "build".
    pub(crate) kind: Option<String>,
    pub(crate) path: Option<PathBuf>,
}

impl Context {
    /// Finds the workspace.
    pub(crate) fn new() -> Result<Self> {
        // Set by `cargo run`, and true for the checkout we were started in.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask`")?;
        let root =
            Path::new(&manifest).ancestors().nth(2).context("crates/xtask has no workspace above it")?;
        Ok(Self { root: root.to_owned(), figures: Cell::new(None), graph: OnceCell::new() })
    }

    /// The graph of all crates, for the platforms that deny.toml names, with every feature on.
    pub(crate) fn graph(&self) -> Result<&Graph> {
        if let Some(graph) = self.graph.get() {
            return Ok(graph);
        }
        let targets = DenyFile::read(self)?.graph.targets;
        let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
        let platforms = targets.iter().flat_map(|target| ["--filter-platform", target]);
        let arguments: Vec<&str> = ["metadata", "--format-version", "1", "--locked", "--all-features"]
            .into_iter()
            .chain(platforms)
            .collect();
        let text = cargo(self, &arguments).output().context(
            "Cargo.lock and the manifests have to agree; `cargo check` brings the lock file up to date",
        )?;
        let mut graph: Graph =
            serde_json::from_str(&text).context("cannot read the answer of `cargo metadata`")?;
        // `cargo metadata` also lists crates that only a feature of an absent crate would ask for;
        // `cargo tree` lists what is built.
        let built = self.built(&targets)?;
        graph.packages.retain(|package| built.contains(&(package.name.clone(), package.version.clone())));
        Ok(self.graph.get_or_init(|| graph))
    }

    /// Name and version of every crate that is built for one of these platforms.
    fn built(&self, targets: &[&str]) -> Result<BTreeSet<(String, String)>> {
        let platforms = targets.iter().flat_map(|target| ["--target", target]);
        let arguments: Vec<&str> =
            ["tree", "--workspace", "--locked", "--all-features", "--prefix", "none", "--format", "{p}"]
                .into_iter()
                .chain(platforms)
                .collect();
        let text = cargo(self, &arguments).output()?;
        let name_and_version = |line: &str| {
            let (name, rest) = line.split_once(" v")?;
            Some((name.to_owned(), rest.split(' ').next()?.to_owned()))
        };
        Ok(text.lines().filter_map(name_and_version).collect())
    }

    /// A text file of the workspace.
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> Result<String> {
        let path = self.root.join(path);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// A path as a contributor writes it, from the root of the workspace.
    pub(crate) fn shown<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

impl Graph {
    /// Our own crates, by name.
    pub(crate) fn members(&self) -> Vec<&Package> {
        let mut members: Vec<&Package> =
            self.packages.iter().filter(|package| self.workspace_members.contains(&package.id)).collect();
        members.sort_by(|one, other| one.name.cmp(&other.name));
        members
    }

    /// The crates that are not ours.
    pub(crate) fn others(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| !self.workspace_members.contains(&package.id))
    }
}

impl Package {
    /// Every Rust file of the crate with its text: what lies beside or below the root of one of its targets,
    /// wherever that is.
    pub(crate) fn rust_files(&self) -> Result<Vec<(PathBuf, String)>> {
        let mut files = Vec::new();
        for target in &self.targets {
            if target.kind.iter().any(|kind| kind == "custom-build") {
                // A build script lies beside the manifest; what is below that is not its own.
                files.push(target.src_path.clone());
            } else if let Some(folder) = target.src_path.parent() {
                collect(folder, &mut files)?;
            }
        }
        files.sort();
        files.dedup();
        let mut texts = Vec::with_capacity(files.len());
        for file in files {
            let text =
                std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            texts.push((file, text));
        }
        Ok(texts)
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {}", folder.display()))?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
