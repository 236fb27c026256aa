//! The dialogue that leads through a renewal, in a terminal.

use std::io::Write;
use std::process::ChildStdin;

use adelie_simulator::{Fault, TokenShape};

use crate::harness::{Background, LAB, World, eventually};

/// A dialogue that is under way.
struct Dialogue {
    terminal: Background,
    keyboard: ChildStdin,
}

impl Dialogue {
    fn begin(world: &World) -> Self {
        let (terminal, keyboard) = world.terminal(&["token", "renew", "lab"]);
        Self { terminal, keyboard }
    }

    /// Waits for a text on the screen.
    fn shows(&self, text: &str) {
        self.shows_times(text, 1);
    }

    fn shows_times(&self, text: &str, times: usize) {
        eventually(&format!("{text:?} on the screen, which has {}", self.screen()), || {
            (self.screen().matches(text).count() >= times).then_some(())
        });
    }

    /// What was printed, and what was typed.
    fn screen(&self) -> String {
        self.terminal.so_far(None).stdout
    }

    fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).and_then(|()| self.keyboard.flush()).expect("a keyboard");
    }

    #[track_caller]
    fn ends(self, code: i32) -> String {
        let Self { terminal, keyboard } = self;
        let run = terminal.wait().exits(code);
        drop(keyboard);
        run.stdout
    }
}

const SAVED: &str = "Press Enter when it is saved: ";
const FILE: &str = "4. The .p7m file";
const CTRL_C: &str = "\u{3}";

fn tokens(world: &World) -> usize {
    world.objects(&["token", "history", "lab"]).len()
}

/// The file that Apple gives for the certificate that the dialogue has written.
fn download(world: &World) -> String {
    let pem = std::fs::read_to_string(world.path("lab.pem")).expect("a certificate");
    world.write("new.p7m", world.apple.issue_token(LAB, &pem, TokenShape::default()).expect("a token"))
}

on_both_databases! {
    /// L40: the whole way: the certificate, the warning before the step where it matters, a wrong file first, the right one
    /// as a terminal gives a file that is dragged there.
    fn the_whole_way(database) {
        let world = World::synced(database, 2);
        let wrong = world.write("wrong.p7m", "this is no token");
        let mut dialogue = Dialogue::begin(&world);
        dialogue.shows(SAVED);
        let screen = dialogue.screen();
        assert!(screen.contains("Upload lab.pem") && !screen.contains("WARNING"), "{screen}");
        dialogue.types("\n");
        dialogue.shows("WARNING: downloading a new token ends the old one at once");
        dialogue.shows("4. The .p7m file (drag it here, or type its path): ");
        let file = download(&world);
        dialogue.types("\n");
        dialogue.shows_times(FILE, 2);
        dialogue.types(&format!("{wrong}\n"));
        dialogue.shows("this is not a server token");
        dialogue.shows(&format!("4. The .p7m file (Enter for {wrong} again): "));
        assert_eq!(tokens(&world), 1, "a wrong file changes nothing");
        dialogue.types("/nowhere/at/all.p7m\n");
        dialogue.shows("/nowhere/at/all.p7m cannot be read");
        dialogue.types(&format!("'{file}'\n"));
        dialogue.shows("imported the server token of lab");
        dialogue.ends(0);
        assert_eq!(tokens(&world), 2);
        world.run(&["token", "check", "lab"]).exits(0);
    }

    /// L40: Ctrl-C at either question changes nothing, and says how to go on; so does the end of the input.
    fn ctrl_c_at_a_question(database) {
        let world = World::synced(database, 2);
        for (enters, end) in [(0, CTRL_C), (1, CTRL_C), (1, "\u{4}")] {
            let mut dialogue = Dialogue::begin(&world);
            dialogue.shows(SAVED);
            for _ in 0..enters {
                dialogue.types("\n");
                dialogue.shows(FILE);
            }
            dialogue.types(end);
            let screen = dialogue.ends(1);
            for told in ["the token in use stays", "ends at Apple only when a new one is downloaded", "go on with `adelie token renew lab`"] {
                assert!(screen.contains(told), "{told} is missing in {screen}");
            }
        }
        assert_eq!(tokens(&world), 1);
        world.run(&["token", "check", "lab"]).exits(0);
    }

    /// L40: Ctrl-C while Apple is asked about the new token: the token in use is still that, and it is told that Apple has
    /// ended it. The same file goes on.
    fn ctrl_c_while_apple_is_asked(database) {
        let world = World::synced(database, 2);
        let slow = || {
            let path = Some("/account".to_owned());
            world.apple.fault(Fault { path, delay_ms: 600_000, times: Some(0), ..Fault::default() });
            world.apple.mark()
        };
        let asked = |mark| eventually("Apple is asked", || (world.apple.count(mark, "GET", "/session") > 0).then_some(()));
        let told = |screen: &str, file: &str| {
            for told in ["the token in use stays", "Apple has ended it", &format!("go on with `adelie token renew lab {file}`")] {
                assert!(screen.contains(told), "{told} is missing in {screen}");
            }
            assert_eq!(tokens(&world), 1);
        };
        let mut dialogue = Dialogue::begin(&world);
        dialogue.shows(SAVED);
        dialogue.types("\n");
        dialogue.shows(FILE);
        let file = download(&world);
        let mark = slow();
        dialogue.types(&format!("{file}\n"));
        asked(mark);
        dialogue.types(CTRL_C);
        told(&dialogue.ends(1), &file);

        let mark = slow();
        let renewal = world.start(&["token", "renew", "lab", &file]);
        asked(mark);
        renewal.interrupt();
        told(&renewal.wait().exits(1).stderr, &file);
        world.apple.clear_faults();
        world.run(&["token", "renew", "lab", &file]).exits(0);
        assert_eq!(tokens(&world), 2);
        world.run(&["token", "check", "lab"]).exits(0);
    }
}
