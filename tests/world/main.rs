//! The simulated world: the whole engine in three copies, on one database, against a simulated Apple, under simulated
//! time. Whatever happens in it, in the end everything must be as it should. `tests/README.md` says how to run it.

mod acts;
mod call;
mod clock;
mod executor;
mod healing;
mod invariants;
mod model;
mod network;
mod operation;
mod scenes;
mod watched_store;
mod wishes;
mod witness;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::operation::{Case, Then};
use crate::world::World;

/// So many worlds are tried unless `ADELIE_WORLD_CASES` says otherwise.
const CASES: u32 = 500;
/// Worlds are tried by so many threads, each with its share of the cases; the same on every machine.
const THREADS: u32 = 4;
/// So many scenes happen in a world at most.
const LENGTH: usize = 16;

/// Every world comes right once it is left alone.
#[test]
fn every_world_comes_right() {
    let cases = variable("ADELIE_WORLD_CASES").unwrap_or(CASES);
    let seed: u64 = variable("ADELIE_WORLD_SEED").unwrap_or(0);
    let seen = Arc::new(Mutex::new(BTreeMap::new()));
    let failures: Vec<String> = std::thread::scope(|scope| {
        let share = |thread: u32| cases / THREADS + u32::from(thread < cases % THREADS);
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let seen = Arc::clone(&seen);
                scope.spawn(move || try_worlds(seed, thread, share(thread), &seen))
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("no panic")).collect()
    });
    let seen = locked(&seen);
    println!("{cases} worlds from seed {seed}; in them {seen:?}");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    // A world in which nothing happens proves nothing.
    for what in
        ["pages", "settlements", "throttled answers", "waits", "removals", "lost cursors", "lies", "wishes"]
    {
        assert!(
            seen.get(what).is_some_and(|times| *times > u64::from(cases) / 50),
            "hardly any {what}: {seen:?}"
        );
    }
}

/// What once was wrong stays right.
#[test]
fn what_went_wrong_before_goes_right() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("reproductions");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder of reproductions")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        let told: Reproduction =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        if let Err(why) = live(&told.case, &Mutex::default()) {
            panic!("{} ({}): {why}", file.display(), told.what_was_wrong);
        }
    }
}

#[derive(serde::Deserialize)]
struct Reproduction {
    what_was_wrong: String,
    case: Case,
}

/// Tries a thread's share of the worlds. Gives the shortest one that went wrong.
fn try_worlds(
    seed: u64,
    thread: u32,
    cases: u32,
    seen: &Mutex<BTreeMap<&'static str, u64>>,
) -> Option<String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..12].copy_from_slice(&thread.to_le_bytes());
    let max_shrink_iters = variable("ADELIE_WORLD_SHRINKS").unwrap_or(600);
    let config = Config { cases, failure_persistence: None, max_shrink_iters, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let tried = runner.run(&scenes::cases(LENGTH), |case| live(&case, seen).map_err(TestCaseError::fail));
    match tried {
        Ok(()) => None,
        Err(TestError::Fail(why, case)) => {
            let case = serde_json::to_string(&case).expect("a case is JSON");
            Some(format!("{why}\nADELIE_WORLD_SEED={seed}, thread {thread}\n{case}"))
        }
        Err(TestError::Abort(why)) => Some(why.to_string()),
    }
}

/// Lives one world to its end.
fn live(case: &Case, seen: &Mutex<BTreeMap<&'static str, u64>>) -> Result<(), String> {
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(case);
        if case.synced {
            world.wake_all();
            world.go_on(Then::Flow);
        }
        for one in &case.moves {
            if world.witness.first_violation().is_some() {
                break;
            }
            world.perform(one);
        }
        if world.witness.first_violation().is_none() {
            world.heal();
        }
        let state = world.witness.state();
        let mut seen = locked(seen);
        for (what, times) in &state.seen {
            *seen.entry(what).or_default() += times;
        }
        drop(state);
        world.witness.first_violation()
    }));
    match lived {
        Ok(None) => Ok(()),
        Ok(Some(violation)) => Err(violation),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(format!("a panic: {}", text.unwrap_or_default()))
        }
    }
}

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}

/// What these locks guard is whole after every statement, so that a panic elsewhere does not spoil it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
