//! `cargo xtask mutations`: breaks the engine on purpose, one line at a time, and sees whether the simulated world finds
//! out. A mutation that survives is a hole in the tests.
//!
//! It works on a copy of the tree, so that an interrupted run leaves nothing behind. Each mutation takes about a minute
//! on two cores, so that CI only checks that each still fits the code.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::context::Context;
use crate::process::say;

/// A fault that is built into the engine.
struct Mutation {
    name: &'static str,
    /// What it makes the engine do.
    about: &'static str,
    file: &'static str,
    find: &'static str,
    replace: &'static str,
}

const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "no-fence",
        about: "a copy that has lost its lease goes on writing",
        file: "crates/store-sqlite/src/fence.rs",
        find: "WHERE id = ?1 AND lease_epoch = ?2 AND lease_owner = ?3",
        replace: "WHERE id = ?1 AND ?2 IS NOT NULL AND ?3 IS NOT NULL",
    },
    Mutation {
        name: "cursor-first",
        about: "the cursor is stored before the devices of its page",
        file: "crates/scheduler/src/sync.rs",
        find: "let committed = job.store().commit_pages(&job.lease, pages, ahead).await?;",
        replace: "let early: Vec<_> =\n            pages.iter().map(|page| PageCommit { records: Vec::new(), ..page.clone() }).collect();\n        \
                  job.store().commit_pages(&job.lease, &early, None).await?;\n        \
                  let committed = job.store().commit_pages(&job.lease, pages, ahead).await?;",
    },
    Mutation {
        name: "results-dropped",
        about: "only Apple's SUCCESS is stored",
        file: "crates/scheduler/src/assign.rs",
        find: "store.settle(&job.lease, revision, settlements, job.now()).await?;",
        replace: "let good: Vec<_> =\n            settlements.iter().filter(|s| s.state == AssignState::Assigned).cloned().collect();\n        \
                  store.settle(&job.lease, revision, &good, job.now()).await?;",
    },
    Mutation {
        name: "never-read-back",
        about: "what was sent and not answered is never asked about",
        file: "crates/scheduler/src/assign.rs",
        find: "let doubtful = job.store().to_read_back(&job.lease, job.now(), BATCH).await?;",
        replace: "let doubtful: Vec<SerialNumber> = Vec::new();",
    },
    Mutation {
        name: "ambiguous-sent-again",
        about: "an assignment without a clear answer is sent again without asking",
        file: "crates/scheduler/src/assign.rs",
        find: "                if let Err(error) = read_back::read_back(job, &serials()).await? {",
        replace: "                store.unclaim(&job.lease, &serials(), \"again\", job.now()).await?;\n                \
                  if let Err(error) = read_back::read_back(job, &[]).await? {",
    },
    Mutation {
        name: "left-out-sent-again",
        about: "a device that an answer leaves out is sent again without asking",
        file: "crates/scheduler/src/settle.rs",
        find: "        None => (\n            AssignState::Failed,",
        replace: "        None => (\n            AssignState::Due,",
    },
    Mutation {
        name: "doubt-forgotten",
        about: "that an outcome is open is forgotten when another profile is wanted",
        file: "crates/store/src/page/decide.rs",
        find: "    if known == Known::Before && asks_first(before, same_wish) && cool_down.is_none() {",
        replace: "    if known == Known::Before && asks_first(before, true) && cool_down.is_none() {",
    },
    Mutation {
        name: "tombstone-stays",
        about: "a device that comes back stays removed",
        file: "crates/store/src/page/merge.rs",
        find: "    if before.removed_at.is_some() {\n        let device = fresh(",
        replace: "    if before.removed_at.is_some() && before.op_date.is_none() {\n        let device = fresh(",
    },
    Mutation {
        name: "repeats-believed",
        about: "an old event that comes again is folded in once more",
        file: "crates/store/src/page/merge.rs",
        find: "new < known || (new == known",
        replace: "false && new < known || (false && new == known",
    },
    Mutation {
        name: "throttled-at-once",
        about: "a throttled device is sent again at once",
        file: "crates/scheduler/src/settle.rs",
        find: "Some(throttled(retry_after_seconds)),",
        replace: "Some(throttled(retry_after_seconds) * 0),",
    },
    Mutation {
        name: "retry-after-ignored",
        about: "Apple's wish to be left alone is not kept",
        file: "crates/scheduler/src/job.rs",
        find: "if let Some(until) = error.wait_until() {",
        replace: "if let Some(until) = error.wait_until().filter(|_| false) {",
    },
    Mutation {
        name: "default-ignored",
        about: "a changed default reaches no device that is there already",
        file: "crates/scheduler/src/assign.rs",
        find: "if store.decisions_pending(job.server.id).await? {",
        replace: "if store.decisions_pending(job.server.id).await? && false {",
    },
    Mutation {
        name: "oldest-wins",
        about: "of several events of a device in a page the oldest wins",
        file: "crates/store/src/page/fold.rs",
        find: "all.sort_by_key(|(date, _)| *date);",
        replace: "all.sort_by_key(|(date, _)| std::cmp::Reverse(*date));",
    },
    Mutation {
        name: "guard-off",
        about: "a list that lacks most devices removes them",
        file: "crates/scheduler/src/sync.rs",
        find: "if !plausible && !self.accept_removals {",
        replace: "if !plausible && !self.accept_removals && false {",
    },
    Mutation {
        name: "absent-stay",
        about: "a complete list removes nothing",
        file: "crates/scheduler/src/sync.rs",
        find: "if count.absent == 0 {",
        replace: "if count.absent < u64::MAX {",
    },
    Mutation {
        name: "removed-status-is-fine",
        about: "the wanted UUID counts whatever the status says",
        file: "crates/store/src/page/decide.rs",
        find: "        _ => None,\n    }\n}\n\n/// What Apple shows instead",
        replace: "        _ => Some(AssignState::Assigned),\n    }\n}\n\n/// What Apple shows instead",
    },
    Mutation {
        name: "work-forgotten",
        about: "after a piece of work the MDM server is never looked at again by itself",
        file: "crates/scheduler/src/engine.rs",
        find: "let not_before = troubled.then(|| now + TimeDelta::seconds(1 << setbacks.min(8)));",
        replace: "let not_before = Some(now + TimeDelta::days(if troubled { 3650 } else { 3651 }));",
    },
    Mutation {
        name: "sent-late",
        about: "a copy that slept past its lease still sends what it had claimed",
        file: "crates/scheduler/src/assign.rs",
        find: "let may_leave = || job.may_send();",
        replace: "let may_leave = || true;",
    },
];

/// The step of CI: every mutation still fits the code, at one place.
pub(crate) fn check(context: &Context) -> Result<()> {
    for mutation in MUTATIONS {
        mutated(mutation, &context.read(mutation.file)?)?;
    }
    Ok(())
}

/// Runs the simulated world against every mutation, or against the one of that name.
pub(crate) fn run(context: &Context, only: Option<&str>) -> Result<()> {
    let chosen: Vec<_> = MUTATIONS.iter().filter(|one| only.is_none_or(|name| one.name == name)).collect();
    if chosen.is_empty() {
        let names: Vec<_> = MUTATIONS.iter().map(|one| one.name).collect();
        bail!("there is no such mutation\nhint: the mutations are {}", names.join(", "));
    }
    let target = context.graph()?.target_directory.join("mutations");
    let tree = target.join("tree");
    copy_tree(&context.root, &tree)?;
    if !world_passes(&tree, &target)? {
        bail!("the simulated world fails without any mutation\nhint: run `cargo test -p adelie-world`");
    }
    let mut survivors = Vec::new();
    say("| Mutation | What it makes the engine do | Caught | Seconds |\n|---|---|---|---:|");
    for mutation in chosen {
        let path = tree.join(mutation.file);
        // Of the copy, whatever has been changed in the tree since.
        let whole =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        std::fs::write(&path, mutated(mutation, &whole)?)?;
        let began = Instant::now();
        let caught = !world_passes(&tree, &target)?;
        std::fs::write(&path, whole)?;
        say(&format!(
            "| `{}` | {} | {} | {:.0} |",
            mutation.name,
            mutation.about,
            if caught { "yes" } else { "**no**" },
            began.elapsed().as_secs_f64()
        ));
        if !caught {
            survivors.push(mutation.name);
        }
    }
    if !survivors.is_empty() {
        bail!("not caught: {}", survivors.join(", "));
    }
    Ok(())
}

fn mutated(mutation: &Mutation, whole: &str) -> Result<String> {
    match whole.matches(mutation.find).count() {
        1 => Ok(whole.replace(mutation.find, mutation.replace)),
        times => bail!(
            "mutation `{}` fits {} at {times} places, not at one\nhint: adapt it in crates/xtask/src/mutations.rs",
            mutation.name,
            mutation.file
        ),
    }
}

/// Whether the world is content. A mutation that does not compile would look like one that is caught, so that it is
/// compiled first.
fn world_passes(tree: &Path, target: &Path) -> Result<bool> {
    let cargo = |arguments: &[&str]| -> Result<bool> {
        let status = Command::new("cargo")
            .args(arguments)
            .current_dir(tree)
            .env("CARGO_TARGET_DIR", target.join("build"))
            .env("RUSTFLAGS", "--cap-lints allow")
            // That it fails is enough; nobody reads by which world.
            .env("ADELIE_WORLD_SHRINKS", "0")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        Ok(status.context("cargo does not start")?.success())
    };
    let test = ["test", "--locked", "-p", "adelie-world"];
    if !cargo(&[&test[..], &["--no-run"]].concat())? {
        bail!("the mutated tree does not compile\nhint: look at {}", tree.display());
    }
    cargo(&test)
}

/// Copies what is under version control or could be, without what was built.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to).with_context(|| format!("cannot empty {}", to.display()))?;
    }
    for entry in entries(from)? {
        let name = entry.file_name().unwrap_or_default().to_owned();
        if entry.is_dir() && (name == "target" || name == ".git") {
            continue;
        }
        let goal = to.join(&name);
        if entry.is_dir() {
            copy_tree(&entry, &goal)?;
        } else {
            std::fs::create_dir_all(to)?;
            std::fs::copy(&entry, &goal).with_context(|| format!("cannot copy {}", entry.display()))?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    list.map(|entry| Ok(entry?.path())).collect()
}
