use std::collections::VecDeque;
use std::sync::Arc;

use super::device::{Device, Overrides, Status};

/// What happened to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Added,
    Modified,
    Deleted,
}

impl Op {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Modified => "modified",
            Self::Deleted => "deleted",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Added, Self::Modified, Self::Deleted].into_iter().find(|op| op.as_str() == text)
    }
}

/// One event with what was true when it happened; the rest of the device is looked up.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) device: u32,
    pub(crate) op: Op,
    /// When it happened, in simulated milliseconds; it shows `event_delay` later.
    pub(crate) at_ms: i64,
    profile: u32,
    status: Status,
    assigned_at: i64,
    assign_time: i64,
    push_time: i64,
    overrides: Option<Arc<Overrides>>,
}

impl Event {
    pub(crate) fn of(number: u32, device: &Device, op: Op, at_ms: i64) -> Self {
        Self {
            device: number,
            op,
            at_ms,
            profile: device.profile,
            status: device.status,
            assigned_at: device.assigned_at,
            assign_time: device.assign_time,
            push_time: device.push_time,
            overrides: device.overrides.clone(),
        }
    }

    /// The event with fields laid over it.
    pub(crate) fn with(mut self, overrides: &Overrides) -> Self {
        let base = self.overrides.as_deref().cloned().unwrap_or_default();
        self.overrides = Some(Arc::new(base.merged(overrides)));
        self
    }

    /// The device as it was at the event.
    pub(crate) fn snapshot(&self, device: &Device) -> Device {
        Device {
            profile: self.profile,
            status: self.status,
            assigned_at: self.assigned_at,
            assign_time: self.assign_time,
            push_time: self.push_time,
            overrides: self.overrides.clone(),
            ..device.clone()
        }
    }
}

/// The events of one MDM server. Positions count from its beginning and stay when old events are dropped.
#[derive(Default)]
pub(crate) struct EventLog {
    dropped: u64,
    events: VecDeque<Event>,
}

impl EventLog {
    pub(crate) fn push(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Drops what no living cursor can ask for.
    pub(crate) fn drop_before(&mut self, at_ms: i64) {
        while self.events.front().is_some_and(|event| event.at_ms < at_ms) {
            self.events.pop_front();
            self.dropped += 1;
        }
    }

    /// The position after the last event that shows at `until_ms`.
    pub(crate) fn visible_end(&self, until_ms: i64) -> u64 {
        self.dropped + self.events.partition_point(|event| event.at_ms <= until_ms) as u64
    }

    /// The events from a position on.
    pub(crate) fn from(&self, position: u64) -> impl Iterator<Item = &Event> {
        let skip = usize::try_from(position.saturating_sub(self.dropped)).unwrap_or(usize::MAX);
        self.events.iter().skip(skip)
    }

    /// The first position that is still there.
    pub(crate) fn first(&self) -> u64 {
        self.dropped
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }
}
