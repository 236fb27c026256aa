use std::fmt::Write as _;

use clap::{Command, CommandFactory};

use crate::args::Args;
use crate::exit::Exit;
use crate::output::Output;

/// Prints the completion script of a shell.
pub fn completions(shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "adelie", &mut script);
    Output::new(false).data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

/// Prints the command line reference, from which `docs/cli.md` is made.
pub fn markdown() -> anyhow::Result<Exit> {
    let mut text =
        "# Command line\n\nMade by `cargo xtask generate` from the program's own help; do not edit.\n"
            .to_owned();
    let mut root = Args::command().term_width(100).disable_help_subcommand(true);
    root.build();
    section(&mut text, &root, "adelie")?;
    Output::new(false).data(&text)?;
    Ok(Exit::Done)
}

fn section(text: &mut String, command: &Command, path: &str) -> anyhow::Result<()> {
    // What every command has is told once, at the root.
    let root = path == "adelie";
    let mut shown = command.clone().bin_name(path).mut_args(|arg| {
        let common = arg.is_global_set() || arg.get_id() == "help" || arg.get_id() == "version";
        if common && !root { arg.hide(true) } else { arg }
    });
    let help = shown.render_help().to_string();
    let help: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    write!(text, "\n## `{path}`\n\n```text\n{}\n```\n", help.join("\n"))?;
    for child in command.get_subcommands().filter(|child| !child.is_hide_set() && child.get_name() != "help")
    {
        section(text, child, &format!("{path} {}", child.get_name()))?;
    }
    Ok(())
}
