use std::any::Any;
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use super::blows::Blow;
use super::dice::Dice;
use super::proof;
use super::stage::{Scene, Stage};
use crate::harness::Database;

/// What the rounds of one point on one database came to.
#[derive(Clone, Debug)]
struct Cell {
    point: &'static str,
    database: &'static str,
    rounds: u64,
    blows: u64,
    re_reads: u64,
    needless: u64,
    lost: u64,
    told_twice: u64,
    failed: u64,
}

/// The cells that are done.
static TABLE: Mutex<Vec<Cell>> = Mutex::new(Vec::new());

/// Runs the rounds of one point on one database, and fails when any of them did.
pub fn rounds(
    point: &'static str,
    kind: &Database,
    fresh: impl Fn() -> Database,
    blow: impl Fn(&mut Stage, &Dice) -> Blow,
) {
    let count = number("ADELIE_KILL_ROUNDS");
    let first = number("ADELIE_KILL_SEED").unwrap_or(1);
    let database = if kind.is_postgres() { "PostgreSQL" } else { "SQLite" };
    let mut cell = Cell {
        point,
        database,
        rounds: 0,
        blows: 0,
        re_reads: 0,
        needless: 0,
        lost: 0,
        told_twice: 0,
        failed: 0,
    };
    let mut stage = None;
    let mut failures = String::new();
    // So that the single rounds of all points have all scenes among them.
    let shift: u64 = point.bytes().map(u64::from).sum::<u64>() + u64::from(kind.is_postgres());
    for round in 0..count.unwrap_or(1) {
        let seed = first + round;
        let (dice, scene) = (Dice::new(seed * 1000 + shift), Scene::of(seed + shift));
        let before: Option<Stage> = stage.take();
        let result = catch_unwind(AssertUnwindSafe(|| {
            let mut stage = match before {
                _ if point.starts_with("migration") => Stage::of_an_older_version(fresh()),
                Some(stage) if scene != Scene::Import => stage,
                _ => Stage::new(fresh(), scene, &dice),
            };
            if !point.starts_with("migration") {
                stage.begin(scene, &dice);
            }
            let blow = blow(&mut stage, &dice);
            let found = proof::check(&stage, &blow);
            (stage, blow, found)
        }));
        cell.rounds += 1;
        let broken = match result {
            Ok((here, blow, found)) => {
                cell.blows += blow.count;
                cell.re_reads += found.re_reads;
                cell.needless += found.needless;
                cell.lost += found.lost;
                cell.told_twice += found.told_twice;
                if found.broken.is_empty() {
                    stage = Some(here);
                }
                found.broken.join("\n")
            }
            Err(panic) => text(&*panic),
        };
        if !broken.is_empty() {
            cell.failed += 1;
            // Rounds go on with what the ones before have left, so that all of them belong to the failure.
            let again = format!("ADELIE_KILL_SEED={first} ADELIE_KILL_ROUNDS={}", round + 1);
            writeln!(failures, "{point} on {database}, {scene:?} ({again}):\n{broken}").expect("text");
        }
    }
    if count.is_some() {
        print(cell);
    }
    assert!(failures.is_empty(), "{failures}");
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{variable}={text}: {error}")))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Prints the table with all cells that are done; the last one to be printed is whole.
fn print(cell: Cell) {
    let mut table = TABLE.lock().expect("no test panics here");
    table.push(cell);
    table.sort_by_key(|cell| (cell.point, cell.database));
    let mut text =
        "\n| point | database | rounds | blows | re-read batches | needless assignments | lost devices | \
                    departures told twice | failed rounds |\n|---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    for cell in &*table {
        let Cell { point, database, rounds, blows, re_reads, needless, lost, told_twice, failed } = cell;
        let counts =
            [rounds, blows, re_reads, needless, lost, told_twice, failed].map(u64::to_string).join(" | ");
        writeln!(text, "| {point} | {database} | {counts} |").expect("text");
    }
    // Not by `eprintln!`, which a test captures.
    std::io::stderr().write_all(text.as_bytes()).expect("stderr");
}
