//! What a world remembers of its devices beside Apple.

use std::collections::{BTreeMap, BTreeSet};

use adelie_simulator::Simulator;

use crate::world::APPLE_NAMES;

#[derive(Default)]
pub struct Model {
    /// Every device that an MDM server has or had.
    pub known: [BTreeSet<String>; 2],
    /// The asset tag that Apple shows for a device.
    pub tags: BTreeMap<String, String>,
    tag: u32,
}

impl Model {
    /// Takes note of every device that is there.
    pub fn note_all(&mut self, apple: &Simulator) {
        for (server, known) in self.known.iter_mut().enumerate() {
            let truth = apple.truth(APPLE_NAMES[server]).into_iter().flatten();
            known.extend(truth.map(|device| device.serial_number));
        }
    }

    /// Up to `count` of the devices that an MDM server has at Apple.
    pub fn present(&self, apple: &Simulator, server: usize, which: u8, count: u8) -> Vec<String> {
        let truth = apple.truth(APPLE_NAMES[server]).into_iter().flatten();
        pick(truth.map(|device| device.serial_number).collect(), which, count)
    }

    /// One of the devices that nobody has.
    pub fn absent(&self, apple: &Simulator, which: u8) -> Option<String> {
        let known: BTreeSet<&String> = self.known.iter().flatten().collect();
        let nobodys = |serial: &&String| apple.truth_of(serial).is_some_and(|device| device.server.is_none());
        pick(known.into_iter().filter(nobodys).cloned().collect(), which, 1).pop()
    }

    /// Up to `count` of the devices that an MDM server has or had.
    pub fn any(&self, server: usize, which: u8, count: u8) -> Vec<String> {
        pick(self.known[server].iter().cloned().collect(), which, count)
    }

    /// An asset tag that no device has had.
    pub fn new_tag(&mut self) -> String {
        self.tag += 1;
        format!("tag {}", self.tag)
    }
}

/// So many of a list, beginning with the one that `which` chooses.
fn pick(mut all: Vec<String>, which: u8, count: u8) -> Vec<String> {
    if let Some(first) = usize::from(which).checked_rem(all.len()) {
        all.rotate_left(first);
    }
    all.truncate(count.into());
    all
}
