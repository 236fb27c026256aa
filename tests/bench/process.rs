//! Child processes, and what the system says of their memory and processor time.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::process::Command;

/// How often a running child is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// What the kernel counts processor time in (`USER_HZ`), the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// What became of a child that was watched.
pub struct Watched {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub seconds: f64,
    /// The most memory it ever had, in bytes.
    pub peak_memory: u64,
    /// Processor time, its own and the kernel's for it.
    pub cpu_seconds: f64,
}

/// A program that gets nothing of our environment but the search path, and is killed when its handle is dropped.
pub fn command(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .current_dir("/")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs a program to its end while looking at its memory.
pub async fn watch(command: &mut Command) -> anyhow::Result<Watched> {
    let (stdout, stderr) = (tempfile::NamedTempFile::new()?, tempfile::NamedTempFile::new()?);
    command.stdout(stdout.reopen()?).stderr(stderr.reopen()?);
    let began = Instant::now();
    let mut child = command.spawn().context("the program to be measured did not start")?;
    let id = child.id().context("a child without a number")?;
    let (mut peak_memory, mut cpu_seconds) = (0, 0.0);
    let status = loop {
        match tokio::time::timeout(LOOK, child.wait()).await {
            Ok(status) => break status?,
            Err(_) => {
                // Between two looks it may have ended, which the next round finds out.
                peak_memory = peak_of(id).unwrap_or(peak_memory);
                cpu_seconds = cpu_of(id).unwrap_or(cpu_seconds);
            }
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    Ok(Watched {
        code: status.code(),
        stdout: std::fs::read_to_string(stdout.path())?,
        stderr: std::fs::read_to_string(stderr.path())?,
        seconds,
        peak_memory,
        cpu_seconds,
    })
}

/// The high-water mark of a process's resident memory, in bytes.
fn peak_of(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Processor time of all threads of a process.
fn cpu_of(id: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name of the program stands in parentheses and may have spaces; utime and stime are fields 14 and 15.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some((next()? + next()?) / TICKS_PER_SECOND)
}

/// How many processes wanted to run in the last minute, on average.
pub fn load_average() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_is_watched_to_its_end() {
        let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo out; echo err >&2; exit 3";
        let done = watch(&mut command(Path::new("/bin/sh"), &["-c", script])).await.expect("a shell");
        assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (Some(3), "out\n", "err\n"));
        assert!(peak_of(std::process::id()).is_some_and(|bytes| bytes > 100_000), "our own memory");
        assert!(cpu_of(std::process::id()).is_some(), "our own processor time");
        assert!(done.seconds > 0.0);
    }
}
