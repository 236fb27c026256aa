use std::sync::Arc;

use bytes::Bytes;

use crate::render::Class;

/// Devices per chunk: the largest page, so that a usual page is one cached chunk.
pub(crate) const CHUNK: usize = 1000;
/// A place whose device has left. Places never move, so that a cursor in the middle stays right.
pub(crate) const HOLE: u32 = u32::MAX;

/// The devices of one MDM server in the order of their assignment, with rendered pieces of pages.
#[derive(Default)]
pub(crate) struct Listing {
    slots: Vec<u32>,
    chunks: Vec<Chunk>,
    live: usize,
}

/// A thousand consecutive places.
#[derive(Default)]
struct Chunk {
    /// Changes with every change of a device in it, so that a rendering of an older state is not kept.
    generation: u32,
    rendered: [Option<Rendered>; Class::COUNT],
}

/// A chunk as JSON: every device followed by a comma, a hole as nothing.
#[derive(Clone)]
pub(crate) struct Rendered {
    pub(crate) bytes: Bytes,
    /// Where each place begins; one more at the end.
    pub(crate) offsets: Arc<[u32]>,
}

impl Rendered {
    /// The JSON of the places `from..to`, each device with its comma.
    pub(crate) fn part(&self, from: usize, to: usize) -> Bytes {
        let at = |place: usize| self.offsets.get(place).map_or(self.bytes.len(), |offset| *offset as usize);
        self.bytes.slice(at(from)..at(to).max(at(from)))
    }
}

impl Listing {
    /// The number of devices in it.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// The number of places, holes included.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The device at a place; [`HOLE`] for none.
    pub(crate) fn at(&self, place: usize) -> u32 {
        self.slots.get(place).copied().unwrap_or(HOLE)
    }

    /// The devices, oldest assignment first.
    pub(crate) fn devices(&self) -> impl Iterator<Item = u32> + '_ {
        self.slots.iter().copied().filter(|device| *device != HOLE)
    }

    /// Puts a device at the end and tells its place, with the bytes of cache that were dropped.
    pub(crate) fn push(&mut self, device: u32) -> (u32, usize) {
        let place = self.slots.len();
        self.slots.push(device);
        self.live += 1;
        if place.is_multiple_of(CHUNK) {
            self.chunks.push(Chunk::default());
        }
        (u32::try_from(place).unwrap_or(HOLE), self.touch(place))
    }

    /// Takes a device out, leaving a hole; tells the bytes of cache that were dropped.
    pub(crate) fn remove(&mut self, place: u32) -> usize {
        let place = place as usize;
        if let Some(slot) = self.slots.get_mut(place)
            && *slot != HOLE
        {
            *slot = HOLE;
            self.live -= 1;
        }
        self.touch(place)
    }

    /// Notes that the device at a place has changed; tells the bytes of cache that were dropped.
    pub(crate) fn touch(&mut self, place: usize) -> usize {
        let Some(chunk) = self.chunks.get_mut(place / CHUNK) else { return 0 };
        chunk.generation = chunk.generation.wrapping_add(1);
        chunk.rendered.iter_mut().filter_map(Option::take).map(|old| old.bytes.len()).sum()
    }

    /// The end of a page that starts at `from` and has at most `limit` devices.
    pub(crate) fn page_end(&self, from: usize, limit: usize) -> (usize, usize) {
        let (mut place, mut found) = (from, 0);
        while place < self.slots.len() && found < limit {
            found += usize::from(self.slots[place] != HOLE);
            place += 1;
        }
        (place, found)
    }

    /// Whether a device stands at `from` or later.
    pub(crate) fn more_from(&self, from: usize) -> bool {
        self.slots.iter().skip(from).any(|device| *device != HOLE)
    }

    pub(crate) fn generation(&self, chunk: usize) -> u32 {
        self.chunks.get(chunk).map_or(0, |chunk| chunk.generation)
    }

    pub(crate) fn rendered(&self, chunk: usize, class: Class) -> Option<&Rendered> {
        self.chunks.get(chunk)?.rendered[class.index()].as_ref()
    }

    /// Keeps a rendering, unless the chunk has changed meanwhile. Tells whether it was kept.
    pub(crate) fn keep(&mut self, chunk: usize, class: Class, generation: u32, rendered: Rendered) -> bool {
        let Some(chunk) = self.chunks.get_mut(chunk) else { return false };
        let free = chunk.rendered[class.index()].is_none();
        if free && chunk.generation == generation {
            chunk.rendered[class.index()] = Some(rendered);
            return true;
        }
        false
    }

    /// Drops one rendering to make room; tells its size.
    pub(crate) fn forget(&mut self, chunk: usize, class: Class) -> usize {
        self.chunks
            .get_mut(chunk)
            .and_then(|chunk| chunk.rendered[class.index()].take())
            .map_or(0, |old| old.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_stay_when_devices_leave() {
        let mut listing = Listing::default();
        for device in 0..2500 {
            assert_eq!(listing.push(device).0, device);
        }
        listing.remove(10);
        listing.remove(10);
        assert_eq!((listing.live(), listing.len()), (2499, 2500));
        assert_eq!(listing.page_end(0, 1000), (1001, 1000));
        assert_eq!(listing.page_end(2000, 1000), (2500, 500));
        assert!(listing.more_from(2499) && !listing.more_from(2500));
    }

    #[test]
    fn an_outdated_rendering_is_not_kept() {
        let mut listing = Listing::default();
        listing.push(0);
        let rendered = Rendered { bytes: Bytes::from_static(b"{},"), offsets: Arc::from([0, 3]) };
        let generation = listing.generation(0);
        listing.touch(0);
        assert!(!listing.keep(0, Class::Ten, generation, rendered.clone()));
        assert!(listing.keep(0, Class::Ten, listing.generation(0), rendered));
        assert_eq!(listing.touch(0), 3);
        assert!(listing.rendered(0, Class::Ten).is_none());
    }
}
