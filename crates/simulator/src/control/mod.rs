//! Commands: what a person, a test or a scenario tells the simulated Apple to do.
//!
//! The same commands work in a scenario file (`action = "add_devices"`), over HTTP
//! (`POST /_control/add_devices`) and in the same process ([`crate::Simulator::perform`]).

mod error;
mod perform;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

pub use error::ControlError;

use crate::faults::Fault;
use crate::state::{Arrival, Departure, Terms, TokenSwitch};

/// A new MDM server in the portal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AddServer {
    /// Its name, unique in the simulator.
    pub name: String,
    /// Its organization; MDM servers of one organization share the terms. Left out: `Example`.
    pub organization: Option<String>,
    /// Devices that it has at once, with `added` events.
    pub devices: usize,
    /// Whether it may release devices; left out: the setting of that name.
    pub may_release: Option<bool>,
}

/// New devices for an MDM server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AddDevices {
    /// The MDM server; may be left out when there is one only.
    pub server: Option<String>,
    /// How many to make.
    pub count: usize,
    /// Decides what is made; left out: the seed of the simulator.
    pub seed: Option<u64>,
    /// Devices with these serial numbers, besides.
    pub serials: Vec<String>,
    /// Only this family: `Mac`, `iPhone`, `iPad`, `iPod`, `AppleTV`, `Vision`.
    pub device_family: Option<String>,
    /// Only this model, like `MacBook Air`.
    pub model: Option<String>,
    /// Without the optional fields.
    pub sparse: bool,
    /// How they show up in sync.
    pub arrival: Arrival,
    /// Fields to set, as in `change_devices`.
    pub set: Map<String, Value>,
}

/// A choice of devices: by serial number, or a number of them from an MDM server, chosen by a seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Choice {
    /// The MDM server; may be left out when there is one only.
    pub server: Option<String>,
    /// These.
    pub serials: Vec<String>,
    /// So many, chosen by `seed`.
    pub count: usize,
    /// Decides the choice.
    pub seed: u64,
    /// All of the MDM server.
    pub all: bool,
}

macro_rules! command_with_choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            /// Which devices.
            pub choice: Choice,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl<'de> Deserialize<'de> for $name {
            // By hand, because serde's `flatten` does not refuse unknown fields.
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Default, Deserialize)]
                #[serde(default, deny_unknown_fields)]
                struct Wire {
                    server: Option<String>,
                    serials: Vec<String>,
                    count: usize,
                    seed: u64,
                    all: bool,
                    $($field: $type,)*
                }
                let wire = Wire::deserialize(deserializer)?;
                Ok(Self {
                    choice: Choice {
                        server: wire.server,
                        serials: wire.serials,
                        count: wire.count,
                        seed: wire.seed,
                        all: wire.all,
                    },
                    $($field: wire.$field,)*
                })
            }
        }
    };
}

command_with_choice!(
    /// Devices leave an MDM server in the portal.
    RemoveDevices {
        /// With or without an event (field lesson L8).
        departure: Departure,
    }
);
command_with_choice!(
    /// Devices go from one MDM server to another in the portal.
    MoveDevices {
        /// The MDM server that gets them.
        to: String,
        /// How they show up there.
        arrival: Arrival,
        /// How they leave the old one.
        departure: Departure,
        /// A migration deadline for them (ISO 8601).
        mdm_migration_deadline: Option<String>,
    }
);
command_with_choice!(
    /// Facts of devices change. `profile_status` and `profile_uuid` become the real state: drift.
    ChangeDevices {
        /// Fields to set; `null` and `""` are sent as they are.
        set: Map<String, Value>,
        /// Fields to leave out.
        drop: Vec<String>,
        /// No event is written.
        silent: bool,
    }
);
command_with_choice!(
    /// Devices are switched on and fetch the profile that waits for them.
    FetchProfile {
        /// No event is written.
        silent: bool,
    }
);
command_with_choice!(
    /// Events of devices are never reported by sync (field lesson L7).
    WithholdDevices {
        /// For so long (simulated); left out: for good. 0 ends it.
        seconds: Option<u64>,
    }
);
command_with_choice!(
    /// The next assigns, removes, disowns or locks of devices answer FAILED.
    FailDevices {
        /// How many times; 0 ends it.
        times: u32,
    }
);
command_with_choice!(
    /// Assigns of devices answer THROTTLED for a time.
    ThrottleDevices {
        /// For so long (simulated); left out: the cool-down of the settings. 0 ends it.
        seconds: Option<u64>,
    }
);

/// Events that are put into the log of an MDM server as they are given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InjectEvents {
    /// The MDM server; may be left out when there is one only.
    pub server: Option<String>,
    /// The events, in order.
    pub events: Vec<InjectedEvent>,
}

/// One event of [`InjectEvents`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InjectedEvent {
    /// A device that the simulator knows.
    pub serial: String,
    /// `added`, `modified`, `deleted`, or any other word.
    pub op_type: String,
    /// Left out: now (simulated).
    #[serde(default)]
    pub op_date: Option<String>,
    /// Fields that differ from the device as it is.
    #[serde(default)]
    pub set: Map<String, Value>,
    /// Fields to leave out.
    #[serde(default)]
    pub drop: Vec<String>,
}

/// A device replaces another one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplaceDevice {
    /// The new device; it must be there.
    pub serial: String,
    /// The device that it stands for. When an MDM server has it, it leaves with `released_by_replacement`.
    pub original: String,
    /// `YYYY-MM-DD`; left out: today (simulated).
    pub date: Option<String>,
}

/// Simulated time passes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdvanceClock {
    /// So many seconds,
    pub seconds: u64,
    /// hours,
    pub hours: u64,
    /// and days.
    pub days: u64,
}

/// The terms of an organization are accepted or not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SetTerms {
    /// An MDM server of the organization; may be left out when there is one only.
    pub server: Option<String>,
    /// `signed`, `unsigned` or `unsigned_after_session`.
    pub state: Terms,
}

/// The server token of an MDM server goes bad or good.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SetToken {
    /// The MDM server; may be left out when there is one only.
    pub server: Option<String>,
    /// `live`, `expired`, `rejected` or `replaced`.
    pub state: TokenSwitch,
}

/// All cursors of an MDM server go bad.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpoilCursors {
    /// The MDM server; may be left out when there is one only.
    pub server: Option<String>,
    /// What they answer from now on.
    pub state: CursorFate,
}

/// What a spoilt cursor answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CursorFate {
    /// `EXPIRED_CURSOR`.
    #[default]
    Expired,
    /// `INVALID_CURSOR`.
    Invalid,
}

/// Sessions end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EndSessions {
    /// Of this MDM server; left out: all.
    pub server: Option<String>,
    /// They are forgotten (403 `FORBIDDEN`) instead of over (401 `UNAUTHORIZED`).
    pub forget: bool,
}

macro_rules! commands {
    ($($(#[$doc:meta])* $name:literal => $variant:ident($type:ty)),+ $(,)?) => {
        /// A command; see the types for their arguments.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Command {
            $($(#[$doc])* $variant($type),)+
        }

        /// The names of all commands.
        pub const COMMANDS: &[&str] = &[$($name),+];

        impl Command {
            /// Reads the arguments of the command with that name.
            pub(crate) fn read<'de, D: Deserializer<'de>>(name: &str, arguments: D) -> Result<Self, D::Error> {
                match name {
                    $($name => read_as::<$type, D>(arguments).map(Self::$variant),)+
                    other => Err(D::Error::custom(format!(
                        "there is no command `{other}`: the commands are {}", COMMANDS.join(", ")
                    ))),
                }
            }
        }
    };
}

fn read_as<'de, T: DeserializeOwned, D: Deserializer<'de>>(arguments: D) -> Result<T, D::Error> {
    T::deserialize(arguments)
}

commands!(
    /// A new MDM server.
    "add_server" => AddServer(AddServer),
    /// New devices.
    "add_devices" => AddDevices(AddDevices),
    /// Devices leave.
    "remove_devices" => RemoveDevices(RemoveDevices),
    /// Devices go to another MDM server.
    "move_devices" => MoveDevices(MoveDevices),
    /// Facts of devices change.
    "change_devices" => ChangeDevices(ChangeDevices),
    /// Devices fetch their profile.
    "fetch_profile" => FetchProfile(FetchProfile),
    /// Events of devices are never reported.
    "withhold_devices" => WithholdDevices(WithholdDevices),
    /// Assigns fail.
    "fail_devices" => FailDevices(FailDevices),
    /// Assigns are throttled.
    "throttle_devices" => ThrottleDevices(ThrottleDevices),
    /// Events as they are given.
    "inject_events" => InjectEvents(InjectEvents),
    /// A device replaces another one.
    "replace_device" => ReplaceDevice(ReplaceDevice),
    /// A fault for the next requests.
    "add_fault" => AddFault(Box<Fault>),
    /// No faults any more.
    "clear_faults" => ClearFaults(Nothing),
    /// Simulated time passes.
    "advance_clock" => AdvanceClock(AdvanceClock),
    /// Terms of an organization.
    "set_terms" => SetTerms(SetTerms),
    /// State of a server token.
    "set_token" => SetToken(SetToken),
    /// All cursors go bad.
    "spoil_cursors" => SpoilCursors(SpoilCursors),
    /// Sessions end.
    "end_sessions" => EndSessions(EndSessions),
    /// Settings change.
    "settings" => Settings(Value),
    /// The log of requests is emptied.
    "clear_log" => ClearLog(Nothing),
);

/// For commands without arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nothing {}

/// A device as it truly is, for comparison with what a client believes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TruthDevice {
    /// Its serial number.
    pub serial_number: String,
    /// Its MDM server; `None` when nobody has it.
    pub server: Option<String>,
    /// Its product family.
    pub device_family: String,
    /// `empty`, `assigned`, `pushed` or `removed`.
    pub profile_status: String,
    /// The profile that Apple shows.
    pub profile_uuid: Option<String>,
    /// How often a profile was assigned to it over the API.
    pub assigns: u32,
    /// Whether it has left the organization for good.
    pub disowned: bool,
}
