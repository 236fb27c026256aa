//! What every scenario stands on: a simulated Apple that the test can control, a data directory, a database,
//! and the real binary between them.

mod apple;
#[macro_use]
mod database;
mod ledger;
mod outage;
mod process;
mod receiver;
mod world;

pub use apple::{Apple, LAB, RUNTIME, RealClock, get, these};
pub use database::Database;
pub use ledger::Ledger;
pub use outage::Outage;
pub use process::{Background, Run};
pub use receiver::{Post, Receiver, Reply};
pub use world::{World, files, profile_of};

use std::time::{Duration, Instant};

/// How long anything may take before it counts as never happening. Far more than is ever needed, so that a slow
/// machine fails no test.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// A profile that passes every rule.
pub const STANDARD: &str = r#"{
  "profile_name": "Standard", "url": "https://mdm.example.org/enroll",
  "is_supervised": true, "skip_setup_items": ["Siri", "Diagnostics"]
}"#;

/// Waits until `look` finds something.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < DEADLINE, "it never came about: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The text at a key of a JSON object.
pub fn text<'a>(object: &'a serde_json::Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_else(|| panic!("{key} is no text in {object}"))
}
