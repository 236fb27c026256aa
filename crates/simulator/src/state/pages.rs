//! Pages of the device list: the full listing and what has changed since.

use std::sync::Arc;
use std::time::Duration;

use super::cursor::Cursor;
use super::device::Device;
use super::listing::{CHUNK, HOLE, Rendered};
use super::{Moment, World};
use crate::render::{Class, OpInfo};
use crate::settings::FetchOrder;

/// Why a cursor was refused; the text is Apple's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CursorError {
    Required,
    Invalid,
    Expired,
    Exhausted,
}

impl CursorError {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Required => "CURSOR_REQUIRED",
            Self::Invalid => "INVALID_CURSOR",
            Self::Expired => "EXPIRED_CURSOR",
            Self::Exhausted => "EXHAUSTED_CURSOR",
        }
    }
}

/// A page that was planned while the state was locked, to be rendered afterwards.
pub(crate) struct Plan {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) profiles: Arc<Vec<Box<str>>>,
    pub(crate) cursor: String,
    pub(crate) more: bool,
    pub(crate) devices: usize,
}

/// A run of devices in a page.
pub(crate) enum Piece {
    /// Rendered before: places `from..to` of a chunk.
    Ready { rendered: Rendered, from: usize, to: usize },
    /// A chunk to be rendered and kept: places `from..to` of it.
    Chunk { chunk: usize, generation: u32, devices: Vec<Option<Device>>, from: usize, to: usize },
    /// Devices to be rendered for this page only.
    Loose(Vec<(Device, OpInfo)>),
}

impl World {
    /// Plans a page of the full listing (protocol section 3.2).
    pub(crate) fn plan_fetch(
        &self,
        number: u16,
        cursor: Option<&str>,
        limit: usize,
        class: Class,
        moment: &Moment<'_>,
    ) -> Result<Plan, CursorError> {
        let server = self.server(number).ok_or(CursorError::Invalid)?;
        let listing = &server.listing;
        let start = match cursor {
            Some(text) => self.read_cursor(number, text, moment)?,
            None => Cursor {
                server: number,
                place: Some(0),
                end: listing.len() as u64,
                event: server.events.visible_end(visible_until(moment)),
                issued_ms: moment.now_ms,
                number: 0,
            },
        };
        let place = start.place.ok_or(CursorError::Exhausted)?;
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let (pieces, devices, next, more) = match moment.settings.fetch_order {
            FetchOrder::OldestFirst => {
                let (end, found) = listing.page_end(place, limit);
                (self.pieces(number, place, end, class), found, end, listing.more_from(end))
            }
            FetchOrder::NewestFirst => self.backwards(number, place, start.end, limit),
        };
        let next = Cursor { place: more.then_some(next as u64), ..start };
        Ok(Plan { pieces, profiles: self.profiles.names(), cursor: self.issue(next, moment), more, devices })
    }

    /// Plans a page of changes (protocol section 3.3).
    pub(crate) fn plan_sync(
        &self,
        number: u16,
        cursor: Option<&str>,
        limit: usize,
        moment: &Moment<'_>,
    ) -> Result<Plan, CursorError> {
        let server = self.server(number).ok_or(CursorError::Invalid)?;
        let start = self.read_cursor(number, cursor.ok_or(CursorError::Required)?, moment)?;
        if start.event < server.events.first() {
            return Err(CursorError::Expired);
        }
        let end = server.events.visible_end(visible_until(moment));
        let count = usize::try_from(end.saturating_sub(start.event)).unwrap_or(0).min(limit);
        let events = server.events.from(start.event).take(count);
        let records: Vec<(Device, OpInfo)> = events
            .filter_map(|event| {
                let device = self.device(event.device)?;
                Some((event.snapshot(device), Some((event.op, event.at_ms.div_euclid(1000)))))
            })
            .collect();
        let event = start.event + count as u64;
        // A cursor from the middle of a fetch is taken as well: what it skips, the client has skipped.
        let next = Cursor { place: None, event, ..start };
        Ok(Plan {
            devices: records.len(),
            pieces: vec![Piece::Loose(records)],
            profiles: self.profiles.names(),
            cursor: self.issue(next, moment),
            more: event < end,
        })
    }

    /// A cursor text whose events are moved back, so that the same events come again.
    pub(crate) fn rewind(&self, text: &str, events: u64, moment: &Moment<'_>) -> Option<String> {
        let cursor = Cursor::decode(text, self.salt)?;
        let first = self.server(cursor.server)?.events.first();
        let event = cursor.event.saturating_sub(events).max(first);
        Some(self.issue(Cursor { event, ..cursor }, moment))
    }

    /// Keeps a rendered chunk for the next reader, within the memory that is set aside for it.
    pub(crate) fn keep(
        &mut self,
        server: u16,
        chunk: usize,
        class: Class,
        generation: u32,
        rendered: Rendered,
    ) {
        let size = rendered.bytes.len();
        let Some(owner) = self.servers.get_mut(usize::from(server)) else { return };
        if !owner.listing.keep(chunk, class, generation, rendered) {
            return;
        }
        self.cache_bytes += size;
        self.cache_order.push_back((server, chunk, class));
        while self.cache_bytes > self.cache_limit {
            let Some((server, chunk, class)) = self.cache_order.pop_front() else { return };
            if let Some(owner) = self.servers.get_mut(usize::from(server)) {
                self.cache_bytes = self.cache_bytes.saturating_sub(owner.listing.forget(chunk, class));
            }
        }
    }

    /// The number of the newest cursor.
    pub(crate) fn last_cursor_number(&self) -> u64 {
        self.next_cursor.load(std::sync::atomic::Ordering::Relaxed).saturating_sub(1)
    }

    fn issue(&self, cursor: Cursor, moment: &Moment<'_>) -> String {
        Cursor { issued_ms: moment.now_ms, number: self.cursor_number(), ..cursor }
            .encode(self.salt, moment.settings.cursor_length)
    }

    fn read_cursor(&self, server: u16, text: &str, moment: &Moment<'_>) -> Result<Cursor, CursorError> {
        let cursor = Cursor::decode(text, self.salt)
            .filter(|cursor| cursor.server == server)
            .ok_or(CursorError::Invalid)?;
        let owner = self.server(server).ok_or(CursorError::Invalid)?;
        if cursor.number <= owner.cursors_invalid {
            return Err(CursorError::Invalid);
        }
        let age = moment.now_ms.saturating_sub(cursor.issued_ms);
        if age > millis(moment.settings.cursor_lifetime) || cursor.number <= owner.cursors_expired_up_to {
            return Err(CursorError::Expired);
        }
        Ok(cursor)
    }

    fn pieces(&self, number: u16, from: usize, to: usize, class: Class) -> Vec<Piece> {
        let Some(server) = self.server(number) else { return Vec::new() };
        let listing = &server.listing;
        let mut pieces = Vec::with_capacity(2);
        let mut place = from;
        while place < to {
            let chunk = place / CHUNK;
            let end = to.min((chunk + 1) * CHUNK);
            let (first, last) = (place - chunk * CHUNK, end - chunk * CHUNK);
            pieces.push(match listing.rendered(chunk, class) {
                Some(rendered) => Piece::Ready { rendered: rendered.clone(), from: first, to: last },
                None => {
                    let places = chunk * CHUNK..((chunk + 1) * CHUNK).min(listing.len());
                    let devices = places.map(|place| self.device(listing.at(place)).cloned()).collect();
                    let generation = listing.generation(chunk);
                    Piece::Chunk { chunk, generation, devices, from: first, to: last }
                }
            });
            place = end;
        }
        pieces
    }

    /// A page from the end of the listing towards its beginning; `place` counts from `end` backwards.
    fn backwards(
        &self,
        number: u16,
        place: usize,
        end: u64,
        limit: usize,
    ) -> (Vec<Piece>, usize, usize, bool) {
        let Some(server) = self.server(number) else { return (Vec::new(), 0, place, false) };
        let end = usize::try_from(end).unwrap_or(0).min(server.listing.len());
        let (mut next, mut records) = (place, Vec::new());
        while next < end && records.len() < limit {
            let device = server.listing.at(end - 1 - next);
            if device != HOLE {
                records.extend(self.device(device).map(|device| (device.clone(), None)));
            }
            next += 1;
        }
        let more = (next..end).any(|next| server.listing.at(end - 1 - next) != HOLE);
        (vec![Piece::Loose(records.clone())], records.len(), next, more)
    }
}

fn visible_until(moment: &Moment<'_>) -> i64 {
    moment.now_ms.saturating_sub(millis(moment.settings.event_delay))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use crate::state::{Departure, device::Status};

    const NOW: i64 = 1_700_000_000_000;

    fn world(settings: &Settings) -> World {
        World::new(settings, NOW)
    }

    #[test]
    fn a_fetch_ends_in_a_cursor_that_sync_takes() {
        let settings = Settings { devices: 2500, ..Settings::default() };
        let mut world = world(&settings);
        let moment = Moment { now_ms: NOW, settings: &settings };
        let first = world.plan_fetch(0, None, 1000, Class::Ten, &moment).expect("first page");
        assert!(first.more && first.devices == 1000);
        // A device that leaves during the fetch moves nobody else to another page.
        let gone = world.servers[0].listing.at(5);
        world.leave(&[gone], Departure::Deleted, &moment);
        let second =
            world.plan_fetch(0, Some(&first.cursor), 1000, Class::Ten, &moment).expect("second page");
        let third = world.plan_fetch(0, Some(&second.cursor), 1000, Class::Ten, &moment).expect("third page");
        assert_eq!((second.devices, third.devices, third.more), (1000, 500, false));
        let again = world.plan_fetch(0, Some(&third.cursor), 1000, Class::Ten, &moment);
        assert_eq!(again.err(), Some(CursorError::Exhausted));
        let sync = world.plan_sync(0, Some(&third.cursor), 1000, &moment).expect("sync");
        assert_eq!((sync.devices, sync.more), (1, false));
        let Some(Piece::Loose(records)) = sync.pieces.first() else { panic!("loose devices") };
        assert_eq!(records[0].0.status, Status::Empty);
        let quiet = world.plan_sync(0, Some(&sync.cursor), 1000, &moment).expect("sync");
        assert_eq!(quiet.devices, 0);
        assert_ne!(quiet.cursor, sync.cursor);
    }

    #[test]
    fn cursors_age_and_belong_to_one_server() {
        let settings = Settings { devices: 1, ..Settings::default() };
        let mut world = world(&settings);
        world.push_server("Other", "Example", false);
        let moment = Moment { now_ms: NOW, settings: &settings };
        let page = world.plan_fetch(0, None, 1000, Class::Ten, &moment).expect("page");
        let sync = |server, cursor: Option<&str>, now_ms| {
            world.plan_sync(server, cursor, 100, &Moment { now_ms, settings: &settings }).err()
        };
        assert_eq!(sync(0, None, NOW), Some(CursorError::Required));
        assert_eq!(sync(0, Some("bm9uc2Vuc2U"), NOW), Some(CursorError::Invalid));
        assert_eq!(sync(1, Some(&page.cursor), NOW), Some(CursorError::Invalid));
        let week = 7 * 86_400_000;
        assert_eq!(sync(0, Some(&page.cursor), NOW + week), None);
        assert_eq!(sync(0, Some(&page.cursor), NOW + week + 1), Some(CursorError::Expired));
    }

    #[test]
    fn the_order_can_be_turned_round() {
        let settings = Settings { devices: 25, fetch_order: FetchOrder::NewestFirst, ..Settings::default() };
        let world = world(&settings);
        let moment = Moment { now_ms: NOW, settings: &settings };
        let mut seen = Vec::new();
        let mut cursor = None;
        loop {
            let plan = world.plan_fetch(0, cursor.as_deref(), 10, Class::Ten, &moment).expect("page");
            for piece in &plan.pieces {
                let Piece::Loose(records) = piece else { panic!("loose devices") };
                seen.extend(records.iter().map(|(device, _)| device.slot));
            }
            cursor = Some(plan.cursor);
            if !plan.more {
                break;
            }
        }
        assert_eq!(seen, (0..25).rev().collect::<Vec<u32>>());
    }
}
