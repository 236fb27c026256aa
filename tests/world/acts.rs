//! What happens in a world: time and faults, Apple's portal, an operator.

use adelie_model::Clock;
use adelie_scheduler::{Request, Unobserved, WorkError};
use adelie_simulator::control::{
    AddDevices, ChangeDevices, Choice, CursorFate, EndSessions, FailDevices, FetchProfile, MoveDevices,
    RemoveDevices, SpoilCursors, ThrottleDevices, WithholdDevices,
};
use adelie_simulator::{Arrival, Command, Departure, Fault, SameCursor};
use adelie_store::SyncSettings;
use adelie_store::page::{Action, Outcome};
use chrono::TimeDelta;
use serde_json::{Map, Value, json};
use std::sync::Arc;

use crate::operation::{Apple, Drift, Mishap, Move, Operation, Order, Path, Trouble};
use crate::world::{APPLE_NAMES, COPIES, World, serial, server_id};

impl World {
    pub fn perform(&mut self, one: &Move) {
        self.witness.reason();
        match &one.what {
            Operation::Pass { seconds, wake } => {
                self.pass(TimeDelta::seconds((*seconds).into()), false);
                if *wake {
                    self.wake_all();
                }
            }
            Operation::Wake(copy) => self.wake(copy_of(*copy)),
            Operation::Decide { nth, fate } => self.network.decide((*nth).into(), *fate),
            Operation::Crash(copy) => self.crash(copy_of(*copy)),
            Operation::Quit(copy) => self.quit(copy_of(*copy)),
            Operation::Stall(copy) => self.executor.stop(copy_of(*copy)),
            Operation::Resume(copy) => self.resume(copy_of(*copy)),
            Operation::Store { copy, skip, fault } => {
                self.copies[copy_of(*copy)].store.break_call(*skip, *fault);
            }
            Operation::Apple { server, what } => self.at_apple(usize::from(*server) % 2, what),
            Operation::Operator { server, what } => self.order(usize::from(*server) % 2, what),
        }
        self.go_on(one.then);
    }

    pub fn resume(&mut self, copy: usize) {
        if self.executor.is_stopped(copy) {
            self.executor.resume(copy);
            self.witness.resumed(copy);
        }
    }

    pub fn tell(&self, command: Command) {
        self.apple.perform(command).expect("a command that the simulator takes");
    }

    fn at_apple(&mut self, server: usize, what: &Apple) {
        let name = APPLE_NAMES[server].to_owned();
        // Apple's events have whole seconds, and two of a device within one cannot be told from each other when they
        // come again.
        self.clock.move_to(self.clock.now() + TimeDelta::seconds(1));
        match what {
            Apple::Add { count, arrival } => {
                let new = self.apple.add_devices_as(&name, (*count).into(), *arrival).expect("it is there");
                new.iter().for_each(|serial| self.arrives(server, serial, *arrival));
            }
            Apple::Return { which, arrival } => {
                let Some(serial) = self.model.absent(&self.apple, *which) else { return };
                let (server_name, arrival) = (Some(name), *arrival);
                let serials = vec![serial.clone()];
                self.tell(Command::AddDevices(AddDevices {
                    server: server_name,
                    serials,
                    arrival,
                    ..AddDevices::default()
                }));
                self.arrives(server, &serial, arrival);
            }
            Apple::Move { which, count, arrival, departure } => {
                let serials = self.model.present(&self.apple, server, *which, *count);
                let to = 1 - server;
                if serials.is_empty() {
                    return;
                }
                self.tell(Command::MoveDevices(MoveDevices {
                    choice: these(name, serials.clone()),
                    to: APPLE_NAMES[to].to_owned(),
                    arrival: *arrival,
                    departure: *departure,
                    mdm_migration_deadline: None,
                }));
                for serial in &serials {
                    self.leaves(server, serial, *departure);
                    self.arrives(to, serial, *arrival);
                }
            }
            Apple::Leave { which, count, departure } => {
                let serials = self.model.present(&self.apple, server, *which, *count);
                if serials.is_empty() {
                    return;
                }
                let (choice, departure) = (these(name, serials.clone()), *departure);
                self.tell(Command::RemoveDevices(RemoveDevices { choice, departure }));
                serials.iter().for_each(|serial| self.leaves(server, serial, departure));
            }
            Apple::Drift { which, how, silent } => {
                let set = match how {
                    Drift::Empty => json!({ "profile_status": "empty" }),
                    Drift::Removed => json!({ "profile_status": "removed" }),
                    Drift::Foreign => {
                        json!({ "profile_status": "assigned", "profile_uuid": "F0F0F0F0F0F0F0F0F0F0F0F0F0F0F0F0" })
                    }
                };
                for serial in self.model.present(&self.apple, server, *which, 1) {
                    self.witness.touched(server, &serial);
                    self.change(server, serial, &set, *silent);
                }
            }
            Apple::Tag { which, silent } => {
                for serial in self.model.present(&self.apple, server, *which, 1) {
                    let tag = self.model.new_tag();
                    self.change(server, serial.clone(), &json!({ "asset_tag": tag }), *silent);
                    self.model.tags.insert(serial, tag);
                }
            }
            Apple::SwitchOn { which } => {
                let serials = self.model.present(&self.apple, server, *which, 1);
                if !serials.is_empty() {
                    let choice = these(name, serials);
                    self.tell(Command::FetchProfile(FetchProfile { choice, silent: false }));
                }
            }
            Apple::Throttle { which, count, hours } => {
                let serials = self.model.present(&self.apple, server, *which, *count);
                if !serials.is_empty() {
                    let (choice, seconds) = (these(name, serials), Some(u64::from(*hours) * 3600));
                    self.tell(Command::ThrottleDevices(ThrottleDevices { choice, seconds }));
                }
            }
            Apple::Fail { which, count, times } => {
                let serials = self.model.present(&self.apple, server, *which, *count);
                if !serials.is_empty() {
                    let (choice, times) = (these(name, serials), (*times).into());
                    self.tell(Command::FailDevices(FailDevices { choice, times }));
                }
            }
            Apple::Withhold { which, hours } => {
                let serials = self.model.present(&self.apple, server, *which, 1);
                for serial in &serials {
                    // It may move while its events are withheld.
                    (0..2).for_each(|server| self.witness.only_full_sync(server, serial));
                }
                if !serials.is_empty() {
                    let (choice, seconds) = (these(name, serials), Some(u64::from(*hours) * 3600));
                    self.tell(Command::WithholdDevices(WithholdDevices { choice, seconds }));
                }
            }
            Apple::SpoilCursors { invalid } => {
                let state = if *invalid { CursorFate::Invalid } else { CursorFate::Expired };
                self.tell(Command::SpoilCursors(SpoilCursors { server: Some(name), state }));
            }
            Apple::EndSessions { forget } => {
                self.tell(Command::EndSessions(EndSessions { server: None, forget: *forget }));
            }
            Apple::Fault(trouble) => self.tell(Command::AddFault(Box::new(fault(trouble)))),
            Apple::Lie(lie) => self.network.lie(server, *lie),
        }
    }

    fn change(&self, server: usize, serial: String, set: &Value, silent: bool) {
        if silent {
            self.witness.only_full_sync(server, &serial);
        }
        let set: Map<String, Value> = set.as_object().cloned().unwrap_or_default();
        let choice = these(APPLE_NAMES[server].to_owned(), vec![serial]);
        self.tell(Command::ChangeDevices(ChangeDevices { choice, set, drop: Vec::new(), silent }));
    }

    fn arrives(&mut self, server: usize, serial: &str, arrival: Arrival) {
        self.model.known[server].insert(serial.to_owned());
        self.witness.leaves(server, serial);
        self.witness.arrives(server, serial);
        self.witness.comes_back(server, serial);
        if arrival == Arrival::Silent {
            self.witness.only_full_sync(server, serial);
        }
    }

    fn leaves(&mut self, server: usize, serial: &str, departure: Departure) {
        self.witness.leaves(server, serial);
        if departure == Departure::Silent {
            self.witness.only_full_sync(server, serial);
        }
    }

    fn order(&mut self, server: usize, what: &Order) {
        if self.wish(server, what) {
            return;
        }
        let (id, by) = (server_id(server), self.operator());
        match what {
            // These are wishes.
            Order::Default(_)
            | Order::Revise { .. }
            | Order::RollOut { .. }
            | Order::Rule { .. }
            | Order::Mark { .. } => {}
            Order::Hold { which } => {
                self.operate(server, *which, 1, &Action::Hold { reason: "a test".to_owned() });
            }
            Order::Unhold { which } => self.operate(server, *which, 1, &Action::Unhold),
            Order::Retry { which, count, force } => {
                self.operate(server, *which, *count, &Action::Retry { throttled_too: *force });
            }
            Order::Archive { which } => self.operate(server, *which, 1, &Action::Archive),
            Order::Sync { copy, full, accept_removals } => {
                self.sync(copy_of(*copy), server, *full, *accept_removals);
            }
            Order::Refresh { copy, which, add } => {
                let copy = copy_of(*copy);
                let named = self.model.any(server, *which, 3);
                // Events of an earlier departure may come after it.
                named.iter().for_each(|serial| self.witness.arrives(server, serial));
                let serials: Vec<_> = named.iter().map(|s| serial(s)).collect();
                let (engine, add) = (self.copies[copy].engine.clone(), *add);
                let witness = Arc::clone(&self.witness);
                self.spawner.spawn(copy, async move {
                    if let Err(error @ WorkError::Defect(_)) = engine.refresh(id, &serials, add).await {
                        witness.violation(format!("copy {copy}: {error}"));
                    }
                });
            }
            Order::Pause => self.block_on(self.store.set_paused(id, true, &by)).expect("it is there"),
            Order::Resume => self.block_on(self.store.set_paused(id, false, &by)).expect("it is there"),
            Order::Drift(mode) => {
                let settings = SyncSettings { drift: Some(*mode), ..SyncSettings::default() };
                self.block_on(self.store.set_sync_settings(id, &settings, &by)).expect("it is there");
            }
            Order::RetryProfiles => {
                self.block_on(self.store.retry_profiles(id, &by)).expect("it is there");
            }
        }
    }

    pub fn operate(&self, server: usize, which: u8, count: u8, action: &Action) {
        let serials: Vec<_> = self.model.any(server, which, count).iter().map(|s| serial(s)).collect();
        let by = self.operator();
        let operating = self.store.operate(server_id(server), &serials, action, &by);
        for one in self.block_on(operating).expect("it is there") {
            match (action, one.outcome) {
                (Action::Retry { .. }, Outcome::Done) => self.witness.excuse(server, &one.serial),
                // Only a full sync brings it back.
                (Action::Archive, Outcome::Done) => {
                    self.witness.arrives(server, one.serial.as_str());
                    self.witness.only_full_sync(server, one.serial.as_str());
                }
                _ => {}
            }
        }
        let stored: Vec<_> = self.stored(server).into_values().collect();
        self.witness.forgets_cool_downs(server_id(server), &stored);
    }

    /// An operator asks for a sync, in spite of the policy.
    pub fn sync(&mut self, copy: usize, server: usize, full: bool, accept_removals: bool) {
        let engine = self.copies[copy].engine.clone();
        let (stop, witness) = (self.copies[copy].stop.clone(), Arc::clone(&self.witness));
        let by = self.operator();
        self.spawner.spawn(copy, async move {
            if accept_removals {
                witness.accepts_removals(copy, server, true);
            }
            let request = Request::Sync { full, force: true, accept_removals, by };
            let worked = engine.work(server_id(server), &request, &Unobserved, &stop).await;
            if let Err(error @ WorkError::Defect(_)) = worked {
                witness.violation(format!("copy {copy}: {error}"));
            }
            if accept_removals {
                witness.accepts_removals(copy, server, false);
            }
        });
    }
}

pub fn copy_of(number: u8) -> usize {
    usize::from(number) % COPIES
}

fn these(server: String, serials: Vec<String>) -> Choice {
    Choice { server: Some(server), serials, ..Choice::default() }
}

fn fault(trouble: &Trouble) -> Fault {
    let plain = Fault {
        path: trouble.path.as_str().map(str::to_owned),
        skip: trouble.skip.into(),
        // None at all would mean for ever.
        times: Some(u32::from(trouble.times.max(1))),
        ..Fault::default()
    };
    match trouble.what {
        Mishap::Busy { minutes } => {
            Fault { status: Some(503), retry_after_seconds: Some(u64::from(minutes) * 60), ..plain }
        }
        Mishap::Failed { effect } => Fault { status: Some(500), effect, ..plain },
        Mishap::Empty => Fault { empty: true, ..plain },
        Mishap::Malformed => Fault { status: Some(200), body: Some("<html></html>".to_owned()), ..plain },
        Mishap::Cut { effect } => Fault { cut: true, effect, ..plain },
        Mishap::Truncated => Fault { truncate_to: Some(10), ..plain },
        // A listing begins without a cursor, so that nobody could see that its first page did not move; without its
        // devices that would be a lie, and not a cursor that stands still.
        Mishap::SameCursor(SameCursor::WithoutDevices) if matches!(trouble.path, Path::Any | Path::Fetch) => {
            Fault { same_cursor: Some(SameCursor::WithDevices), ..plain }
        }
        Mishap::SameCursor(kind) => Fault { same_cursor: Some(kind), ..plain },
        Mishap::Repeat(devices) => Fault { duplicates: devices.into(), ..plain },
        Mishap::Redeliver(events) => Fault { redeliver: events.into(), ..plain },
        Mishap::Cursor { invalid } => {
            let code = if invalid { "INVALID_CURSOR" } else { "EXPIRED_CURSOR" };
            Fault { status: Some(400), body: Some(code.to_owned()), ..plain }
        }
    }
}
