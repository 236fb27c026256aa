//! What CI runs and a contributor runs: `cargo xtask ci`, or one step of it by name.

mod context;
mod deny;
mod deploy;
mod fuzz;
mod layers;
mod lessons;
mod licences;
mod links;
mod manifests;
mod mutations;
mod process;
mod product;
mod readme;
mod receivers;
mod suite;
mod unused;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use crate::context::Context;
use crate::process::{cargo, report, say};

/// One named part of `cargo xtask ci`.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&Context) -> Result<()>,
}

/// The steps in the order of CI: what answers in a second comes before what compiles, and what compiles the
/// same artefacts stands together.
const STEPS: &[Step] = &[
    Step { name: "fmt", about: "the code is formatted", run: fmt },
    Step { name: "manifests", about: "manifests share versions and lints", run: manifests::check },
    Step { name: "layers", about: "crates import only downwards", run: layers::check },
    Step { name: "sources", about: "dependencies come only from the registry", run: deny::sources },
    Step { name: "licenses", about: "every licence is on the list of deny.toml", run: deny::licences },
    Step { name: "duplicates", about: "no crate in two versions without a reason", run: deny::duplicates },
    Step { name: "unused", about: "every dependency is used", run: unused::check },
    Step { name: "links", about: "links between documents lead somewhere", run: links::check },
    Step { name: "deploy", about: "systemd accepts the unit", run: deploy::check },
    Step { name: "mutants", about: "every mutation fits the code", run: mutations::check },
    Step { name: "deny", about: "cargo-deny agrees, where it is installed", run: deny::cargo_deny },
    Step { name: "clippy", about: "no warning in any target", run: clippy },
    Step { name: "tests", about: "the README's test command passes", run: suite::run },
    Step { name: "fuzz", about: "what reads from outside takes a minute of anything", run: fuzz::check },
    Step { name: "receivers", about: "the receivers of the docs verify what we send", run: receivers::run },
    Step { name: "generated", about: "generated files are up to date", run: product::generated },
    Step { name: "demo", about: "the README's demo walks the whole way", run: product::demo },
    Step { name: "docs", about: "the API documentation builds without warning", run: docs },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let context = match Context::new() {
        Ok(context) => context,
        Err(error) => return failed(&format!("{error:#}")),
    };
    match words.as_slice() {
        ["ci"] => run_all(&context),
        ["generate"] => match product::generate(&context) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&format!("{error:#}")),
        },
        ["mutations", rest @ ..] if rest.len() < 2 => match mutations::run(&context, rest.first().copied()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&format!("{error:#}")),
        },
        ["fuzz", seconds, rest @ ..] if rest.len() < 2 => {
            match fuzz::run(&context, seconds, rest.first().copied()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => failed(&format!("{error:#}")),
            }
        }
        [] | ["help" | "--help" | "-h"] => {
            usage();
            ExitCode::SUCCESS
        }
        [name] => match STEPS.iter().find(|step| step.name == *name) {
            Some(step) => run_one(&context, step),
            None => refused(&format!("there is no step `{name}`")),
        },
        _ => refused("one step at a time"),
    }
}

/// Runs every step, stops at the first that fails, and ends with the figures of the tests.
fn run_all(context: &Context) -> ExitCode {
    let started = Instant::now();
    let mut took = Vec::new();
    for (index, step) in STEPS.iter().enumerate() {
        say(&format!("==> {}/{} {}: {}", index + 1, STEPS.len(), step.name, step.about));
        let began = Instant::now();
        let result = (step.run)(context);
        let seconds = began.elapsed().as_secs_f64();
        if let Err(error) = result {
            let failure = failed(&format!("step `{}` failed after {seconds:.1} s: {error:#}", step.name));
            suite::say_figures(context);
            return failure;
        }
        say(&format!("    {} ok, {seconds:.1} s", step.name));
        took.push((step.name, seconds));
    }
    say("");
    for (name, seconds) in took {
        say(&format!("{name:>12} {seconds:>8.1} s"));
    }
    say(&format!("{:>12} {:>8.1} s", "all", started.elapsed().as_secs_f64()));
    suite::say_figures(context);
    ExitCode::SUCCESS
}

fn run_one(context: &Context, step: &Step) -> ExitCode {
    let outcome = (step.run)(context);
    suite::say_figures(context);
    match outcome {
        Ok(()) => {
            say(&format!("{} ok", step.name));
            ExitCode::SUCCESS
        }
        Err(error) => failed(&format!("step `{}` failed: {error:#}", step.name)),
    }
}

fn usage() {
    say("Checks of the workspace.\n");
    say("Usage: cargo xtask <ci | generate | mutations [NAME] | fuzz SECONDS [TARGET] | STEP>\n");
    say("  ci          every step below, in this order, until one fails");
    say("  generate    writes the generated files (docs/cli.md, docs/events.schema.json, docs/lessons.md)");
    say("  mutations   breaks the engine on purpose and sees whether the simulated world finds out");
    say(
        "  fuzz        with SECONDS: feeds whatever reads files and answers for so long, all targets or one\n",
    );
    for step in STEPS {
        say(&format!("  {:<11} {}", step.name, step.about));
    }
}

fn failed(message: &str) -> ExitCode {
    report(&format!("error: {message}"));
    ExitCode::from(1)
}

fn refused(message: &str) -> ExitCode {
    report(&format!("error: {message}\nhint: `cargo xtask help` lists the steps"));
    ExitCode::from(2)
}

fn fmt(context: &Context) -> Result<()> {
    cargo(context, &["fmt", "--all", "--check"]).run("run `cargo fmt --all`")
}

fn clippy(context: &Context) -> Result<()> {
    cargo(context, &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
        .run("mend the warnings above; `#[expect(…, reason = \"…\")]` is for the ones that are wrong")
}

fn docs(context: &Context) -> Result<()> {
    cargo(context, &["doc", "--workspace", "--no-deps", "--locked"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .run("mend the documentation warnings above")
}
