//! An installation that holds and meets every kind of secret, and in which much goes right and wrong with them.

use adelie_simulator::{Fault, Settings};
use openssl::cms::{CMSOptions, CmsContentInfo};
use openssl::stack::Stack;
use openssl::symm::Cipher;
use openssl::x509::X509;

use crate::harness::{Database, LAB, Receiver, Run, STANDARD, World, text};

/// Secrets that the test chooses. All others are made by the program or by Apple, and found by [`super::sealed`] and in what
/// Apple and the receivers have seen.
pub const GIVEN_PASSWORD: &str = "canary-Horse7/battery+given";
pub const DATABASE_PASSWORD: &str = "canary-Goat3-database-password";
pub const PROXY_PASSWORD: &str = "canary-Crow9-proxy-password";
pub const URL_TOKEN: &str = "canary-Hare5-token-in-a-url";
/// A shared secret of 32 bytes.
pub const WEBHOOK_SECRET: &str = "whsec_Y2FuYXJ5LU5ld3Q4LXdlYmhvb2stc2VjcmV0LTMyYnk=";
/// What is in files and answers that are refused.
pub const REFUSED: &str = "canary-Moth6-in-what-is-refused";

pub const REASON: [&str; 2] = ["--reason", "ticket 4711"];

/// A profile with a password that is given, or generated.
fn staff(password: &str) -> String {
    format!(
        "name = \"Staff\"\nurl = \"https://mdm.example.org/enroll\"\nplatforms = [\"macOS 26.1\"]\n\n\
         [accounts.primary]\ntype = \"standard\"\nfull_name = \"Robin\"\naccount_name = \"robin\"\n\n\
         [accounts.administrator]\nshort_name = \"localadmin\"\npassword = {password}\n"
    )
}

pub struct Scene {
    pub world: World,
    /// The text of the master key.
    pub master: String,
    /// Macs, of which the first is locked and has a password.
    pub macs: Vec<String>,
    /// Takes everything, signed with [`WEBHOOK_SECRET`].
    pub good: Receiver,
    /// Takes everything, signed by a key.
    pub signed_by_key: Receiver,
    /// Has [`URL_TOKEN`] in its URL, fails and repeats what it was sent.
    pub repeating: Receiver,
    /// What the health endpoints of the service have said.
    pub health: String,
    pub folder: String,
    pub audit: String,
    pub plist: String,
    pub backup: String,
    /// The file with a generated password.
    pub password: String,
}

impl Scene {
    /// Everything is there; nothing has gone wrong yet.
    pub fn new(database: Database) -> Self {
        let settings = Settings { devices: 40, log_body_bytes: 1 << 20, ..Settings::default() };
        let mut world = World::empty(database, settings);
        world.set("ADELIE_LOG", "trace");
        world.set("RUST_BACKTRACE", "full");
        world.set("ADELIE_WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8");
        // The service is to ask again and again, also after a command of ours has asked.
        for interval in ["DELTA", "TOKEN", "TERMS"] {
            world.set(&format!("ADELIE_{interval}_INTERVAL_SECONDS"), "1");
        }
        if let Database::Postgres(url) = &world.database {
            // The server takes every password.
            let url = url.replacen("postgres@", &format!("postgres:{DATABASE_PASSWORD}@"), 1);
            world.set("ADELIE_DATABASE_URL", &url);
        }
        let key = world.path("master.key");
        world.run(&["key", "make", &key]).exits(0);
        let master = std::fs::read_to_string(&key).expect("the key");
        world.set("ADELIE_MASTER_KEY", &master);
        world.onboard("lab", LAB);
        world.add_profile("standard", STANDARD);
        let file = world.write("staff.toml", staff(&format!("{{ given = \"{GIVEN_PASSWORD}\" }}")));
        world.run(&["profile", "new", "staff", "--file", &file]).exits(0);
        let file = world.write("each.toml", staff("\"generated\""));
        world.run(&["profile", "new", "each", "--file", &file]).exits(0);
        world.run(&["server", "set", "lab", "--default", "any=standard"]).exits(0);
        world.run(&["sync", "lab"]).exits(0);
        world.assert_exact("lab", LAB);

        let (good, signed_by_key, repeating) = (Receiver::start(), Receiver::start(), Receiver::start());
        let file = world.write("secret.txt", WEBHOOK_SECRET);
        good.subscribe(&world, &["--secret-file", &file]);
        world.run(&["webhook", "add", &signed_by_key.url(), "--signing", "ed25519"]).exits(0);
        let url = format!("{}?token={URL_TOKEN}", repeating.url());
        world.run(&["webhook", "add", &url, "--event", "device.*"]).exits(0);
        let macs = world.apple.family(LAB, "Mac");
        let path = |name| world.path(name);
        Self {
            folder: path("ade"),
            audit: path("audit.jsonl"),
            plist: path("new.plist"),
            backup: path("all.backup"),
            password: path("password"),
            health: String::new(),
            world,
            master,
            macs,
            good,
            signed_by_key,
            repeating,
        }
    }

    /// Each with its name as an output.
    pub fn receivers(&self) -> impl Iterator<Item = (&'static str, &Receiver)> {
        [
            ("what the first receiver was sent", &self.good),
            ("what the second receiver was sent", &self.signed_by_key),
            ("what the third receiver was sent", &self.repeating),
        ]
        .into_iter()
    }

    /// Runs a command for people and for scripts.
    pub fn both(&self, args: &[&str]) -> [Run; 2] {
        [self.world.run(args), self.world.run(&[args, &["--json"]].concat())]
    }

    /// The number of the endpoint that fails.
    pub fn endpoint_that_fails(&self) -> String {
        let endpoints = self.world.objects(&["webhook", "list"]);
        let failing = endpoints.iter().find(|one| text(one, "url").contains(&self.repeating.url()));
        failing.expect("it is there")["id"].to_string()
    }

    /// Lets Apple, or a proxy before it, repeat the next requests to a path in its answers.
    pub fn repeat(&self, path: &str, status: u16, times: u32) {
        let path = Some(path.to_owned());
        let fault = Fault { path, status: Some(status), echo: true, times: Some(times), ..Fault::default() };
        self.world.apple.fault(fault);
    }

    /// A server token file with content of our choice, for the newest key.
    pub fn sealed(&self, name: &str, content: &str) -> String {
        let pem = self.world.token_key("lab");
        let mut recipients = Stack::new().expect("a stack");
        recipients.push(X509::from_pem(pem.as_bytes()).expect("a certificate")).expect("room");
        let sealed = CmsContentInfo::encrypt(
            &recipients,
            content.as_bytes(),
            Cipher::aes_128_cbc(),
            CMSOptions::BINARY,
        );
        self.world.write(name, sealed.and_then(|sealed| sealed.to_der()).expect("CMS"))
    }
}
