//! Carries commands out. Every command is looked at in full before anything is changed.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    AddDevices, AddServer, ChangeDevices, Choice, Command, ControlError, CursorFate, InjectEvents,
    MoveDevices, ReplaceDevice,
};
use crate::Simulator;
use crate::clock::time_text;
use crate::state::changes::Purchase;
use crate::state::device::Overrides;
use crate::state::events::Op;
use crate::state::{Arrival, Departure, Moment, World};

impl Simulator {
    /// Carries a command out and tells what it did, as the control API answers it.
    ///
    /// # Errors
    /// Names what is wrong with the command; nothing is changed then.
    pub fn perform(&self, command: Command) -> Result<Value, ControlError> {
        let settings = self.settings();
        let now_ms = self.clock().now_ms();
        let moment = Moment { now_ms, settings: &settings };
        let until = |seconds: Option<u64>, or: i64| {
            seconds.map_or(or, |s| {
                now_ms.saturating_add(i64::try_from(s).unwrap_or(i64::MAX).saturating_mul(1000))
            })
        };
        match command {
            Command::AddServer(arguments) => self.add_server_now(&arguments, &moment),
            Command::AddDevices(arguments) => self.add_devices_now(&arguments, &moment),
            Command::RemoveDevices(arguments) => self.with_choice(&arguments.choice, |world, numbers| {
                world.leave(numbers, arguments.departure, &moment);
            }),
            Command::MoveDevices(arguments) => self.move_devices_now(&arguments, &moment),
            Command::ChangeDevices(arguments) => self.change_devices_now(arguments, &moment),
            Command::FetchProfile(arguments) => self.with_choice(&arguments.choice, |world, numbers| {
                world.fetch_profile(numbers, !arguments.silent, &moment);
            }),
            Command::WithholdDevices(arguments) => self.with_choice(&arguments.choice, |world, numbers| {
                let until = until(arguments.seconds, i64::MAX);
                numbers.iter().for_each(|number| world.special(*number).withheld_until = until);
            }),
            Command::FailDevices(arguments) => self.with_choice(&arguments.choice, |world, numbers| {
                numbers.iter().for_each(|number| world.special(*number).failures_left = arguments.times);
            }),
            Command::ThrottleDevices(arguments) => self.with_choice(&arguments.choice, |world, numbers| {
                let cooldown = settings.throttle_cooldown.as_secs();
                let until = until(Some(arguments.seconds.unwrap_or(cooldown)), now_ms);
                numbers.iter().for_each(|number| world.special(*number).throttled_until = until);
            }),
            Command::InjectEvents(arguments) => self.inject_events_now(&arguments, &moment),
            Command::ReplaceDevice(arguments) => self.replace_device_now(&arguments, &moment),
            Command::AddFault(fault) => {
                if let Some(text) = fault.complaint() {
                    return Err(ControlError::Arguments { action: "add_fault".to_owned(), text });
                }
                self.faults().add(*fault);
                Ok(json!({ "waiting": self.faults().waiting() }))
            }
            Command::ClearFaults(_) => Ok(json!({ "cleared": self.faults().clear() })),
            Command::AdvanceClock(by) => {
                let hours = by.hours.saturating_add(by.days.saturating_mul(24));
                let seconds = by.seconds.saturating_add(hours.saturating_mul(3600));
                self.clock().advance(Duration::from_secs(seconds.min(3_153_600_000)));
                self.take_steps();
                Ok(json!({ "now": time_text(self.clock().now_ms().div_euclid(1000)) }))
            }
            Command::SetTerms(terms) => {
                let mut world = self.world_mut();
                let server = pick(&world, terms.server.as_deref())?;
                world.set_terms(server, terms.state);
                Ok(json!({ "terms": terms.state }))
            }
            Command::SetToken(token) => {
                let mut world = self.world_mut();
                let server = pick(&world, token.server.as_deref())?;
                if let Some(server) = world.server_mut(server) {
                    server.token_switch = token.state;
                }
                Ok(json!({ "token": token.state }))
            }
            Command::SpoilCursors(cursors) => {
                let mut world = self.world_mut();
                let number = pick(&world, cursors.server.as_deref())?;
                let last = world.last_cursor_number();
                if let Some(server) = world.server_mut(number) {
                    match cursors.state {
                        CursorFate::Expired => server.cursors_expired_up_to = last,
                        CursorFate::Invalid => server.cursors_invalid = last,
                    }
                }
                Ok(json!({ "cursors": cursors.state }))
            }
            Command::EndSessions(sessions) => {
                let server = match &sessions.server {
                    Some(name) => Some(self.world().server_number(name)?),
                    None => None,
                };
                let mut access = self.access();
                let ended = if sessions.forget { access.forget(server) } else { access.end(server) };
                Ok(json!({ "ended": ended }))
            }
            Command::Settings(patch) => {
                let patched = settings.patched(&patch)?;
                let shown = serde_json::to_value(&patched).unwrap_or_default();
                self.replace_settings(patched);
                Ok(shown)
            }
            Command::ClearLog(_) => Ok(json!({ "cleared": self.log().clear() })),
        }
    }

    fn add_server_now(&self, wanted: &AddServer, moment: &Moment<'_>) -> Result<Value, ControlError> {
        let name = wanted.name.trim();
        let reserved = ["Unassigned", "Reassigned"].iter().any(|word| word.eq_ignore_ascii_case(name));
        if name.is_empty() || name.chars().count() > 100 || name.contains('/') || reserved {
            return Err(ControlError::ServerName(wanted.name.clone()));
        }
        let mut world = self.world_mut();
        if world.server_number(name).is_ok() {
            return Err(ControlError::ServerTaken(name.to_owned()));
        }
        if world.servers.len() >= 60_000 {
            return Err(ControlError::TooManyServers);
        }
        let organization = wanted.organization.as_deref().unwrap_or("Example");
        world.push_server(name, organization, wanted.may_release.unwrap_or(moment.settings.may_release));
        let number = world.server_number(name)?;
        let purchase = Purchase { count: wanted.devices, ..Purchase::default() };
        let added = world.buy(number, &purchase, moment)?;
        Ok(json!({ "name": name, "devices": added.len() }))
    }

    fn add_devices_now(&self, wanted: &AddDevices, moment: &Moment<'_>) -> Result<Value, ControlError> {
        if wanted.count == 0 && wanted.serials.is_empty() {
            return Err(ControlError::Arguments {
                action: "add_devices".to_owned(),
                text: "it adds no device: give `count` or `serials`".to_owned(),
            });
        }
        let mut world = self.world_mut();
        let server = pick(&world, wanted.server.as_deref())?;
        let purchase = Purchase {
            serials: &wanted.serials,
            count: wanted.count,
            seed: wanted.seed,
            family: wanted.device_family.as_deref(),
            model: wanted.model.as_deref(),
            sparse: wanted.sparse,
            arrival: wanted.arrival,
            overrides: Overrides { set: wanted.set.clone(), drop: Vec::new() },
        };
        let numbers = world.buy(server, &purchase, moment)?;
        Ok(told(&world, &numbers))
    }

    fn move_devices_now(&self, wanted: &MoveDevices, moment: &Moment<'_>) -> Result<Value, ControlError> {
        let mut world = self.world_mut();
        let to = world.server_number(&wanted.to)?;
        let numbers = choose(&world, &wanted.choice)?;
        let mut overrides = Overrides::default();
        if let Some(deadline) = &wanted.mdm_migration_deadline {
            overrides.set.insert("mdm_migration_deadline".to_owned(), Value::String(deadline.clone()));
        }
        world.leave(&numbers, wanted.departure, moment);
        for number in &numbers {
            world.arrive(*number, to, wanted.arrival, &overrides, moment);
        }
        Ok(told(&world, &numbers))
    }

    fn change_devices_now(&self, wanted: ChangeDevices, moment: &Moment<'_>) -> Result<Value, ControlError> {
        for fixed in ["serial_number", "op_type", "op_date"] {
            if wanted.set.contains_key(fixed) || wanted.drop.iter().any(|name| name == fixed) {
                return Err(ControlError::Arguments {
                    action: "change_devices".to_owned(),
                    text: format!("`{fixed}` cannot be changed; `inject_events` makes odd events"),
                });
            }
        }
        let overrides = Overrides { set: wanted.set, drop: wanted.drop };
        self.with_choice(&wanted.choice, |world, numbers| {
            world.overlay(numbers, &overrides, !wanted.silent, moment);
        })
    }

    fn inject_events_now(&self, wanted: &InjectEvents, moment: &Moment<'_>) -> Result<Value, ControlError> {
        let mut world = self.world_mut();
        let server = pick(&world, wanted.server.as_deref())?;
        let mut ready = Vec::with_capacity(wanted.events.len());
        for event in &wanted.events {
            let number = world.find(&event.serial).ok_or_else(|| unknown(&event.serial, "this simulator"))?;
            let mut overrides = Overrides { set: event.set.clone(), drop: event.drop.clone() };
            // Odd words and odd dates are the purpose here: they are laid over the plain event.
            let op = Op::parse(&event.op_type).unwrap_or(Op::Modified);
            overrides.set.insert("op_type".to_owned(), Value::String(event.op_type.clone()));
            if let Some(date) = &event.op_date {
                overrides.set.insert("op_date".to_owned(), Value::String(date.clone()));
            }
            overrides.set.retain(|name, _| !event.drop.contains(name));
            ready.push((number, op, overrides));
        }
        for (number, op, overrides) in &ready {
            world.inject(server, *number, *op, overrides, moment);
        }
        Ok(json!({ "injected": ready.len() }))
    }

    fn replace_device_now(&self, wanted: &ReplaceDevice, moment: &Moment<'_>) -> Result<Value, ControlError> {
        let mut world = self.world_mut();
        let number = world.find(&wanted.serial).ok_or_else(|| unknown(&wanted.serial, "this simulator"))?;
        let today = time_text(moment.now_ms.div_euclid(1000)).chars().take(10).collect::<String>();
        let date = wanted.date.clone().unwrap_or(today);
        let mark = |name: &str| {
            let mut set = Map::new();
            set.insert(name.to_owned(), Value::Bool(true));
            Overrides { set, drop: Vec::new() }
        };
        if let Some(old) = world.find(&wanted.original).filter(|old| world.owned(*old)) {
            let server = world.device(old).map_or(u16::MAX, |device| device.owner);
            world.inject(server, old, Op::Deleted, &mark("released_by_replacement"), moment);
            world.leave(&[old], Departure::Silent, moment);
        }
        world.special(number).replaces = Some((wanted.original.clone(), date));
        world.overlay(&[number], &mark("is_replacement_device"), true, moment);
        Ok(told(&world, &[number]))
    }

    fn with_choice(
        &self,
        choice: &Choice,
        act: impl FnOnce(&mut World, &[u32]),
    ) -> Result<Value, ControlError> {
        let mut world = self.world_mut();
        let numbers = choose(&world, choice)?;
        act(&mut world, &numbers);
        Ok(told(&world, &numbers))
    }

    /// Adds new devices to an MDM server and gives their serial numbers.
    ///
    /// # Errors
    /// When there is no such MDM server.
    pub fn add_devices(&self, server: &str, count: usize) -> Result<Vec<String>, ControlError> {
        self.add_devices_as(server, count, Arrival::Added)
    }

    /// As [`Simulator::add_devices`], with a say in how they show up in sync.
    ///
    /// # Errors
    /// When there is no such MDM server.
    pub fn add_devices_as(
        &self,
        server: &str,
        count: usize,
        arrival: Arrival,
    ) -> Result<Vec<String>, ControlError> {
        let settings = self.settings();
        let moment = Moment { now_ms: self.clock().now_ms(), settings: &settings };
        let mut world = self.world_mut();
        let server = world.server_number(server)?;
        let numbers = world.buy(server, &Purchase { count, arrival, ..Purchase::default() }, &moment)?;
        Ok(serials(&world, &numbers))
    }

    /// Takes devices from their MDM server.
    ///
    /// # Errors
    /// When a serial number is unknown there.
    pub fn remove_devices(
        &self,
        server: &str,
        serials: &[String],
        departure: Departure,
    ) -> Result<(), ControlError> {
        let choice =
            Choice { server: Some(server.to_owned()), serials: serials.to_vec(), ..Choice::default() };
        self.perform(Command::RemoveDevices(super::RemoveDevices { choice, departure })).map(drop)
    }

    /// Moves devices to another MDM server.
    ///
    /// # Errors
    /// When an MDM server or a serial number is unknown.
    pub fn move_devices(
        &self,
        from: &str,
        to: &str,
        serials: &[String],
        arrival: Arrival,
    ) -> Result<(), ControlError> {
        let choice = Choice { server: Some(from.to_owned()), serials: serials.to_vec(), ..Choice::default() };
        let to = to.to_owned();
        self.perform(Command::MoveDevices(MoveDevices { choice, to, arrival, ..MoveDevices::default() }))
            .map(drop)
    }

    /// Makes an MDM server.
    ///
    /// # Errors
    /// When the name is taken or no name.
    pub fn add_server(&self, name: &str) -> Result<(), ControlError> {
        self.perform(Command::AddServer(AddServer { name: name.to_owned(), ..AddServer::default() }))
            .map(drop)
    }
}

fn pick(world: &World, name: Option<&str>) -> Result<u16, ControlError> {
    match name {
        Some(name) => world.server_number(name),
        None if world.servers.len() == 1 => Ok(0),
        None => Err(ControlError::WhichServer),
    }
}

fn choose(world: &World, choice: &Choice) -> Result<Vec<u32>, ControlError> {
    if !choice.serials.is_empty() {
        let at = match &choice.server {
            Some(name) => Some((world.server_number(name)?, name)),
            None => None,
        };
        let mut seen = std::collections::HashSet::new();
        return choice
            .serials
            .iter()
            .filter(|serial| seen.insert(serial.as_str()))
            .map(|serial| match at {
                Some((server, name)) => world.find_at(server, serial).ok_or_else(|| unknown(serial, name)),
                None => world
                    .find(serial)
                    .filter(|number| world.owned(*number))
                    .ok_or_else(|| unknown(serial, "any MDM server")),
            })
            .collect();
    }
    let server = pick(world, choice.server.as_deref())?;
    match (choice.all, choice.count) {
        (true, _) => Ok(world.choose(server, usize::MAX, choice.seed)),
        (false, 0) => Err(ControlError::NoChoice),
        (false, count) => Ok(world.choose(server, count, choice.seed)),
    }
}

fn unknown(serial: &str, at: &str) -> ControlError {
    ControlError::UnknownSerial { serial: serial.to_owned(), at: at.to_owned() }
}

fn serials(world: &World, numbers: &[u32]) -> Vec<String> {
    let devices = numbers.iter().filter_map(|number| world.device(*number));
    devices.map(|device| device.serial.as_str().to_owned()).collect()
}

fn told(world: &World, numbers: &[u32]) -> Value {
    /// More serial numbers than this make no good answer for a person.
    const SHOWN: usize = 10_000;
    json!({ "devices": numbers.len(), "serials": serials(world, &numbers[..numbers.len().min(SHOWN)]) })
}
