use adelie_model::Timestamp;
use uuid::Uuid;

/// Who does something by hand, when and why: what is written beside every change (field lesson L32).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// The name of the operating-system user, or whatever else names a person.
    pub name: String,
    /// The moment.
    pub now: Timestamp,
    /// Why, in their words; kept with the entry in the audit.
    pub reason: Option<String>,
    /// The run of the command, or the request, that it is part of; nil where nobody has named one.
    pub request: Uuid,
}

impl Operator {
    /// Somebody who gives no reason.
    pub fn new(name: impl Into<String>, now: Timestamp) -> Self {
        Self { name: name.into(), now, reason: None, request: Uuid::nil() }
    }

    /// The same with a reason. An empty one is none.
    #[must_use]
    pub fn because(self, reason: Option<String>) -> Self {
        Self { reason: reason.filter(|reason| !reason.is_empty()), ..self }
    }

    /// The same as part of a request.
    #[must_use]
    pub fn in_request(self, request: Uuid) -> Self {
        Self { request, ..self }
    }

    /// The same at another moment, for what is done later than it was asked for.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Self {
        Self { now, ..self.clone() }
    }
}
