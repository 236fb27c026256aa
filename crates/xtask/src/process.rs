//! Starting other programs, and speaking to the person who reads the log.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::context::Context;

/// A program that runs at the root of the workspace.
pub(crate) struct Program {
    command: Command,
    shown: String,
}

/// `cargo` with these arguments: the cargo that started us.
pub(crate) fn cargo(context: &Context, arguments: &[&str]) -> Program {
    let mut program =
        program(context, std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), arguments);
    program.shown = format!("cargo {}", arguments.join(" "));
    program
}

/// Any program. Its environment is ours without what `cargo run` added for this crate: build scripts would
/// otherwise see another environment than under a bare `cargo`, and build again.
pub(crate) fn program(context: &Context, name: impl AsRef<OsStr>, arguments: &[&str]) -> Program {
    let mut command = Command::new(name.as_ref());
    command.args(arguments).current_dir(&context.root);
    for (key, _) in std::env::vars_os() {
        let Some(text) = key.to_str() else { continue };
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&key);
        }
    }
    let shown = format!("{} {}", name.as_ref().to_string_lossy(), arguments.join(" "));
    Program { command, shown }
}

impl Program {
    /// Sets an environment variable.
    pub(crate) fn env(mut self, key: &str, value: &str) -> Self {
        self.command.env(key, value);
        self
    }

    /// Removes the environment variables that begin with this.
    pub(crate) fn without_env(mut self, prefix: &str) -> Self {
        for (key, _) in std::env::vars_os() {
            if key.to_str().is_some_and(|text| text.starts_with(prefix)) {
                self.command.env_remove(&key);
            }
        }
        self
    }

    /// Runs it with our own output; the remedy is shown when it fails.
    pub(crate) fn run(mut self, remedy: &str) -> Result<()> {
        let status = self.command.status().with_context(|| format!("cannot start `{}`", self.shown))?;
        if !status.success() {
            bail!("`{}` ended with {status}\nhint: {remedy}", self.shown);
        }
        Ok(())
    }

    /// Runs it and hands its standard output back as a whole; its standard error stays ours.
    pub(crate) fn output(mut self) -> Result<String> {
        let shown = self.shown;
        let output = self
            .command
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start `{shown}`"))?;
        if !output.status.success() {
            bail!("`{shown}` ended with {}", output.status);
        }
        String::from_utf8(output.stdout)
            .with_context(|| format!("`{shown}` wrote something that is not text"))
    }

    /// Runs it quietly. Returns whether it succeeded, and what it wrote to standard error.
    pub(crate) fn said(mut self) -> Result<(bool, String)> {
        let output = self.command.output().with_context(|| format!("cannot start `{}`", self.shown))?;
        Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
    }

    /// Runs it, passes every line of its standard output on, and shows each to `look`.
    /// Returns whether it succeeded.
    pub(crate) fn watch(mut self, mut look: impl FnMut(&str)) -> Result<bool> {
        let shown = self.shown;
        let mut child =
            self.command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start `{shown}`"))?;
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).split(b'\n') {
                let line = line.with_context(|| format!("cannot read what `{shown}` writes"))?;
                let line = String::from_utf8_lossy(&line);
                look(&line);
                say(&line);
            }
        }
        Ok(child.wait().with_context(|| format!("cannot wait for `{shown}`"))?.success())
    }

    /// Whether it can be started and succeeds; it says nothing.
    pub(crate) fn works(mut self) -> bool {
        let quiet = self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    }
}

/// One line on standard output. A reader who has gone away is no reason to stop checking.
pub(crate) fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}");
    let _ = stdout.flush();
}

/// One line on standard error.
pub(crate) fn report(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Nothing when there is no finding, otherwise all findings and how to mend them.
pub(crate) fn verdict(findings: Vec<String>, remedy: &str) -> Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    let mut text = format!("{} finding(s)", findings.len());
    for finding in findings {
        text.push_str("\n  ");
        text.push_str(&finding);
    }
    bail!("{text}\nhint: {remedy}");
}
