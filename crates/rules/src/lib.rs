//! Which enrollment profile a device is to have, with an explanation. Pure: no I/O, no clock, no chance.
//!
//! An MDM server has [`Defaults`]: at most one revision per device family, and one for any family. The more
//! specific one wins:
//!
//! ```
//! use adelie_model::{DeviceFamily, RevisionId};
//! use adelie_rules::{Defaults, Scope};
//!
//! let defaults = Defaults::new([
//!     (Scope::Any, RevisionId(1)),
//!     (Scope::Family(DeviceFamily::Mac), RevisionId(2)),
//! ]);
//! let decision = defaults.decide(Some(&DeviceFamily::Mac));
//! assert_eq!(decision.wanted, Some(RevisionId(2)));
//! assert_eq!(decision.because, "default for mac");
//! ```

mod defaults;
mod scope;

pub use defaults::{Decision, Defaults};
pub use scope::{Scope, ScopeError};
