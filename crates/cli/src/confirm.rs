//! Asking before something that is not easily undone.

use std::io::{BufRead, IsTerminal, Write};

use crate::exit::wrong;

/// Asks a question on the terminal; only `y` and `yes` are a yes. `hint` is what to do where there is nobody to ask.
pub fn confirmed(question: &str, hint: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(wrong("there is nobody to ask, so that nothing was changed", hint));
    }
    let mut stderr = std::io::stderr();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
