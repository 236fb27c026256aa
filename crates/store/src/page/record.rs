use adelie_model::{Actual, OpType, SerialNumber, Timestamp};

/// How complete a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A listing or device details: what is absent is not so.
    Whole,
    /// A sync page: what is absent has not changed (field lesson L12).
    Changes,
    /// Device details after an assignment of ours: whole, and the outcome of a `sent` device is known by it.
    ReadBack,
}

/// One record of Apple's about one device, in our words.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The device.
    pub serial: SerialNumber,
    /// What the record says; absent facts are `None`.
    pub actual: Actual,
    /// What happened to it; only in sync pages, as a rule.
    pub op_type: Option<OpType>,
    /// When; only in sync pages, as a rule, in whole seconds.
    pub op_date: Option<Timestamp>,
}
