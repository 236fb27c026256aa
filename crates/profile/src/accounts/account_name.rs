//! What macOS takes as the short name of an account.

/// The longest short name that macOS takes, in bytes.
pub(crate) const MAX_BYTES: usize = 255;

/// Up to this many bytes a short name is safe: older tools of macOS and other Unix systems cut it there.
pub(crate) const SAFE_BYTES: usize = 31;

/// Short names that are taken, and by what. Kept short: only names that exist on every Mac, or whose home folder
/// does, so that another account of that name cannot be made or would get into the way of it.
const RESERVED: &[(&str, &str)] = &[
    ("root", "the superuser of every Mac"),
    ("daemon", "an account of macOS itself"),
    ("nobody", "an account of macOS itself"),
    ("guest", "the guest account of every Mac"),
    ("shared", "the folder that all users of a Mac share"),
];

/// Why macOS does not take a short name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountNameError {
    /// There is nothing, or nothing but white space.
    #[error("it is empty")]
    Empty,
    /// It begins with something else than a letter or an underscore.
    #[error("it begins with {0:?}")]
    Start(char),
    /// A character that is not for short names.
    #[error("it contains {0:?}")]
    Character(char),
    /// Longer than macOS takes.
    #[error("it has {0} bytes, and macOS takes {MAX_BYTES}")]
    TooLong(usize),
    /// Taken on every Mac.
    #[error("it belongs to {0}")]
    Reserved(&'static str),
}

/// Whether macOS takes the short name.
pub(crate) fn check(name: &str) -> Result<(), AccountNameError> {
    if name.trim().is_empty() {
        return Err(AccountNameError::Empty);
    }
    check_text(true, name)?;
    if name.len() > MAX_BYTES {
        return Err(AccountNameError::TooLong(name.len()));
    }
    match RESERVED.iter().find(|(reserved, _)| *reserved == name) {
        Some((_, owner)) => Err(AccountNameError::Reserved(owner)),
        None => Ok(()),
    }
}

/// Whether the text may be in a short name; `first` says that the name begins with it.
pub(crate) fn check_text(first: bool, text: &str) -> Result<(), AccountNameError> {
    for (at, c) in text.char_indices() {
        if !(c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '-')) {
            return Err(AccountNameError::Character(c));
        }
        if first && at == 0 && !(c.is_ascii_lowercase() || c == '_') {
            return Err(AccountNameError::Start(c));
        }
    }
    Ok(())
}

/// The first character that neither a login window can show nor XML can hold.
pub(crate) fn unprintable(text: &str) -> Option<char> {
    text.chars().find(|c| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_lower_case_and_begin_with_a_letter() {
        for good in ["robin", "r", "robin.example-2", "_hidden", "admin", "a_b", &"x".repeat(255)] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", AccountNameError::Empty),
            ("  ", AccountNameError::Empty),
            ("Robin", AccountNameError::Character('R')),
            ("robin example", AccountNameError::Character(' ')),
            ("rübe", AccountNameError::Character('ü')),
            ("a/b", AccountNameError::Character('/')),
            ("1robin", AccountNameError::Start('1')),
            ("-robin", AccountNameError::Start('-')),
            (".robin", AccountNameError::Start('.')),
            ("root", AccountNameError::Reserved("the superuser of every Mac")),
            ("guest", AccountNameError::Reserved("the guest account of every Mac")),
        ] {
            assert_eq!(check(bad), Err(why), "{bad:?}");
        }
        assert_eq!(check(&"x".repeat(256)), Err(AccountNameError::TooLong(256)));
    }
}
