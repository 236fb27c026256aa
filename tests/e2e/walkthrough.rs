//! docs/walkthrough-macos.md, command by command.
//!
//! The fenced blocks with the info string `sh` are run in their order, each in a shell of its own that stops at the first
//! command that fails; `sh ends with 2` is one that ends with that code. A block `text` behind it shows lines of what it
//! prints, in which `…` stands for anything. All other blocks are for readers alone.

use std::path::Path;

use adelie_simulator::Settings;

use crate::harness::{Database, LAB, Run, World};

/// The page has the reader start the simulator here; the test has one on a port of its own.
const SIMULATOR: &str = "http://127.0.0.1:8081";

#[test]
fn the_walkthrough_works_as_it_is_printed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/walkthrough-macos.md");
    let page = std::fs::read_to_string(path).expect("docs/walkthrough-macos.md");
    let world = World::empty(Database::Sqlite, Settings { devices: 0, ..Settings::default() });
    let (mut last, mut ran): (Option<Run>, u32) = (None, 0);
    for (info, text) in blocks(&page) {
        if let Some(ends) = info.strip_prefix("sh") {
            let code = ends.strip_prefix(" ends with ").unwrap_or("0").parse().expect("an exit code");
            last = Some(world.shell(&text.replace(SIMULATOR, &world.apple.url)).exits(code));
            ran += 1;
        } else if info == "text" {
            let run = last.as_ref().expect("a block before it that prints something");
            text.lines().for_each(|line| assert_printed(run, line));
        }
    }
    assert!(ran >= 20, "only {ran} blocks were found");
    world.assert_exact("acme", LAB);
    let command = std::fs::read_to_string(world.path("AccountConfiguration.plist")).expect("the command");
    assert!(command.contains("<string>robin</string>") && command.contains("passwordHash"), "{command}");
}

/// The fenced blocks of a page, as info string and text.
fn blocks(page: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let text: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((info, text.join("\n")));
        }
    }
    blocks
}

/// Fails unless the run has printed this line, in which `…` stands for anything.
#[track_caller]
fn assert_printed(run: &Run, line: &str) {
    let mut printed = run.stdout.lines().chain(run.stderr.lines());
    assert!(printed.any(|printed| fits(line, printed)), "the page shows {line:?}, which is not in\n{run}");
}

fn fits(shown: &str, printed: &str) -> bool {
    let mut parts = shown.trim().split('…');
    let Some(mut rest) = printed.trim().strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}
