//! Checks of the `adelie` program itself: its generated reference and its demo.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::context::Context;
use crate::process::{cargo, program, say};
use crate::{lessons, readme};

/// What writes a page.
type Writer = fn(&Context) -> Result<String>;

/// The generated pages: the reference of all commands, written from the program's own help, the schema of webhooks,
/// written from the types of events, and the table of field lessons, written from the tests.
const GENERATED: [(&str, Writer); 3] = [
    ("docs/cli.md", cli_reference),
    ("docs/events.schema.json", events_schema),
    (lessons::TABLE, lessons::table),
];

/// `cargo xtask generate`.
pub(crate) fn generate(context: &Context) -> Result<()> {
    for (page, write) in GENERATED {
        let path = context.root.join(page);
        std::fs::write(&path, write(context)?).with_context(|| format!("cannot write {}", path.display()))?;
        say(&format!("wrote {page}"));
    }
    Ok(())
}

/// The step `generated`.
pub(crate) fn generated(context: &Context) -> Result<()> {
    for (page, write) in GENERATED {
        let now = write(context)?;
        let stored = context.read(page).context("it is generated: run `cargo xtask generate`")?;
        if let Some((line, is, should)) = difference(&stored, &now) {
            bail!(
                "{page}:{line} is out of date\n  is:     {is}\n  should: {should}\n\
                 hint: run `cargo xtask generate` and commit the file"
            );
        }
    }
    Ok(())
}

/// The first line in which two texts differ, counted from one.
fn difference(stored: &str, now: &str) -> Option<(usize, String, String)> {
    let (stored, now): (Vec<&str>, Vec<&str>) = (stored.lines().collect(), now.lines().collect());
    let index = (0..stored.len().max(now.len())).find(|index| stored.get(*index) != now.get(*index))?;
    let line = |lines: &[&str]| lines.get(index).copied().unwrap_or("(end of the file)").to_owned();
    Some((index + 1, line(&stored), line(&now)))
}

fn cli_reference(context: &Context) -> Result<String> {
    printed(context, &["help-markdown"])
}

fn events_schema(context: &Context) -> Result<String> {
    printed(context, &["events", "schema"])
}

/// What the program prints.
fn printed(context: &Context, arguments: &[&str]) -> Result<String> {
    let adelie = built(context)?;
    // What the reader has set on this machine must not end up in a page.
    let text = program(context, adelie, arguments).without_env("ADELIE_").output()?;
    if text.trim().is_empty() {
        bail!("`adelie {}` wrote nothing", arguments.join(" "));
    }
    Ok(text)
}

/// What `adelie demo --once --json` ends with, as far as we look at it.
#[derive(Deserialize)]
struct DemoSummary {
    devices: u64,
    assigned: u64,
    failed: u64,
    removed: u64,
}

/// The step `demo`: the README's command in the profile that is built already, with few devices.
pub(crate) fn demo(context: &Context) -> Result<()> {
    readme::check_demo_command(context)?;
    let adelie = built(context)?;
    let arguments = ["demo", "--once", "--devices", "2000", "--json"];
    let text = program(context, adelie, &arguments).without_env("ADELIE_").output()?;
    say(&format!("    {}", text.trim()));
    check_summary(serde_json::from_str(&text).context("the demo did not end with one JSON object")?)
}

fn check_summary(summary: DemoSummary) -> Result<()> {
    let DemoSummary { devices, assigned, failed, removed } = summary;
    // The walk adds, moves and removes a few, so the figures are near 2,000 and not exactly that.
    if devices < 1_500 || assigned < 1_500 {
        bail!("the demo was to store and assign about 2000 devices: {devices} stored, {assigned} assigned");
    }
    if failed != 0 {
        bail!("{failed} devices of the demo were not assigned");
    }
    if removed == 0 {
        bail!("the demo noticed no removal");
    }
    Ok(())
}

/// Builds the program and says where it is. Built with all targets, it has the same features as in the
/// tests, so almost all of it is there already.
fn built(context: &Context) -> Result<PathBuf> {
    cargo(context, &["build", "--workspace", "--all-targets", "--locked"])
        .run("mend the errors of the compiler above")?;
    Ok(context.graph()?.target_directory.join("debug").join("adelie"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(devices: u64, failed: u64) -> DemoSummary {
        DemoSummary { devices, assigned: devices, failed, removed: 1 }
    }

    #[test]
    fn a_demo_that_lost_devices_is_found() {
        assert!(check_summary(summary(2_010, 0)).is_ok());
        assert!(check_summary(summary(0, 0)).is_err());
        assert!(check_summary(summary(2_010, 1)).is_err());
    }

    #[test]
    fn the_first_differing_line_is_shown() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(difference("a\nb\n", "a\nc\n"), Some((2, "b".into(), "c".into())));
        assert_eq!(difference("a\n", "a\nc\n"), Some((2, "(end of the file)".into(), "c".into())));
    }
}
