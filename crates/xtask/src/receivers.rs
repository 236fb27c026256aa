//! The receivers of docs/webhooks.md, run with the official libraries of Standard Webhooks for Python and JavaScript.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::process::{cargo, program};

/// The library for Python, on PyPI.
const PYTHON: &str = "standardwebhooks==1.1.0";
/// The library for JavaScript, on npm.
const JAVASCRIPT: &str = "standardwebhooks@1.1.1";

/// The step `receivers`.
pub(crate) fn run(context: &Context) -> Result<()> {
    let folder = context.graph()?.target_directory.join("receivers");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    python(context, &folder)?;
    javascript(context, &folder)?;
    let folder = folder.display().to_string();
    // With all of the workspace it is what the tests have built already.
    cargo(
        context,
        &["test", "--workspace", "--locked", "--test", "e2e", "webhook_receivers", "--", "--ignored"],
    )
    .env("ADELIE_RECEIVERS", &folder)
    .run("the blocks of docs/webhooks.md must work with the libraries as they stand")
}

fn python(context: &Context, folder: &Path) -> Result<()> {
    let environment = folder.join("venv");
    let made = environment.display().to_string();
    let pip = environment.join("bin/pip").display().to_string();
    if !environment.join("bin/pip").is_file() {
        program(context, "python3", &["-m", "venv", &made]).run("install python3-venv")?;
    }
    program(context, pip, &["install", "--quiet", "--disable-pip-version-check", PYTHON])
        .run("PyPI must be reachable")
}

fn javascript(context: &Context, folder: &Path) -> Result<()> {
    let place = folder.display().to_string();
    program(
        context,
        "npm",
        &["install", "--silent", "--no-save", "--no-audit", "--no-fund", "--prefix", &place, JAVASCRIPT],
    )
    .run("install nodejs and npm; npm's registry must be reachable")
}
