//! Fuzzing of what reads files and answers from outside (`fuzz/`), on a stable toolchain.

use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::context::Context;
use crate::process::{Program, cargo, program, say};

/// The targets in `fuzz/targets`.
const TARGETS: [&str; 4] = ["p7m", "token_json", "device_json", "retry_after"];
/// What libFuzzer needs the compiler to note, as cargo-fuzz asks for it; sanitizers would need another toolchain, and there
/// is no unsafe code to look after.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
/// Longer inputs teach nothing new: the largest limit of what is read is met by length alone.
const LONGEST: u32 = 16_384;
/// How long the step of CI feeds each target, in seconds.
const A_MINUTE: u32 = 60;

/// The step `fuzz`: each target for a minute.
pub(crate) fn check(context: &Context) -> Result<()> {
    for_seconds(context, A_MINUTE, &TARGETS)
}

/// `cargo xtask fuzz SECONDS [TARGET]`.
pub(crate) fn run(context: &Context, seconds: &str, target: Option<&str>) -> Result<()> {
    let seconds = seconds.parse().map_err(|_| anyhow!("{seconds:?} is no number of seconds"))?;
    match target {
        None => for_seconds(context, seconds, &TARGETS),
        Some(name) => match TARGETS.iter().find(|target| **target == name) {
            Some(target) => for_seconds(context, seconds, &[target]),
            None => bail!("there is no target {name:?}: there are {}", TARGETS.join(", ")),
        },
    }
}

fn for_seconds(context: &Context, seconds: u32, targets: &[&str]) -> Result<()> {
    let programs = build(context)?;
    let runs = targets.iter().map(|target| Run::new(context, &programs, target, seconds));
    let mut runs = runs.collect::<Result<Vec<_>>>()?;
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    while !runs.is_empty() {
        let some: Vec<Run> = runs.drain(..at_once.min(runs.len())).collect();
        let watched = some.into_iter().map(|run| thread::spawn(move || run.watch(seconds)));
        let ended: Vec<_> = watched.collect::<Vec<_>>().into_iter().map(thread::JoinHandle::join).collect();
        for one in ended {
            one.map_err(|_| anyhow!("the thread that watched a target panicked"))??;
        }
    }
    Ok(())
}

/// Builds all targets, and returns the folder that they are in.
fn build(context: &Context) -> Result<PathBuf> {
    let host = host(context)?;
    let folder = context.graph()?.target_directory.join("fuzz");
    let shown = folder.display().to_string();
    // With a target of its own, the flags do not reach build scripts, which have no libFuzzer.
    cargo(
        context,
        &[
            "build",
            "--manifest-path",
            "fuzz/Cargo.toml",
            "--release",
            "--locked",
            "--bins",
            "--target",
            &host,
            "--target-dir",
            &shown,
        ],
    )
    .env("RUSTFLAGS", FLAGS)
    .run("a C++ compiler, pkg-config and libssl-dev must be there; after a change of dependencies run `cargo update -w --manifest-path fuzz/Cargo.toml`")?;
    Ok(folder.join(host).join("release"))
}

fn host(context: &Context) -> Result<String> {
    let told = program(context, "rustc", &["-vV"]).output()?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not tell for which machine it builds")
}

/// One target that is about to run.
struct Run {
    target: String,
    program: Program,
    findings: PathBuf,
}

impl Run {
    /// What it learns stays in the build folder; an input that fails is kept there, too.
    fn new(context: &Context, programs: &Path, target: &str, seconds: u32) -> Result<Self> {
        let learnt = programs.join("corpus").join(target);
        let findings = programs.join("findings").join(target);
        for folder in [&learnt, &findings] {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let options = [
            format!("-max_total_time={seconds}"),
            format!("-max_len={LONGEST}"),
            format!("-artifact_prefix={}/", findings.display()),
            // One input that takes so many seconds is a finding, too.
            "-timeout=10".to_owned(),
            "-print_final_stats=1".to_owned(),
            "-verbosity=0".to_owned(),
            learnt.display().to_string(),
            format!("fuzz/corpus/{target}"),
        ];
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let program = program(context, programs.join(target), &options);
        Ok(Self { target: target.to_owned(), program, findings })
    }

    fn watch(self, seconds: u32) -> Result<()> {
        let Self { target, program, findings } = self;
        let (well, said) = program.said()?;
        if !well {
            bail!(
                "target `{target}` has found something\n{said}\nhint: mend it, and keep the input from {} in \
                 fuzz/corpus/{target}",
                findings.display()
            );
        }
        let inputs = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        say(&format!("    {target}: {} inputs in {seconds} s, nothing found", inputs.map_or("?", str::trim)));
        Ok(())
    }
}
