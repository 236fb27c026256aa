use std::collections::BTreeMap;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::ChildStdin;

use adelie_simulator::{Settings, TokenShape, TruthDevice};
use serde_json::Value;
use tempfile::TempDir;

use super::apple::LAB;
use super::{Apple, Background, Database, Ledger, Run, STANDARD, text};

/// One installation of Adelie and its Apple.
pub struct World {
    pub apple: Apple,
    pub home: TempDir,
    pub database: Database,
    /// The name of the data directory.
    data: String,
    env: Vec<(String, String)>,
}

impl World {
    /// Nothing but Apple and an empty folder.
    pub fn empty(database: Database, settings: Settings) -> Self {
        let home = tempfile::Builder::new().prefix("adelie-e2e-").tempdir().expect("a folder");
        let (apple, data) = (Apple::start(settings), "data".to_owned());
        let mut world = Self { apple, home, database: Database::Sqlite, data: data.clone(), env: Vec::new() };
        world.go_to(&data, database);
        world
    }

    /// From now on it is about another installation beside this one: a data directory of that name, and a database.
    pub fn go_to(&mut self, data: &str, database: Database) {
        self.data = data.to_owned();
        self.database = database;
        self.set("ADELIE_DATA_DIR", &self.data_dir().display().to_string());
        self.env.retain(|(known, _)| known != "ADELIE_DATABASE_URL");
        if let Database::Postgres(url) = &self.database {
            self.env.push(("ADELIE_DATABASE_URL".to_owned(), url.clone()));
        }
    }

    /// MDM server `lab` with its token and a default profile for every family; not synced yet.
    pub fn ready(database: Database, settings: Settings) -> Self {
        let world = Self::empty(database, settings);
        world.onboard("lab", LAB);
        world.add_profile("standard", STANDARD);
        world.run(&["server", "set", "lab", "--default", "any=standard"]).exits(0);
        world
    }

    /// As [`World::ready`], with `devices` devices that were synced and assigned.
    pub fn synced(database: Database, devices: usize) -> Self {
        Self::synced_with(database, Settings { devices, ..Settings::default() })
    }

    pub fn synced_with(database: Database, settings: Settings) -> Self {
        let world = Self::ready(database, settings);
        world.run(&["sync", "lab"]).exits(0);
        world.assert_exact("lab", LAB);
        world
    }

    /// Sets an environment variable for every run from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// As [`World::synced`], where webhooks may be posted to this machine.
    pub fn with_webhooks(database: Database, devices: usize) -> Self {
        let mut world = Self::synced(database, devices);
        world.set("ADELIE_WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8");
        world
    }

    /// The tables, without the program between.
    pub fn ledger(&self) -> Ledger {
        match &self.database {
            Database::Sqlite => Ledger::Sqlite(self.data_dir().join("adelie.db")),
            Database::Postgres(url) => Ledger::Postgres(url.clone()),
        }
    }

    /// The devices whose assignment was sent, or is about to be, and whose outcome is not stored.
    pub fn in_doubt(&self) -> Vec<String> {
        let ledger = self.ledger();
        let sent = "-- sent_devices\nSELECT serial FROM devices WHERE assign_state = 'sent' ORDER BY serial";
        let intended = match ledger {
            Ledger::Sqlite(_) => "-- intended_devices\nSELECT value FROM intents, json_each(serials)",
            Ledger::Postgres(_) => "-- intended_devices\nSELECT unnest(serials) FROM intents",
        };
        [ledger.column(sent), ledger.column(intended)].concat()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.home.path().join(&self.data)
    }

    /// Writes a file beside the data directory.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.home.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path.display().to_string()
    }

    /// A path beside the data directory.
    pub fn path(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    /// Runs the binary to its end.
    pub fn run(&self, args: &[&str]) -> Run {
        self.start(args).wait()
    }

    /// As [`World::run`], with a text on its standard input.
    pub fn run_fed(&self, input: &str, args: &[&str]) -> Run {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(input.as_bytes()).and_then(|()| file.rewind()).expect("its text");
        Background::fed(self.home.path(), &self.env, args, file.into()).wait()
    }

    /// As [`World::run`], with more in the environment; an empty value takes a variable away.
    pub fn run_with(&self, env: &[(&str, &str)], args: &[&str]) -> Run {
        self.start_with(env, args).wait()
    }

    /// As [`World::start`], with more in the environment; an empty value takes a variable away.
    pub fn start_with(&self, env: &[(&str, &str)], args: &[&str]) -> Background {
        let mut all: BTreeMap<String, String> = self.env.iter().cloned().collect();
        for (name, value) in env {
            match *value {
                "" => drop(all.remove(*name)),
                value => drop(all.insert((*name).to_owned(), value.to_owned())),
            }
        }
        let all: Vec<_> = all.into_iter().collect();
        Background::start(self.home.path(), &all, args)
    }

    /// Runs a script in a shell that finds the binary as `adelie`, beside the data directory.
    pub fn shell(&self, script: &str) -> Run {
        Background::shell(self.home.path(), &self.env, script).wait()
    }

    /// Starts the binary in a terminal, and gives its keyboard.
    pub fn terminal(&self, args: &[&str]) -> (Background, ChildStdin) {
        Background::terminal(self.home.path(), &self.env, args)
    }

    /// Starts the binary and lets it run.
    pub fn start(&self, args: &[&str]) -> Background {
        Background::start(self.home.path(), &self.env, args)
    }

    /// The object that a command prints with `--json`.
    #[track_caller]
    pub fn object(&self, args: &[&str]) -> Value {
        self.run(&[args, &["--json"]].concat()).exits(0).object()
    }

    /// The objects that a command prints with `--json`.
    #[track_caller]
    pub fn objects(&self, args: &[&str]) -> Vec<Value> {
        self.run(&[args, &["--json"]].concat()).exits(0).objects()
    }

    /// Adds an MDM server and imports a token of the portal's MDM server `at_apple` for it.
    pub fn onboard(&self, name: &str, at_apple: &str) {
        self.run(&["server", "add", name, "--base-url", &self.apple.url]).exits(0);
        let pem = self.token_key(name);
        let file = self.issue(name, at_apple, &pem);
        self.run(&["token", "import", name, &file]).exits(0);
    }

    /// Makes a token key and gives its certificate.
    pub fn token_key(&self, name: &str) -> String {
        self.run(&["token", "key", name]).exits(0).stdout
    }

    /// Has Apple issue a token for a certificate and writes the file.
    pub fn issue(&self, name: &str, at_apple: &str, pem: &str) -> String {
        let bytes = self.apple.issue_token(at_apple, pem, TokenShape::default()).expect("a token");
        self.write(&format!("{name}.p7m"), bytes)
    }

    pub fn add_profile(&self, name: &str, json: &str) {
        let file = self.write(&format!("{name}.json"), json);
        self.run(&["profile", "new", name, "--file", &file]).exits(0);
    }

    /// A profile that says the same as the standard one but for its department.
    pub fn add_profile_of(&self, department: &str) {
        self.add_profile(department, &profile_of(department));
    }

    /// Writes another file for a profile and makes a revision of it.
    #[track_caller]
    pub fn edit_profile(&self, name: &str, json: &str, options: &[&str]) -> Run {
        let file = self.write(&format!("{name}.json"), json);
        self.run(&[&["profile", "edit", name, "--file", &file], options].concat())
    }

    /// The UUID that a profile has at Apple, for an MDM server.
    pub fn profile_uuid(&self, profile: &str, server: &str) -> String {
        let shown = self.object(&["profile", "show", profile]);
        let published = shown["published"].as_array().expect("a list");
        let here = published.iter().find(|one| one["server"] == server).expect("it was published there");
        text(here, "profile_uuid").to_owned()
    }

    /// All devices of an MDM server as Adelie knows them, by serial number, the removed ones included.
    pub fn table(&self, server: &str) -> BTreeMap<String, Value> {
        let devices = self.objects(&["device", "list", "--server", server]);
        devices.into_iter().map(|device| (text(&device, "serial_number").to_owned(), device)).collect()
    }

    /// The devices that have a profile at Apple, in order.
    #[track_caller]
    pub fn have(&self, profile: &str, server: &str, at_apple: &str) -> Vec<String> {
        let uuid = self.profile_uuid(profile, server);
        let devices = self.apple.devices(at_apple).into_values();
        devices
            .filter(|device| device.profile_uuid.as_deref() == Some(&uuid))
            .map(|device| device.serial_number)
            .collect()
    }

    /// Brings `lab` to what is decided, and gives the assignments that it took: the profile, and the devices in order.
    #[track_caller]
    pub fn settle(&self) -> Vec<(String, Vec<String>)> {
        let mark = self.apple.mark();
        self.run(&["sync", "lab", "--force"]).exits(0);
        self.assert_exact("lab", LAB);
        let sent = self.apple.assignments(mark);
        // Apple tells us of our own assignments; that is nothing new, and must not be under way when the next test begins.
        self.run(&["sync", "lab", "--force"]).exits(0);
        assert_eq!(self.apple.assignments(mark), sent, "the echo of an assignment is no reason for another");
        sent
    }

    pub fn device(&self, serial: &str) -> Value {
        self.object(&["device", "show", serial])
    }

    /// The state of a device's assignment.
    pub fn state(&self, serial: &str) -> String {
        text(&self.device(serial)["assignment"], "state").to_owned()
    }

    /// Fails unless the table of the present devices of `server` is Apple's truth to the letter, and every one of
    /// them has its wanted profile.
    #[track_caller]
    pub fn assert_exact(&self, server: &str, at_apple: &str) {
        if let Err(difference) = self.compare(server, at_apple) {
            panic!("not as at Apple: {difference}");
        }
    }

    /// The first difference between the table and Apple's truth.
    pub fn compare(&self, server: &str, at_apple: &str) -> Result<(), String> {
        let truth = self.apple.devices(at_apple);
        let mut table = self.table(server);
        table.retain(|_, device| device["removed_at"].is_null());
        let (ours, theirs): (Vec<_>, Vec<_>) = (table.keys().collect(), truth.keys().collect());
        if ours != theirs {
            let lost: Vec<_> = theirs.iter().filter(|serial| !table.contains_key(**serial)).collect();
            let extra: Vec<_> = ours.iter().filter(|serial| !truth.contains_key(**serial)).collect();
            return Err(format!("lost {lost:?}, too many {extra:?}"));
        }
        table.values().zip(truth.values()).try_for_each(|(ours, theirs)| same(ours, theirs))
    }

    /// What each file of an export says, by its path: two are the same when nothing was decided between them.
    #[track_caller]
    pub fn decided(&self) -> BTreeMap<String, String> {
        let folder = tempfile::tempdir_in(self.home.path()).expect("a folder");
        self.run(&["export", &folder.path().display().to_string()]).exits(0);
        files(folder.path())
    }

    pub fn has_key_file(&self) -> bool {
        Path::new(&self.data_dir()).join("master.key").is_file()
    }
}

/// The texts of a folder, by their paths in it.
pub fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).expect("inside").display().to_string();
            texts.insert(name, std::fs::read_to_string(&path).expect("a text"));
        }
    }
    texts
}

/// The standard profile with a department.
pub fn profile_of(department: &str) -> String {
    STANDARD.replacen('{', &format!("{{ \"department\": \"{department}\", "), 1)
}

fn same(ours: &Value, theirs: &TruthDevice) -> Result<(), String> {
    let state = text(&ours["assignment"], "state");
    let good = ours["profile_uuid"] == Value::from(theirs.profile_uuid.clone())
        && ours["profile_status"] == theirs.profile_status.as_str()
        && ours["device_family"] == theirs.device_family.as_str()
        && matches!(theirs.profile_status.as_str(), "assigned" | "pushed")
        && state == theirs.profile_status;
    if good { Ok(()) } else { Err(format!("we have {ours}\nApple has {theirs:?}")) }
}
