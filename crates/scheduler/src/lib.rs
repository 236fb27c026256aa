//! Reconcilers: what makes the copy of Apple's device list exact and Apple's profiles as wanted.
//!
//! [`Engine::work`] does all there is to do for one MDM server under a lease: it syncs by the [`policy`], stores
//! each page in one transaction while the next is fetched, and assigns from the first page on. It takes no input
//! but a wish; what is due it finds in the store. [`Service`] wakes it by a heartbeat for every server that has
//! work; `adelie sync` wakes it once.
//!
//! Nothing here knows a database driver or reads the real clock.

mod alerts;
mod answers;
mod assign;
mod connector;
mod engine;
mod error;
mod import;
mod job;
pub mod policy;
mod publish;
mod read_back;
mod readiness;
mod ready;
mod record;
mod request;
mod retry;
pub mod secrets;
mod service;
mod settings;
mod settle;
mod sync;
mod token;

pub use alerts::{Alert, Severity, alerts, token_alerts};
pub use assign::AssignReport;
pub use connector::Connector;
pub use engine::{Claimed, Engine, Report};
pub use error::{WorkError, chain};
pub use read_back::Shown;
pub use readiness::Readiness;
pub use request::{Observer, Progress, Request, Unobserved};
pub use service::{Service, ServiceError};
pub use settings::Settings;
pub use sync::to_account;
