//! The systemd unit, read by systemd itself where there is one.

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::process::{program, say, verdict};

const UNIT: &str = "deploy/adelie.service";

/// The step `deploy`.
pub(crate) fn check(context: &Context) -> Result<()> {
    if !program(context, "systemd-analyze", &["--version"]).works() {
        say("    systemd-analyze is not installed; the unit is not verified here");
        return Ok(());
    }
    // systemd looks for the program too, and it is not installed on the machine of a contributor.
    let unit = context.read(UNIT)?.replace("/usr/bin/adelie", "/bin/true");
    let folder = context.graph()?.target_directory.join("xtask");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let copy = folder.join("adelie.service");
    std::fs::write(&copy, unit).with_context(|| format!("cannot write {}", copy.display()))?;
    let (succeeded, said) =
        program(context, "systemd-analyze", &["verify", "--man=no", &copy.display().to_string()]).said()?;
    // An unknown setting is only a warning to systemd; it may also speak of other units of the machine.
    let mut findings: Vec<String> =
        said.lines().filter(|line| line.contains("adelie.service")).map(str::to_owned).collect();
    if !succeeded && findings.is_empty() {
        findings.push(said);
    }
    verdict(findings, &format!("mend {UNIT}"))
}
