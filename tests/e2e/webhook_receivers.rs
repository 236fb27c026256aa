//! The receivers of docs/webhooks.md, as they stand there, with the official libraries of Standard Webhooks.
//!
//! `cargo xtask receivers` gets the libraries from PyPI and npm and runs these tests.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::harness::{Database, World, eventually, text};

/// Where `cargo xtask receivers` has put the libraries: `venv` and `node_modules`.
fn libraries() -> PathBuf {
    let folder = std::env::var_os("ADELIE_RECEIVERS").map(PathBuf::from);
    folder.expect("ADELIE_RECEIVERS names the folder with the libraries: run `cargo xtask receivers`")
}

/// The block of a language in the page.
fn shown(language: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/webhooks.md");
    let page = std::fs::read_to_string(path).expect("docs/webhooks.md");
    let (_, rest) = page.split_once(&format!("```{language}\n")).expect("a block in this language");
    rest.split_once("```").expect("its end").0.to_owned()
}

/// A receiver that is killed when it goes out of scope.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Has a receiver verify what is sent to it: as it is, after a rotation, and with a wrong secret.
fn verifies(program: &Path, language: &str, file: &str) {
    let mut world = World::synced(Database::Sqlite, 3);
    world.set("ADELIE_WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8");
    let script = world.write(file, shown(language));
    let probe = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = probe.local_addr().expect("an address").port();
    drop(probe);
    let added =
        world.object(&["webhook", "add", &format!("http://127.0.0.1:{port}/"), "--event", "webhook.test"]);
    let output = world.path("receiver.out");
    // Node looks for libraries in the folders above a script.
    std::os::unix::fs::symlink(libraries().join("node_modules"), world.path("node_modules")).expect("a link");
    let start = |secret: &str| {
        let output = std::fs::File::create(&output).expect("a file");
        let mut command = Command::new(program);
        command.arg(&script).env_clear().envs([("SECRET", secret), ("PORT", &port.to_string())]);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir(world.home.path());
        command.stdin(Stdio::null()).stdout(output).stderr(Stdio::inherit());
        let running = Running(command.spawn().expect("the receiver"));
        let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).ok();
        eventually("the receiver listens", listens);
        running
    };
    let secret = text(&added, "secret").to_owned();
    let receiver = start(&secret);
    let good = world.object(&["webhook", "test", "1"]);
    assert_eq!((text(&good, "state"), &good["status"]), ("delivered", &json!(204)));
    eventually("it prints the event", || {
        let printed = std::fs::read_to_string(&output).expect("its output");
        (printed.starts_with("evt_") && printed.contains("webhook.test")).then_some(())
    });
    // The old secret still verifies after a rotation, among two signatures.
    let new = world.object(&["webhook", "rotate", "1"]);
    world.run(&["webhook", "test", "1"]).exits(0);
    drop(receiver);
    let receiver = start(text(&new, "secret"));
    world.run(&["webhook", "test", "1"]).exits(0);
    drop(receiver);
    let _receiver = start("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    world.run(&["webhook", "test", "1"]).exits(1);
}

#[test]
#[ignore = "needs the libraries of receivers: cargo xtask receivers"]
fn the_python_receiver_verifies() {
    verifies(&libraries().join("venv/bin/python"), "python", "receiver.py");
}

#[test]
#[ignore = "needs the libraries of receivers: cargo xtask receivers"]
fn the_javascript_receiver_verifies() {
    verifies(Path::new("node"), "javascript", "receiver.mjs");
}
