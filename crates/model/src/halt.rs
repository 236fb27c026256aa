//! Named points at which a test can stop the process for good, to prove that a kill at any line loses nothing.
//!
//! Only debug builds look: `ADELIE_HALT_AT=page.before_commit` or `ADELIE_HALT_AT=page.before_commit:3` (the third
//! time) makes the thread that comes there say so on standard error and stand still until somebody kills the process.
//! In release builds [`point`] is empty.

/// Stands still for ever when a test has asked for it by this name.
#[inline]
pub fn point(name: &'static str) {
    #[cfg(debug_assertions)]
    armed::point(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod armed {
    use std::io::Write;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Halt {
        name: String,
        passes: AtomicU32,
    }

    static HALT: OnceLock<Option<Halt>> = OnceLock::new();

    pub(super) fn point(name: &str) {
        let halt = HALT.get_or_init(|| std::env::var("ADELIE_HALT_AT").ok().map(|text| parse(&text)));
        let Some(halt) = halt.as_ref().filter(|halt| halt.name == name) else { return };
        if halt.passes.fetch_sub(1, Ordering::SeqCst) != 1 {
            return;
        }
        // What cannot be told to the test is seen by it as a time-out.
        let _ = writeln!(std::io::stderr(), "halted at {name}");
        loop {
            std::thread::park();
        }
    }

    fn parse(text: &str) -> Halt {
        let (name, passes) = text.split_once(':').unwrap_or((text, "1"));
        Halt { name: name.to_owned(), passes: AtomicU32::new(passes.parse().unwrap_or(1)) }
    }
}
