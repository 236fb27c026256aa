//! All faults end, time passes, and then everything must be as it should.

use adelie_simulator::Command;
use adelie_simulator::control::{Choice, FailDevices, Nothing, ThrottleDevices, WithholdDevices};
use chrono::TimeDelta;

use crate::operation::Then;
use crate::world::{APPLE_NAMES, COPIES, World, server_id};

/// So long that every wait of an hour or less has ended, and Apple's Retry-After, and a daily retry; but no weekly
/// full sync.
const FIRST: [TimeDelta; 6] = [
    TimeDelta::seconds(30),
    TimeDelta::minutes(75),
    TimeDelta::hours(8),
    TimeDelta::hours(25),
    TimeDelta::hours(25),
    TimeDelta::minutes(30),
];
/// So long that every wait has ended.
const THEN: [TimeDelta; 4] =
    [TimeDelta::days(4), TimeDelta::hours(30), TimeDelta::hours(25), TimeDelta::minutes(30)];

impl World {
    /// Faults and stops end, and time passes until nothing is due.
    pub fn heal(&mut self) {
        for copy in 0..COPIES {
            self.resume(copy);
            self.copies[copy].store.mend();
        }
        self.network.be_honest();
        self.tell(Command::ClearFaults(Nothing {}));
        for name in APPLE_NAMES {
            let all = || Choice { server: Some(name.to_owned()), all: true, ..Choice::default() };
            self.tell(Command::ThrottleDevices(ThrottleDevices { choice: all(), seconds: Some(0) }));
            self.tell(Command::FailDevices(FailDevices { choice: all(), times: 0 }));
            self.tell(Command::WithholdDevices(WithholdDevices { choice: all(), seconds: Some(0) }));
        }
        self.go_on(Then::Flow);
        let by = self.operator();
        for server in 0..2 {
            let resuming = self.store.set_paused(server_id(server), false, &by);
            self.block_on(resuming).expect("it is there");
        }
        self.let_pass(&FIRST);
        self.check_before_full_sync();
        self.let_pass(&THEN);
        // What a listing did not show stays until somebody confirms; then another listing may show the rest.
        for _ in 0..3 {
            if !self.confirm_removals() {
                break;
            }
            self.let_pass(&[TimeDelta::hours(25), TimeDelta::minutes(30)]);
        }
        self.check_at_rest();
    }

    fn let_pass(&mut self, steps: &[TimeDelta]) {
        for (turn, step) in steps.iter().enumerate() {
            if self.witness.first_violation().is_some() {
                return;
            }
            self.pass(*step, true);
            self.wake(turn % COPIES);
            self.go_on(Then::Flow);
        }
    }

    /// An operator says that what has gone has gone. `false` when nothing waited for that.
    fn confirm_removals(&mut self) -> bool {
        let mut confirmed = false;
        for server in 0..2 {
            if self.row(server).attention.is_some() {
                confirmed = true;
                self.sync(0, server, true, true);
                self.go_on(Then::Flow);
            }
        }
        confirmed
    }
}
