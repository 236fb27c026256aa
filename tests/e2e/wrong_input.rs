//! Wrong input in every command: exit code 2, a message that says what is wrong and what to do, nothing on stdout,
//! and nothing changed.

mod cases;
mod key_file;

use adelie_simulator::Settings;

use crate::harness::{Run, World};
use cases::{Case, cases};

/// Everything that a command could have changed, as the program itself tells it.
fn snapshot(world: &World) -> Vec<String> {
    let mut told = Vec::new();
    for args in [
        &["server", "list"][..],
        &["server", "show", "lab"],
        &["server", "show", "bare"],
        &["profile", "list"],
        &["device", "list"],
        &["token", "show", "lab"],
        &["token", "show", "bare"],
    ] {
        told.push(world.run(&[args, &["--json"]].concat()).exits(0).stdout);
    }
    told
}

fn check(case: &Case, run: &Run) -> Result<(), String> {
    let fail = |what: &str| Err(format!("{}: {what}\n{run}", case.what));
    if run.code != Some(2) {
        return fail("exit code 2 was expected");
    }
    if !run.stdout.is_empty() {
        return fail("stdout should be empty");
    }
    if !run.stderr.starts_with("error: ") {
        return fail("stderr should begin with `error: `");
    }
    if run.stderr.contains("panicked") || run.stderr.contains("TRACE") {
        return fail("this is no message for a person");
    }
    if let Some(missing) = case.says.iter().find(|text| !run.stderr.contains(**text)) {
        return fail(&format!("{missing:?} is missing on stderr"));
    }
    // Messages of the argument parser carry their rule and a pointer to --help instead.
    if !case.tells_the_way_itself && !run.stderr.contains("hint: ") && !run.stderr.contains("--help") {
        return fail("there is no hint");
    }
    Ok(())
}

on_both_databases! {
    /// Every row of the table.
    fn every_mistake_is_told_and_changes_nothing(database) {
        let world = World::synced_with(database, Settings { devices: 4, ..Settings::default() });
        world.run(&["server", "add", "bare", "--base-url", &world.apple.url]).exits(0);
        let cases = cases(&world);
        assert!(cases.len() >= 100, "{} rows", cases.len());
        let before = snapshot(&world);
        let mark = world.apple.mark();
        let mut failures = Vec::new();
        for chunk in cases.chunks(12) {
            for case in chunk {
                let args: Vec<_> = case.args.iter().map(String::as_str).collect();
                let env: Vec<_> = case.env.iter().map(|(name, value)| (*name, value.as_str())).collect();
                failures.extend(check(case, &world.run_with(&env, &args)).err());
            }
            if snapshot(&world) != before {
                let what: Vec<_> = chunk.iter().map(|case| case.what).collect();
                panic!("one of these has changed something: {what:?}");
            }
        }
        assert!(failures.is_empty(), "{} of {} rows:\n\n{}", failures.len(), cases.len(), failures.join("\n\n"));
        assert_eq!(world.apple.mark(), mark, "wrong input costs Apple no request");
    }

    /// A database server that does not answer may come back, so that it is no wrong input: a service is to be
    /// started again.
    fn a_database_that_does_not_answer_may_come_back(database) {
        let world = World::empty(database, Settings::default());
        let nobody = [("ADELIE_DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")];
        let run = world.run_with(&nobody, &["server", "list"]).exits(1);
        run.complains("127.0.0.1").complains("check that PostgreSQL is running");
    }
}
