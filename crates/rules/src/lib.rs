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
//!
//! Before the defaults come [`Rules`]: the first [`Rule`] whose [`Condition`]s all hold decides. [`Rules::explain`]
//! says of each rule why it does or does not, and [`Rules::findings`] which rules can never do anything:
//!
//! ```
//! use adelie_model::{DeviceFamily, RevisionId, SerialNumber, ServerId, ServerName};
//! use adelie_rules::{Defaults, Rule, Rules, Scope, Subject};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let labs = Rule {
//!     name: "labs".parse()?,
//!     only: None,
//!     conditions: vec!["family=mac".parse()?, "serial=C02*,DMP*".parse()?],
//!     gives: RevisionId(7),
//! };
//! let rules = Rules::new([labs], Defaults::new([(Scope::Any, RevisionId(1))]));
//!
//! let (server_name, serial): (ServerName, SerialNumber) = ("School".parse()?, "F4KEXAMPLE01".parse()?);
//! let device = Subject {
//!     family: Some(&DeviceFamily::Mac),
//!     ..Subject::unknown(ServerId(1), &server_name, &serial)
//! };
//! assert_eq!(rules.decide(&device).wanted, Some(RevisionId(1)));
//! assert_eq!(
//!     rules.explain(&device).to_string(),
//!     "rule \"labs\": serial is F4KEXAMPLE01, not one of C02*, DMP*\n\
//!      decided by: default for any family"
//! );
//! # Ok(())
//! # }
//! ```

mod condition;
mod days;
mod defaults;
mod explain;
mod facts;
mod field;
mod findings;
#[cfg(test)]
mod fixture;
mod fold;
mod glob;
mod glob_index;
mod listing;
mod matcher;
mod pattern;
#[cfg(test)]
mod properties;
mod rule;
mod rules;
mod scope;
mod set;
mod subject;
mod table;
mod words;

pub use condition::{Condition, ConditionError};
pub use defaults::{Decision, Defaults};
pub use explain::{Explanation, NotMet, Outcome, Step};
pub use field::{Field, FieldError};
pub use findings::{Finding, FindingKind};
pub use pattern::{Pattern, PatternError, PatternFault};
pub use rule::{OnlyServer, Rule};
pub use rules::{Rules, Ruling};
pub use scope::{Scope, ScopeError};
pub use subject::Subject;
