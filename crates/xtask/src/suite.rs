//! The tests, run by the README's own command, and their figures.

use anyhow::{Result, bail};

use crate::context::Context;
use crate::process::{program, say};
use crate::readme;

/// What all test programs of a run counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Figures {
    /// Adds the `test result:` line of one test program; other lines change nothing.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in counts.split("; ") {
            if let Some((number, what)) = part.split_once(' ')
                && let Ok(number) = number.parse::<u64>()
            {
                match what {
                    "passed" => self.passed += number,
                    "failed" => self.failed += number,
                    "ignored" => self.skipped += number,
                    _ => {}
                }
            }
        }
    }
}

/// The step `tests`.
pub(crate) fn run(context: &Context) -> Result<()> {
    let command = readme::test_command(context)?;
    say(&format!("    {command}"));
    let mut figures = Figures::default();
    let succeeded = program(context, "sh", &["-c", &command]).watch(|line| figures.add(line))?;
    context.figures.set(Some(figures));
    if !succeeded {
        bail!("`{command}` failed\nhint: the first failure is above, under `failures:`");
    }
    if figures.passed == 0 {
        bail!("`{command}` ran no test");
    }
    Ok(())
}

/// The figures as the last line of the log, when tests were run.
pub(crate) fn say_figures(context: &Context) {
    if let Some(Figures { passed, failed, skipped }) = context.figures.get() {
        say(&format!("{passed} passed, {failed} failed, {skipped} skipped"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_summed_over_test_programs() {
        let mut figures = Figures::default();
        figures.add("running 3 tests");
        figures.add(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        );
        figures.add("test a ... ok");
        figures.add(
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 9 filtered out; finished in 1s",
        );
        assert_eq!(figures, Figures { passed: 4, failed: 2, skipped: 1 });
    }
}
