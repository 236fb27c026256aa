use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use adelie_simulator::control::FetchProfile;
use adelie_simulator::{Arrival, Command, Departure, Settings};

use super::dice::Dice;
use super::old_schema;
use crate::harness::{Background, Database, STANDARD, World, eventually, these};

pub const SYNC: [&str; 3] = ["sync", "lab", "--force"];
pub const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

/// What is hit has a short lease, so that nobody waits long for it. All others have the usual one, which they keep on a
/// slow machine, too.
const SHORT_LEASE: (&str, &str) = ("ADELIE_LEASE_SECONDS", "2");

/// What is under way when the blow falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// The first full sync.
    Import,
    /// Devices were bought, moved away, released and switched on.
    Delta,
    /// Every device is to have another profile.
    Profile,
}

impl Scene {
    /// The scenes take turns.
    pub fn of(number: u64) -> Self {
        match number % 3 {
            0 => Self::Import,
            1 => Self::Delta,
            _ => Self::Profile,
        }
    }
}

/// One installation, and what must have become of its devices in the end.
pub struct Stage {
    pub world: World,
    /// How often each device that Apple ever gave us may have been assigned, if nothing is done twice.
    pub expected: BTreeMap<String, u32>,
    /// The devices that have left.
    pub gone: BTreeSet<String>,
    /// Pages that the next sync will see, about.
    pub pages: usize,
    scene: Scene,
    page: usize,
    profiles: u32,
}

impl Stage {
    /// An installation that was never synced for [`Scene::Import`], else one that was.
    pub fn new(database: Database, scene: Scene, dice: &Dice) -> Self {
        let stage = Self::with(database, dice.between(20, 90), dice.between(5, 20));
        if scene != Scene::Import {
            stage.sync();
        }
        stage
    }

    /// One that an older version has left, with 200 devices.
    pub fn of_an_older_version(database: Database) -> Self {
        let stage = Self::with(database, 200, 50);
        stage.sync();
        old_schema::go_back(&stage.world.ledger());
        stage
    }

    fn with(database: Database, devices: usize, page: usize) -> Self {
        let settings = Settings {
            devices,
            max_limit: page,
            latency: Duration::from_millis(3),
            log_size: 1_000_000,
            log_body_bytes: 100_000,
            ..Settings::default()
        };
        let mut world = World::ready(database, settings);
        world.set("ADELIE_DELTA_INTERVAL_SECONDS", "1");
        world.apple.add_server("Branch").expect("a new MDM server");
        let expected = world.apple.devices("Lab").into_keys().map(|serial| (serial, 1)).collect();
        let pages = devices.div_ceil(page) + 1;
        Self { world, expected, gone: BTreeSet::new(), pages, scene: Scene::Import, page, profiles: 0 }
    }

    fn sync(&self) {
        self.world.run(&SYNC).exits(0);
        self.world.assert_exact("lab", "Lab");
    }

    /// Gives the program something to do.
    pub fn begin(&mut self, scene: Scene, dice: &Dice) {
        self.scene = scene;
        match scene {
            Scene::Import => {}
            Scene::Delta => self.change(dice),
            Scene::Profile => self.change_profile(),
        }
    }

    /// The portal changes.
    pub fn change(&mut self, dice: &Dice) {
        let before = self.expected.len();
        self.buy(dice.between(self.page, 3 * self.page));
        self.lose(dice.between(0, 3), Some("Branch"));
        self.lose(dice.between(0, 2), None);
        self.switch_on(dice.between(0, 4));
        self.pages = (self.expected.len() - before).div_ceil(self.page);
    }

    fn change_profile(&mut self) {
        // So that news of the profile before, which would have to be checked, are not under way.
        self.sync();
        self.profiles += 1;
        let name = format!("profile {}", self.profiles);
        self.world.add_profile(&name, &STANDARD.replace("Standard", &name));
        self.world.run(&["server", "set", "lab", "--default", &format!("any={name}")]).exits(0);
        for serial in self.world.apple.devices("Lab").keys() {
            *self.expected.get_mut(serial).expect("known") += 1;
        }
        self.pages = 1;
    }

    /// What Apple does while the program stands still.
    pub fn meanwhile(&mut self, dice: &Dice) {
        match dice.between(0, 4) {
            0 => self.buy(dice.between(1, 5)),
            1 => self.lose(1, None),
            2 => self.lose(1, Some("Branch")),
            // That they fetched the profile before would have to be checked, too.
            3 if self.scene != Scene::Profile => self.switch_on(dice.between(1, 3)),
            _ => {}
        }
    }

    fn buy(&mut self, count: usize) {
        let new = self.world.apple.add_devices("Lab", count).expect("devices");
        self.expected.extend(new.into_iter().map(|serial| (serial, 1)));
    }

    fn lose(&mut self, count: usize, to: Option<&str>) {
        let apple = &self.world.apple;
        let some = apple.some("Lab", count);
        if some.is_empty() {
            return;
        }
        match to {
            Some(server) => apple.move_devices("Lab", server, &some, Arrival::Added).map(drop),
            None => apple.remove_devices("Lab", &some, Departure::Deleted).map(drop),
        }
        .expect("they leave");
        self.gone.extend(some);
    }

    /// Devices that have their profile fetch it.
    fn switch_on(&self, count: usize) {
        let ready = self.world.apple.devices("Lab").into_iter();
        let ready = ready.filter(|(_, device)| device.profile_status == "assigned").map(|(serial, _)| serial);
        let some: Vec<_> = ready.take(count).collect();
        if !some.is_empty() {
            self.world
                .apple
                .tell(Command::FetchProfile(FetchProfile { choice: these(&some), silent: false }));
        }
    }

    /// Starts what will be hit.
    pub fn victim(&self, program: &[&str]) -> Background {
        self.world.start_with(&[SHORT_LEASE], program)
    }

    /// Starts what will be hit when it stands at a point.
    pub fn victim_halted_at(&self, point: &str, program: &[&str]) -> Background {
        if !cfg!(debug_assertions) {
            panic!("only a debug build stands still at a point");
        }
        self.world.start_with(&[SHORT_LEASE, ("ADELIE_HALT_AT", point)], program)
    }

    /// How often devices were assigned at Apple, all together.
    pub fn assigns(&self) -> u64 {
        let every = self.expected.keys().filter_map(|serial| self.world.apple.truth_of(serial));
        every.map(|device| u64::from(device.assigns)).sum()
    }

    /// The devices whose assignment was sent, or is about to be, and whose outcome is not stored.
    pub fn in_doubt(&self) -> Vec<String> {
        self.world.in_doubt()
    }

    /// The number of the newest event.
    pub fn last_event(&self) -> i64 {
        let newest = "-- newest_event\nSELECT CAST(coalesce(max(id), 0) AS text) FROM events";
        self.world.ledger().column(newest)[0].parse().expect("a number")
    }

    /// Starts the program again, or another copy of it, and waits until everything is done.
    pub fn heal(&self, by: Healer) {
        match by {
            Healer::Command => {
                self.world.run(&SYNC).exits(0);
                // A device that is in use fetches another profile at once, which the sync after the assignment tells.
                if self.scene == Scene::Profile {
                    self.world.run(&SYNC).exits(0);
                }
                self.world.assert_exact("lab", "Lab");
            }
            Healer::Service => self.settle(self.world.start(&SERVE)),
            Healer::Copy(copy) => self.settle(copy),
        }
    }

    fn settle(&self, service: Background) {
        let ledger = self.world.ledger();
        let running = "-- open_runs\nSELECT CAST(id AS text) FROM sync_runs WHERE outcome = 'running'";
        // Before a changed default is looked at, nothing differs from Apple's truth either.
        let open = "-- open_work\nSELECT serial FROM devices WHERE assign_state IN ('sent', 'due')
             UNION ALL SELECT name FROM mdm_servers WHERE decide_after IS NOT NULL";
        // A run that its database has left is ended by the next.
        eventually("everything as it should be", || {
            let rests = ledger.column(open).is_empty()
                && self.world.compare("lab", "Lab").is_ok()
                && ledger.column(running).is_empty();
            rests.then_some(())
        });
        // Everything may have been so before it began.
        eventually("the service serves", || service.log().contains("Adelie serves").then_some(()));
        service.terminate();
        service.wait().exits(0);
    }
}

/// Who goes on after a blow.
pub enum Healer {
    /// `adelie sync`.
    Command,
    /// `adelie serve`, started after the blow.
    Service,
    /// Another copy of the service, which was there before the blow, or the one that was hit.
    Copy(Background),
}
