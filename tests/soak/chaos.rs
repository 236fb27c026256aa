//! What goes wrong, by a seed.

use std::collections::BTreeMap;
use std::time::Duration;

use adelie_model::{Entropy, SeededEntropy};
use adelie_simulator::control::Choice;
use adelie_simulator::control::{CursorFate, EndSessions, FetchProfile, SpoilCursors};
use adelie_simulator::{Arrival, Command, Fault, SameCursor};

use crate::apple::Apple;
use crate::copies::{COPIES, Copies, End};
use crate::recorder::Recorder;

const ASSIGN: &str = "/profile/devices";
/// Devices of an MDM server beyond which more leave than come.
const MANY: usize = 150;

/// Chooses what goes wrong, and counts it.
pub struct Chaos {
    entropy: SeededEntropy,
    /// When a copy is started or goes on again.
    back_at: [Option<Duration>; COPIES],
    /// What has gone wrong, by kind.
    pub done: BTreeMap<&'static str, u64>,
}

impl Chaos {
    pub fn new(seed: u64) -> Self {
        // At the start every copy is yet to be started.
        Self {
            entropy: SeededEntropy::new(seed),
            back_at: [Some(Duration::ZERO); COPIES],
            done: BTreeMap::new(),
        }
    }

    /// Every second devices come, go, and are switched on somewhere.
    pub fn portal(&mut self, apple: &mut Apple) -> anyhow::Result<()> {
        let servers = apple.servers.len();
        let place = self.below(servers);
        let there: Vec<_> = apple.truth(place)?.into_keys().collect();
        if there.len() < MANY {
            let count = 1 + self.below(3);
            apple.buy(place, count)?;
        }
        if let Some(serial) = there.get(self.below(there.len())).filter(|_| there.len() > 10) {
            match self.below(4) {
                0 => apple.release(place, serial)?,
                1 => {
                    let arrival = if self.once_in(2) { Arrival::Added } else { Arrival::Modified };
                    let to = self.below(servers);
                    apple.hand_over(place, to, serial, arrival)?;
                }
                2 => {
                    let choice = Choice { serials: vec![serial.clone()], ..Choice::default() };
                    let on = FetchProfile { choice, silent: false };
                    apple.simulator().perform(Command::FetchProfile(on))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Apple has a bad moment.
    pub fn faults(&mut self, apple: &Apple) -> anyhow::Result<()> {
        if !self.once_in(2) {
            return Ok(());
        }
        let paths =
            ["/server/devices", "/devices/sync", ASSIGN, "/devices", "/profile", "/session", "/account", "*"];
        let path = paths[self.below(paths.len())];
        let times = Some(1 + u32::try_from(self.below(3)).unwrap_or(0));
        let some = Fault { path: Some(path.to_owned()), times, ..Fault::default() };
        let millis = 200 + self.below(4000) as u64;
        let (name, fault) = match self.below(9) {
            0 => ("answers with 503", Fault { status: Some(503), ..some }),
            1 => {
                let wait = Some(1 + self.below(3) as u64);
                ("answers with Retry-After", Fault { status: Some(503), retry_after_seconds: wait, ..some })
            }
            2 => ("connections that Apple cut", Fault { cut: true, ..some }),
            3 => ("connections that Apple cut after the effect", Fault { cut: true, effect: true, ..some }),
            4 => ("answers that broke off", Fault { truncate_to: Some(self.below(200)), ..some }),
            5 => ("slow answers", Fault { answer_delay_ms: millis, ..some }),
            6 if path == "/devices/sync" => {
                ("events that came again", Fault { redeliver: 10, duplicates: 3, ..some })
            }
            7 if path.ends_with("devices") || path.ends_with("sync") => {
                ("cursors that did not move", Fault { same_cursor: Some(SameCursor::WithDevices), ..some })
            }
            _ => {
                if self.once_in(4) {
                    let server = apple.servers.get(self.below(apple.servers.len())).cloned();
                    let state = if self.once_in(2) { CursorFate::Expired } else { CursorFate::Invalid };
                    apple.simulator().perform(Command::SpoilCursors(SpoilCursors { server, state }))?;
                    self.count("servers whose cursors were lost");
                } else {
                    let server = apple.servers.get(self.below(apple.servers.len())).cloned();
                    let forget = self.once_in(2);
                    apple.simulator().perform(Command::EndSessions(EndSessions { server, forget }))?;
                    self.count("servers whose sessions ended");
                }
                return Ok(());
            }
        };
        apple.fault(fault)?;
        self.count(name);
        Ok(())
    }

    /// A copy ends, freezes, comes back, or loses its connections.
    pub async fn copies(
        &mut self,
        copies: &mut Copies<'_>,
        recorder: &Recorder,
        now: Duration,
    ) -> anyhow::Result<()> {
        for (place, back_at) in self.back_at.iter_mut().enumerate() {
            if back_at.is_some_and(|at| at <= now) {
                *back_at = None;
                copies.set_frozen(place, false)?;
                copies.start(place)?;
            }
        }
        if !self.once_in(5) {
            return Ok(());
        }
        let place = self.below(COPIES);
        let back_at = now + Duration::from_millis(self.below(16_000) as u64);
        // At least one works on.
        let others_work = self.back_at.iter().enumerate().any(|(other, at)| other != place && at.is_none());
        if self.back_at[place].is_some() || !others_work {
            return Ok(());
        }
        match self.below(5) {
            0 | 1 => {
                if copies.end_one(place, End::Kill).await? {
                    self.count("copies killed");
                }
            }
            2 => {
                if copies.end_one(place, End::Terminate).await? {
                    self.count("copies ended cleanly");
                }
            }
            3 => {
                if copies.set_frozen(place, true)? {
                    self.count("copies frozen");
                }
            }
            _ => {
                let share = 1 + self.below(3);
                recorder.cut(share).await?;
                self.count("cuts of database connections");
                return Ok(());
            }
        }
        self.back_at[place] = Some(back_at);
        Ok(())
    }

    fn count(&mut self, what: &'static str) {
        *self.done.entry(what).or_default() += 1;
    }

    fn below(&self, bound: usize) -> usize {
        usize::try_from(self.entropy.below(bound as u64)).unwrap_or(0)
    }

    fn once_in(&self, throws: usize) -> bool {
        self.below(throws) == 0
    }
}
