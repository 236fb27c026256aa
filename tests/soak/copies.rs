use std::fs::OpenOptions;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::Child;

use crate::installation::Installation;

/// The number of the signal that asks a process to end.
const SIGTERM: i32 = 15;

/// How many copies of the service there are.
pub const COPIES: usize = 3;

/// How a copy ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As by a power cut.
    Kill,
    /// As systemd asks.
    Terminate,
}

/// The copies of the service.
pub struct Copies<'a> {
    installation: &'a Installation,
    copies: Vec<Copy>,
}

#[derive(Default)]
struct Copy {
    child: Option<Child>,
    frozen: bool,
}

impl<'a> Copies<'a> {
    /// Copies that do not run yet.
    pub fn new(installation: &'a Installation) -> Self {
        Self { installation, copies: (0..COPIES).map(|_| Copy::default()).collect() }
    }

    /// Starts a copy that does not run.
    pub fn start(&mut self, place: usize) -> anyhow::Result<()> {
        let copy = &mut self.copies[place];
        if let Some(child) = &mut copy.child {
            let Some(status) = child.try_wait()? else { return Ok(()) };
            // Those that were told to end have no child any more.
            anyhow::bail!("copy {place} ended by itself with {status}; its log is {place}.log");
        }
        let log = self.installation.logs().join(format!("{place}.log"));
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = self.installation.command(&["serve", "--listen", "127.0.0.1:0"]);
        copy.child =
            Some(command.stdout(log.try_clone()?).stderr(log).spawn().context("a copy did not start")?);
        copy.frozen = false;
        Ok(())
    }

    /// Ends a copy; `false` when it does not run.
    pub async fn end_one(&mut self, place: usize, how: End) -> anyhow::Result<bool> {
        let copy = &mut self.copies[place];
        let Some(mut child) = copy.child.take() else { return Ok(false) };
        if copy.frozen {
            signal(&child, "CONT")?;
            copy.frozen = false;
        }
        if how == End::Terminate {
            signal(&child, "TERM")?;
            if let Ok(status) = tokio::time::timeout(Duration::from_secs(60), child.wait()).await {
                let status = status?;
                // A copy that has only just been started does not listen for signals yet, and dies of this one.
                let killed = std::os::unix::process::ExitStatusExt::signal(&status) == Some(SIGTERM);
                anyhow::ensure!(
                    status.success() || killed,
                    "copy {place} was asked to end and ended with {status}"
                );
                return Ok(true);
            }
            child.kill().await?;
            anyhow::bail!("copy {place} was asked to end and did not within a minute");
        }
        child.kill().await?;
        Ok(true)
    }

    /// Freezes a copy, or lets a frozen one go on.
    pub fn set_frozen(&mut self, place: usize, frozen: bool) -> anyhow::Result<bool> {
        let copy = &mut self.copies[place];
        let Some(child) = copy.child.as_ref().filter(|_| copy.frozen != frozen) else { return Ok(false) };
        signal(child, if frozen { "STOP" } else { "CONT" })?;
        copy.frozen = frozen;
        Ok(true)
    }

    /// Every copy runs.
    pub fn all_awake(&mut self) -> anyhow::Result<()> {
        for place in 0..COPIES {
            self.set_frozen(place, false)?;
            self.start(place)?;
        }
        Ok(())
    }

    /// Asks every copy to end.
    pub async fn end(&mut self) -> anyhow::Result<()> {
        for place in 0..COPIES {
            self.end_one(place, End::Terminate).await?;
        }
        Ok(())
    }
}

fn signal(child: &Child, name: &str) -> anyhow::Result<()> {
    let id = child.id().context("a child without a number")?;
    let status = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status()?;
    anyhow::ensure!(status.success(), "SIG{name} could not be sent");
    Ok(())
}
