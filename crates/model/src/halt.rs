//! Named points at which a test can stop the process for good, to prove that a kill at any line loses nothing; or let it
//! panic, to prove that what a panic prints gives nothing away.
//!
//! Only debug builds look: `ADELIE_HALT_AT=page.before_commit` or `ADELIE_HALT_AT=page.before_commit:3` (the third
//! time) makes the thread that comes there say so on standard error and stand still until somebody kills the process;
//! `ADELIE_PANIC_AT` makes it panic. In release builds [`point`] is empty.

/// Stands still for ever, or panics, when a test has asked for it by this name.
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

    struct Armed {
        name: String,
        passes: AtomicU32,
    }

    static HALT: OnceLock<Option<Armed>> = OnceLock::new();
    static PANIC: OnceLock<Option<Armed>> = OnceLock::new();

    pub(super) fn point(name: &str) {
        if is_hit(&PANIC, "ADELIE_PANIC_AT", name) {
            panic!("a panic at {name} was asked for");
        }
        if !is_hit(&HALT, "ADELIE_HALT_AT", name) {
            return;
        }
        // What cannot be told to the test is seen by it as a time-out.
        let _ = writeln!(std::io::stderr(), "halted at {name}");
        loop {
            std::thread::park();
        }
    }

    fn is_hit(armed: &OnceLock<Option<Armed>>, variable: &str, name: &str) -> bool {
        let armed = armed.get_or_init(|| std::env::var(variable).ok().map(|text| parse(&text)));
        let armed = armed.as_ref().filter(|armed| armed.name == name);
        armed.is_some_and(|armed| armed.passes.fetch_sub(1, Ordering::SeqCst) == 1)
    }

    fn parse(text: &str) -> Armed {
        let (name, passes) = text.split_once(':').unwrap_or((text, "1"));
        Armed { name: name.to_owned(), passes: AtomicU32::new(passes.parse().unwrap_or(1)) }
    }
}
