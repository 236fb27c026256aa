//! The table of field lessons: what has broken elsewhere, and which of our tests keeps it from happening here.
//!
//! Tests name the lessons in their doc comments (`/// L4: …`). The table in the book is written from them, so that it
//! cannot drift; a lesson without a test that drives the real program against the simulator is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::context::Context;

/// The table in the book.
pub(crate) const TABLE: &str = "docs/lessons.md";

/// Tests of the whole program, and of the whole engine under simulated time.
const WHOLE: [&str; 2] = ["tests/e2e", "tests/world"];

/// What must hold, by the row of the lesson. L19 does not exist.
const LESSONS: [(u32, &str); 42] = [
    (1, "A page's devices, events, assignment intents and cursor are stored in one transaction"),
    (
        2,
        "The cursor that was sent comes back: paging stops until the next cycle, and after several a full sync",
    ),
    (3, "A lost cursor leads to one full listing per run, a finished listing goes on with the sync"),
    (4, "A page is folded by serial number over all op types; the newest wins, on a tie the later"),
    (5, "`removed` and `empty` mean that a profile is needed, whatever the UUID says"),
    (6, "Decisions are made from state, never from the op type"),
    (7, "A full sync, and a question about a single device, find what the sync cursor never told of"),
    (8, "A device that left without an event becomes a tombstone after a complete listing"),
    (9, "An empty, broken or implausibly small listing removes nothing without an operator's word"),
    (10, "A device that comes back is assigned again, whatever was remembered"),
    (11, "An event that comes twice is told once and assigns nothing"),
    (12, "Absent, null and empty are alike, erase nothing in a sync, and unknown words are kept"),
    (13, "A cursor is opaque text of up to 1000 characters"),
    (14, "A decision reads what its own transaction, and every one before it, has written"),
    (15, "No transaction spans a network call; an event exists if and only if its change was committed"),
    (16, "A killed process blocks nobody for longer than its lease, and writes nothing once it has lost it"),
    (17, "One re-authentication per request, and none where it does not help"),
    (18, "One process works on an MDM server at a time"),
    (20, "Apple's answer for every serial number is stored and shown"),
    (21, "A throttled device is left alone for as long as Apple says, across restarts"),
    (22, "At most 1000 serial numbers in a request"),
    (23, "Every serial number that was sent ends in a state or with a time"),
    (24, "Nothing is assigned that Apple already shows as wanted"),
    (25, "A changed default or profile re-evaluates every device of the server"),
    (26, "A full sync changes no decision by itself"),
    (27, "A profile that Apple refuses holds its own devices only"),
    (28, "A device that is not accessible is asked about, and leaves the work list when it is gone"),
    (29, "After an answer that was lost, Apple is asked before anything is sent again"),
    (30, "A server can be added paused and gets its default before its first sync"),
    (31, "False is sent when it is set, unset keys are left out, unknown keys pass through"),
    (32, "Defaults never change by themselves, and who changed them is written"),
    (40, "Renewal is all or nothing: the old token works until Apple has taken the new one"),
    (41, "The token of another MDM server is refused unless forced"),
    (42, "A bad token stops neither the service nor another token"),
    (43, "A token has one named state, with its remedy"),
    (44, "Accepted terms are found out at once when asked, and slowly by itself"),
    (45, "The User-Agent can be set, and is sent when a session begins, too"),
    (46, "Secrets are sealed at rest and shown nowhere, files are their owner's alone"),
    (47, "A message's marker is cut off as a whole line, never as a set of characters"),
    (60, "Webhooks are signed, tried again, replayable, and have ids that stay"),
    (61, "A wrong or missing key is named with the one expected and what to do"),
    (62, "Last sync, health and history are shown, and a sync can be forced"),
];

/// A test that names a lesson.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Test {
    file: String,
    name: String,
}

/// The text of the table.
pub(crate) fn table(context: &Context) -> Result<String> {
    let mut tests: BTreeMap<u32, BTreeSet<Test>> = BTreeMap::new();
    for folder in ["crates", "tests"] {
        for path in sources(&context.root.join(folder))? {
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let file = path.strip_prefix(&context.root).unwrap_or(&path).display().to_string();
            for (row, name) in named(&text) {
                tests.entry(row).or_default().insert(Test { file: file.clone(), name });
            }
        }
    }
    let whole = |test: &&Test| WHOLE.iter().any(|folder| test.file.starts_with(folder));
    let bare: Vec<_> = LESSONS
        .iter()
        .filter(|(row, _)| !tests.get(row).into_iter().flatten().any(|test| whole(&test)))
        .map(|(row, _)| format!("L{row}"))
        .collect();
    if !bare.is_empty() {
        bail!(
            "no test in {} names {}\nhint: write one, with the row in its doc comment",
            WHOLE.join(" or "),
            bare.join(", ")
        );
    }
    let mut text = String::from(
        "# Field lessons\n\n\
         What has broken in comparable services, turned into what must hold here, and the tests that see to it. The\n\
         tests name the row in their doc comments; this page is written from them by `cargo xtask generate`. Tests in\n\
         `tests/e2e` drive the real program against the simulator, on SQLite and on PostgreSQL; `tests/world` runs the\n\
         whole engine under simulated time; the cases in `crates/store/src/contract` run on both databases.\n\n\
         | Row | What must hold | Tests |\n|---|---|---|\n",
    );
    for (row, holds) in LESSONS {
        let (mut first, mut rest): (Vec<_>, Vec<_>) =
            tests.get(&row).into_iter().flatten().partition(|test| whole(test));
        first.append(&mut rest);
        let names: Vec<_> =
            first.iter().map(|test| format!("[{}](../{})", test.name.replace('_', " "), test.file)).collect();
        writeln!(text, "| L{row} | {holds} | {} |", names.join("<br>"))?;
    }
    Ok(text)
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("target") {
            found.append(&mut sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The lessons that doc comments name, each with the function below the comment.
fn named(text: &str) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    let mut rows = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            rows.extend(rows_in(comment));
            continue;
        }
        let name = line
            .split_once("fn ")
            .filter(|(before, _)| before.split_whitespace().all(|word| matches!(word, "pub" | "async")))
            .and_then(|(_, rest)| rest.split(['(', '<']).next());
        match name {
            Some(name) => {
                found.extend(std::mem::take(&mut rows).into_iter().map(|row| (row, name.to_owned())))
            }
            None if line.starts_with('#') => {}
            None => rows.clear(),
        }
    }
    found
}

fn rows_in(comment: &str) -> Vec<u32> {
    // "field lesson L4" points to a lesson from the code; only a test's own comment names it by itself.
    if comment.contains("field lesson") {
        return Vec::new();
    }
    comment
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter_map(|word| word.strip_prefix('L')?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_below_a_comment_is_the_test() {
        let text = "    /// L4, L12: two rows\n    /// over two lines (L6).\n    #[tokio::test]\n    async fn folds() {}\n\
                    /// See (field lesson L9).\nfn other() {}\n/// L7: no function\nstruct S;\nfn third() {}\n\
                    /// L8: a case\npub async fn case(fixture: &dyn Fixture) -> Case {}\n";
        let expected = [(4, "folds"), (6, "folds"), (12, "folds"), (8, "case")];
        assert_eq!(named(text), expected.map(|(row, name)| (row, name.to_owned())));
    }
}
