//! Everything that Adelie lets out.

use std::path::Path;

use super::scene::Scene;
use crate::harness::{Ledger, Receiver, World, files};
use crate::secrets::stored;

/// Something that others may get to see.
pub struct Output {
    /// What it is: the command line for what a command printed.
    pub name: String,
    pub bytes: Vec<u8>,
}

impl Output {
    fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

/// One line for each kind of output. There are no metrics and no bundle of the doctor's in the program yet: each is a line
/// here as soon as there is one.
pub fn outputs(scene: &Scene) -> Vec<Output> {
    let world = &scene.world;
    [
        printed(world),
        vec![Output::new("the database", stored(world))],
        tables(&world.ledger()),
        folder("the exported folder", &scene.folder),
        file("the exported audit", &scene.audit),
        file("the command that sets a password", &scene.plist),
        file("the backup, packed; unpacked it was printed", &scene.backup),
        vec![Output::new("the health endpoints", scene.health.clone())],
        vec![Output::new("what Apple was sent", sent_to_apple(world))],
        scene.receivers().map(posted).collect(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What every run of the binary has printed to stdout and stderr, errors, panics and logs included.
fn printed(world: &World) -> Vec<Output> {
    let read = |path: &Path| std::fs::read(path).expect("an output");
    let lines = std::fs::read_dir(world.path("outputs"))
        .expect("the outputs")
        .map(|entry| entry.expect("a file").path());
    let lines = lines.filter(|path| path.extension().is_some_and(|end| end == "line"));
    lines
        .map(|line| {
            let name = String::from_utf8(read(&line)).expect("a command line");
            Output::new(name, [read(&line.with_extension("out")), read(&line.with_extension("err"))].concat())
        })
        .collect()
}

/// Every table, so that it can be told where in the database something stands.
fn tables(ledger: &Ledger) -> Vec<Output> {
    let (all, text) = match ledger {
        Ledger::Sqlite(_) => (
            "-- columns\nSELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'",
            "CASE typeof({c}) WHEN 'blob' THEN hex({c}) ELSE CAST({c} AS text) END",
        ),
        Ledger::Postgres(_) => (
            "-- columns\nSELECT CAST(table_name AS text), CAST(column_name AS text) FROM information_schema.columns
             WHERE table_schema = 'public'",
            "CAST({c} AS text)",
        ),
    };
    let column = |names: Vec<String>| {
        let (table, column) = (&names[0], &names[1]);
        let text = text.replace("{c}", &format!("\"{column}\""));
        let values = ledger.column(&format!("-- values\nSELECT {text} FROM \"{table}\""));
        Output::new(format!("column {table}.{column}"), values.join("\n"))
    };
    ledger.rows(all).into_iter().map(column).collect()
}

fn folder(name: &str, path: &str) -> Vec<Output> {
    let texts = files(Path::new(path));
    assert!(!texts.is_empty(), "{path} is empty");
    texts.into_iter().map(|(file, text)| Output::new(format!("{name}: {file}"), text)).collect()
}

fn file(name: &str, path: &str) -> Vec<Output> {
    vec![Output::new(name, std::fs::read(path).expect("a file"))]
}

/// Without the headers that show Apple who asks.
fn sent_to_apple(world: &World) -> String {
    let requests = world.apple.requests().into_iter();
    requests
        .map(|request| {
            format!(
                "{} {} {:?} {:?} {}\n",
                request.method, request.path, request.query, request.user_agent, request.body
            )
        })
        .collect()
}

/// The bodies: the headers have the signature.
fn posted((name, receiver): (&'static str, &Receiver)) -> Output {
    let bodies: Vec<_> = receiver.posts().into_iter().map(|post| post.bytes).collect();
    assert!(!bodies.is_empty(), "{name} got nothing");
    Output::new(name, bodies.join(&b'\n'))
}
