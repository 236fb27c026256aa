use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::harness::{Database, Receiver, Run, World};

/// A profile with a password in it.
const STAFF: &str = r#"
name = "Staff"
url = "https://mdm.example.org/enroll"
platforms = ["macOS 26.1"]

[accounts.primary]
type = "standard"
full_name = "Robin"
account_name = "robin"

[accounts.administrator]
short_name = "localadmin"
password = { given = "canary-Horse7-battery" }
"#;

/// An installation that has something in every sealed column.
pub struct Installation {
    pub world: World,
    pub receiver: Receiver,
    pub endpoint: String,
    pub serial: String,
    /// A server token for the first token key.
    pub token: String,
}

impl Installation {
    pub fn new(database: Database) -> Self {
        let world = World::with_webhooks(database, 6);
        let pem = world.token_key("lab");
        let token = world.issue("again", "Lab", &pem);
        world.run(&["token", "import", "lab", &token]).exits(0);
        let staff = world.write("staff.toml", STAFF);
        world.run(&["profile", "new", "staff", "--file", &staff]).exits(0);
        let receiver = Receiver::start();
        let endpoint = receiver.subscribe(&world, &[])["id"].to_string();
        let serial = world.apple.some("Lab", 1).remove(0);
        world.run(&["activation-lock", "lock", &serial, "--yes"]).exits(0);
        Self { world, receiver, endpoint, serial, token }
    }

    pub fn key_file(&self) -> PathBuf {
        self.world.data_dir().join("master.key")
    }

    /// Makes a master key and gives its file and its id.
    pub fn make_key(&self, name: &str) -> (String, String) {
        let file = self.world.path(name);
        let made = self.world.object(&["key", "make", &file]);
        (file, made["master_key"].as_str().expect("an id").to_owned())
    }

    /// What opens a server token, a token key, the passwords of a profile, the secret of an endpoint and a bypass code.
    pub fn everything(&self) -> [Vec<&str>; 5] {
        [
            vec!["sync", "lab", "--force"],
            vec!["token", "import", "lab", &self.token],
            vec!["profile", "command", "staff", "--serial", &self.serial],
            vec!["webhook", "test", &self.endpoint],
            vec!["activation-lock", "code", &self.serial, "--reason", "to see whether it opens"],
        ]
    }

    /// Fails unless everything that is sealed opens.
    #[track_caller]
    pub fn opens(&self) {
        let shown = self.shown();
        assert_eq!(shown["problem"], Value::Null, "{shown}");
        for command in self.everything() {
            self.world.run(&command).exits(0);
        }
    }

    /// Fails unless a service that runs posts what happens, signed.
    pub fn delivers(&self) {
        self.receiver.forget();
        for change in ["pause", "resume"] {
            self.world.run(&["server", change, "lab"]).exits(0);
        }
        self.receiver.wait_for("server.resumed", 1);
    }

    pub fn shown(&self) -> Value {
        self.world.object(&["key", "show"])
    }

    /// How many secrets stand under each data key.
    pub fn secrets(&self) -> BTreeMap<u64, u64> {
        let shown = self.shown();
        let keys = shown["data_keys"].as_array().expect("a list").iter();
        keys.map(|key| {
            (key["version"].as_u64().expect("a version"), key["secrets"].as_u64().expect("a number"))
        })
        .collect()
    }

    /// The master keys that data keys stand under.
    pub fn masters(&self) -> Vec<String> {
        let shown = self.shown();
        let keys = shown["data_keys"].as_array().expect("a list").iter();
        keys.map(|key| key["master_key"].as_str().expect("an id").to_owned()).collect()
    }

    pub fn rotate(&self, more: &[&str]) -> Run {
        self.world.run(&[&["key", "rotate"], more].concat())
    }
}
