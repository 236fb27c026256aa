//! A fake Apple with state and faults: the device assignment service without Apple.
//!
//! The organization is plain Rust state (`state`): MDM servers, devices, an event log, cursors with an age,
//! sessions, profiles, server tokens. HTTP lies over it: Apple's endpoints, strict where Apple documents them
//! and loose where the field is loose, and a control API under `/_control`. The simulator opens no database,
//! knows neither store nor server, and takes its clock from outside.
//!
//! Switches come three ways: as [`Settings`], from a [`Scenario`] file, and live as a [`Command`] — in the
//! same process by [`Simulator::perform`], over HTTP by `POST /_control/<command>`. `docs/simulator.md` has
//! them all with examples.
//!
//! It is asked over HTTP by [`Simulator::serve`], or in the same process and without a socket by
//! [`Simulator::answer`]; [`InProcess`] gives the latter to our client.
//!
//! ```
//! # use std::sync::Arc;
//! # use adelie_model::ManualClock;
//! # use adelie_simulator::{Settings, Simulator};
//! # let clock = ManualClock::new("2026-03-01T10:00:00Z".parse().expect("a moment"));
//! let apple = Simulator::new(Settings { devices: 100, ..Settings::default() }, Arc::new(clock));
//! let new = apple.add_devices("Lab", 5).expect("the MDM server Lab is there from the start");
//! assert_eq!((new.len(), apple.truth("Lab").expect("it is there").len()), (5, 105));
//! ```

mod clock;
pub mod control;
mod faults;
mod http;
mod in_process;
mod oauth;
mod render;
mod request_log;
mod scenario;
mod settings;
mod simulator;
mod state;
mod token_file;

pub use control::{Command, ControlError, TruthDevice};
pub use faults::{Fault, SameCursor};
pub use http::Cut;
pub use in_process::InProcess;
pub use request_log::LoggedRequest;
pub use scenario::{Scenario, ScenarioError, Step};
pub use settings::{FetchOrder, Settings};
pub use simulator::{IssueError, Simulator};
pub use state::{Arrival, Departure, Terms, TokenSwitch};
pub use token_file::{TokenCipher, TokenFileError, TokenShape};
