//! Apple as plain state: no HTTP, no database, no clock of its own.

mod assign;
pub(crate) mod catalog;
pub(crate) mod changes;
pub(crate) mod cursor;
pub(crate) mod device;
pub(crate) mod events;
pub(crate) mod listing;
pub(crate) mod pages;
pub(crate) mod profile;
mod serial;
mod server;
mod sessions;
mod tokens;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use adelie_model::{Entropy, SeededEntropy};

use crate::control::ControlError;
use crate::render::Class;
use crate::settings::Settings;

pub(crate) use assign::Assigned;
pub use changes::{Arrival, Departure};
use device::{Device, NO_SLOT, NOBODY, Special};
use events::{Event, Op};
use profile::Profiles;
use serial::Serial;
pub(crate) use server::Server;
pub use server::{Terms, TokenSwitch};
pub(crate) use sessions::{Access, SessionError};
pub(crate) use tokens::{Credentials, OAuthProblem};

/// A number that depends on every bit of another one (splitmix64).
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Lower-case hex digits of random bytes.
pub(crate) fn random_hex(entropy: &dyn Entropy, bytes: usize) -> String {
    let mut random = vec![0; bytes];
    entropy.fill(&mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everything that Apple knows.
pub(crate) struct World {
    pub(crate) servers: Vec<Server>,
    pub(crate) devices: Vec<Device>,
    index: HashMap<Serial, u32>,
    pub(crate) specials: HashMap<u32, Special>,
    pub(crate) profiles: Profiles,
    /// Account-driven enrollment: organization → address and when it was set (simulated milliseconds).
    pub(crate) discovery: HashMap<String, (String, i64)>,
    seed: u64,
    next_number: u32,
    next_token: u32,
    /// Makes the cursors of this run its own.
    salt: u64,
    next_cursor: AtomicU64,
    cache_bytes: usize,
    cache_limit: usize,
    cache_order: VecDeque<(u16, usize, Class)>,
    /// Randomness that differs from run to run: secrets, sessions, profile identifiers.
    pub(crate) entropy: SeededEntropy,
}

impl World {
    /// The organization at the start: one MDM server with its devices.
    pub(crate) fn new(settings: &Settings, now_ms: i64) -> Self {
        let run = mix(settings.seed ^ u64::try_from(now_ms).unwrap_or(0));
        let mut world = Self {
            servers: Vec::new(),
            devices: Vec::with_capacity(settings.devices),
            index: HashMap::with_capacity(settings.devices),
            specials: HashMap::new(),
            profiles: Profiles::default(),
            discovery: HashMap::new(),
            seed: settings.seed,
            next_number: 0,
            next_token: 1,
            salt: mix(run),
            next_cursor: AtomicU64::new(1),
            cache_bytes: 0,
            cache_limit: settings.page_cache_mib << 20,
            cache_order: VecDeque::new(),
            entropy: SeededEntropy::new(run),
        };
        world.push_server(&settings.server_name, "Example", settings.may_release);
        world.furnish(0, settings.devices, now_ms);
        world
    }

    /// The number of the MDM server with that name.
    pub(crate) fn server_number(&self, name: &str) -> Result<u16, ControlError> {
        let place = self.servers.iter().position(|server| server.name == name);
        place
            .and_then(|place| u16::try_from(place).ok())
            .ok_or_else(|| ControlError::UnknownServer(name.to_owned()))
    }

    pub(crate) fn server(&self, number: u16) -> Option<&Server> {
        self.servers.get(usize::from(number))
    }

    pub(crate) fn server_mut(&mut self, number: u16) -> Option<&mut Server> {
        self.servers.get_mut(usize::from(number))
    }

    /// The number of a device with that serial number, wherever it is.
    pub(crate) fn find(&self, serial: &str) -> Option<u32> {
        self.index.get(&Serial::parse(serial).ok()?).copied()
    }

    /// The number of a device that this MDM server has.
    pub(crate) fn find_at(&self, server: u16, serial: &str) -> Option<u32> {
        self.find(serial).filter(|number| self.device(*number).is_some_and(|device| device.owner == server))
    }

    pub(crate) fn device(&self, number: u32) -> Option<&Device> {
        self.devices.get(number as usize)
    }

    /// Makes an MDM server; its identifiers follow from the seed and its name.
    pub(crate) fn push_server(&mut self, name: &str, organization: &str, may_release: bool) {
        let chance = name.bytes().fold(self.seed, |hash, byte| mix(hash ^ u64::from(byte)));
        let hex = |n: u64| format!("{:016X}{:016X}", mix(chance ^ n), mix(chance ^ (n + 1)));
        self.servers.push(Server {
            name: name.to_owned(),
            uuid: hex(1),
            organization: organization.to_owned(),
            consumer_key: format!("CK_{}", hex(3).to_lowercase()),
            token: None,
            replaced: Vec::new(),
            token_switch: TokenSwitch::Live,
            terms: Terms::Signed,
            may_release,
            listing: listing::Listing::default(),
            events: events::EventLog::default(),
            cursors_expired_up_to: 0,
            cursors_invalid: 0,
        });
    }

    /// Fills an MDM server at the start: devices that came over the last three years, without events.
    fn furnish(&mut self, server: u16, count: usize, now_ms: i64) {
        const SPAN: i64 = 3 * 365 * 86_400;
        let kinds = catalog::kinds_of(None, None);
        let now = now_ms.div_euclid(1000);
        let total = i64::try_from(count).unwrap_or(i64::MAX);
        for n in 0..total {
            let mut device = self.next_device(self.seed, &kinds);
            // Deliveries come in crates of some dozens, in the order of their dates.
            let crate_number = n / 40 * 40;
            device.assigned_at = now - 3600 - SPAN + crate_number * (SPAN / total).max(1);
            device.assigned_at = device.assigned_at.min(now - 3600);
            let number = self.insert(device);
            self.place(number, server);
        }
    }

    /// A new device with a serial number that is still free.
    fn next_device(&mut self, seed: u64, kinds: &[u8]) -> Device {
        loop {
            let device = catalog::generate(self.next_number, seed, kinds);
            self.next_number = self.next_number.wrapping_add(1);
            if !self.index.contains_key(&device.serial) {
                return device;
            }
        }
    }

    fn insert(&mut self, device: Device) -> u32 {
        let number = u32::try_from(self.devices.len()).unwrap_or(u32::MAX);
        self.index.insert(device.serial, number);
        self.devices.push(device);
        number
    }

    /// Gives a device to an MDM server, at the end of its listing.
    fn place(&mut self, number: u32, server: u16) {
        let Some(owner) = self.servers.get_mut(usize::from(server)) else { return };
        let (slot, freed) = owner.listing.push(number);
        self.cache_bytes = self.cache_bytes.saturating_sub(freed);
        if let Some(device) = self.devices.get_mut(number as usize) {
            device.owner = server;
            device.slot = slot;
        }
    }

    /// Takes a device from its MDM server.
    fn unplace(&mut self, number: u32) {
        let Some(device) = self.devices.get_mut(number as usize) else { return };
        let (owner, slot) = (device.owner, device.slot);
        device.owner = NOBODY;
        device.slot = NO_SLOT;
        if let Some(owner) = self.servers.get_mut(usize::from(owner)) {
            self.cache_bytes = self.cache_bytes.saturating_sub(owner.listing.remove(slot));
        }
    }

    /// Changes a device and drops the rendered page it stands on.
    fn change(&mut self, number: u32, change: impl FnOnce(&mut Device)) {
        let Some(device) = self.devices.get_mut(number as usize) else { return };
        change(device);
        let (owner, slot) = (device.owner, device.slot);
        if let Some(owner) = self.servers.get_mut(usize::from(owner)) {
            self.cache_bytes = self.cache_bytes.saturating_sub(owner.listing.touch(slot as usize));
        }
    }

    /// Notes an event for an MDM server, unless the device is withheld from sync.
    fn record(&mut self, server: u16, number: u32, op: Op, moment: &Moment<'_>) {
        let Some(device) = self.devices.get(number as usize) else { return };
        if let Some(special) = self.specials.get(&number) {
            let throttled =
                moment.settings.withhold_while_throttled && special.throttled_until > moment.now_ms;
            if throttled || special.withheld_until > moment.now_ms {
                return;
            }
        }
        let event = Event::of(number, device, op, moment.now_ms);
        let lifetime = i64::try_from(moment.settings.cursor_lifetime.as_millis()).unwrap_or(i64::MAX);
        if let Some(server) = self.servers.get_mut(usize::from(server)) {
            // Twice the age of the oldest living cursor, because a fetch may have begun before its cursor.
            server.events.drop_before(moment.now_ms.saturating_sub(lifetime.saturating_mul(2)));
            server.events.push(event);
        }
    }

    fn cursor_number(&self) -> u64 {
        self.next_cursor.fetch_add(1, Ordering::Relaxed)
    }
}

/// When something happens, and under which switches.
pub(crate) struct Moment<'a> {
    /// The simulated time in milliseconds.
    pub(crate) now_ms: i64,
    pub(crate) settings: &'a Settings,
}
