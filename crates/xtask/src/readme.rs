//! Commands as README.md tells them, so that what CI runs and what a reader types cannot drift apart.

use anyhow::{Context as _, Result, bail};

use crate::context::Context;

/// The comment in README.md above the block with the test command.
const TEST_MARKER: &str = "<!-- test command -->";

/// How README.md has the reader start the demo.
const DEMO_COMMAND: &str = "cargo run --release -- demo";

/// The test command of README.md; CONTRIBUTING.md must tell the same one.
pub(crate) fn test_command(context: &Context) -> Result<String> {
    let command = command_after(&context.read("README.md")?, TEST_MARKER).context("README.md")?;
    if !context.read("CONTRIBUTING.md")?.lines().any(|line| line.trim() == command) {
        bail!("CONTRIBUTING.md does not tell the test command of README.md, `{command}`");
    }
    Ok(command)
}

/// Fails unless README.md tells how to start the demo.
pub(crate) fn check_demo_command(context: &Context) -> Result<()> {
    if !context.read("README.md")?.lines().any(|line| command_in(line) == DEMO_COMMAND) {
        bail!("README.md has no line `{DEMO_COMMAND}`");
    }
    Ok(())
}

/// The one command in the fenced block after the marker.
fn command_after(text: &str, marker: &str) -> Result<String> {
    let Some((_, rest)) = text.split_once(marker) else { bail!("there is no comment `{marker}`") };
    let mut lines = rest.lines().map(str::trim).skip_while(|line| line.is_empty());
    if !lines.next().is_some_and(|line| line.starts_with("```")) {
        bail!("no fenced block follows `{marker}`");
    }
    let commands: Vec<&str> = lines
        .take_while(|line| !line.starts_with("```"))
        .map(command_in)
        .filter(|line| !line.is_empty())
        .collect();
    match commands.as_slice() {
        [command] => Ok((*command).to_owned()),
        _ => bail!("the block after `{marker}` has {} commands, not one", commands.len()),
    }
}

/// A line without a prompt and without the comment behind it.
fn command_in(line: &str) -> &str {
    let line = line.trim().trim_start_matches("$ ");
    match line.split_once('#') {
        Some((command, _)) => command.trim(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_the_one_in_the_block() {
        let text = "# A\n\n<!-- test command -->\n\n```sh\n# all of it\n$ cargo test --workspace   # minutes\n```\nx\n";
        assert_eq!(command_after(text, TEST_MARKER).unwrap(), "cargo test --workspace");
    }

    #[test]
    fn a_readme_without_one_command_is_refused() {
        for text in [
            "```sh\ncargo test\n```",
            "<!-- test command -->\ncargo test",
            "<!-- test command -->\n```sh\n```",
            "<!-- test command -->\n```sh\ncargo build\ncargo test\n```",
        ] {
            assert!(command_after(text, TEST_MARKER).is_err(), "{text}");
        }
    }
}
