//! Progress of long work: a bar on stderr when that is a terminal, nothing else.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use adelie_scheduler::{Observer, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar for work of which it is known how much there is.
pub fn counted(name: &str, json: bool, all: u64) -> ProgressBar {
    let visible = !json && std::io::stderr().is_terminal();
    let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(all), target);
    if let Ok(style) =
        ProgressStyle::with_template("{prefix} [{bar:30}] {percent:>3} % {pos}/{len} [{elapsed}]")
    {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(name.to_owned());
    bar
}

/// Shows how a sync and its assignments get on.
pub struct Bar {
    bar: ProgressBar,
    records: AtomicU64,
    assigned: AtomicU64,
    not_assigned: AtomicU64,
}

impl Bar {
    /// A bar for one MDM server. Apple does not say how many devices there are, so that without an `expected`
    /// number it only counts.
    pub fn new(name: &str, json: bool, expected: Option<u64>) -> Self {
        let visible = !json && std::io::stderr().is_terminal();
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(expected, target);
        let template = match expected {
            Some(_) => "{prefix} [{bar:30}] {percent:>3} % {msg} [{elapsed}]",
            None => "{spinner} {prefix}: {msg} [{elapsed}]",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(name.to_owned());
        bar.set_message("asking Apple");
        bar.enable_steady_tick(std::time::Duration::from_millis(120));
        Self { bar, records: AtomicU64::new(0), assigned: AtomicU64::new(0), not_assigned: AtomicU64::new(0) }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Devices that Apple told of, and devices that got their profile.
    pub fn figures(&self) -> (u64, u64) {
        (self.records.load(Ordering::Relaxed), self.assigned.load(Ordering::Relaxed))
    }
}

impl Observer for Bar {
    fn notice(&self, progress: Progress) {
        match progress {
            Progress::Waiting { owner, until } => {
                self.bar.set_message(format!(
                    "waiting for another copy ({owner}), until {} at most",
                    until.format("%H:%M:%S")
                ));
                return;
            }
            Progress::Began { .. } | Progress::Published { .. } => {}
            Progress::Page { records } => {
                self.records.fetch_add(records, Ordering::Relaxed);
            }
            Progress::Assigned { devices } => {
                self.assigned.fetch_add(devices, Ordering::Relaxed);
            }
            Progress::NotAssigned { devices } => {
                self.not_assigned.fetch_add(devices, Ordering::Relaxed);
            }
        }
        let (records, assigned) = self.figures();
        // Done is what has its profile; reading goes ahead of it.
        self.bar.set_position(assigned);
        let mut text = format!("{records} devices read, {assigned} assigned");
        match self.not_assigned.load(Ordering::Relaxed) {
            0 => {}
            rest => text.push_str(&format!(", {rest} not assigned")),
        }
        self.bar.set_message(text);
    }
}
