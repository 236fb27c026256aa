//! Licence expressions (SPDX): whether a list of licences suffices for one.

use anyhow::{Result, bail};

/// Whether the expression can be fulfilled with licences that `allowed` accepts.
///
/// `A WITH B` counts as a licence of its own. The old form `MIT/Apache-2.0` means OR.
pub(crate) fn fulfilled(expression: &str, allowed: &dyn Fn(&str) -> bool) -> Result<bool> {
    let text = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = Words { words: text.split_whitespace().collect(), next: 0 };
    let result = any(&mut words, allowed)?;
    match words.take() {
        None => Ok(result),
        Some(word) => bail!("`{word}` is not expected in the licence `{expression}`"),
    }
}

struct Words<'a> {
    words: Vec<&'a str>,
    next: usize,
}

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).copied()
    }

    fn take(&mut self) -> Option<&'a str> {
        let word = self.peek();
        self.next += 1;
        word
    }

    fn skip(&mut self, word: &str) -> bool {
        let found = self.peek() == Some(word);
        self.next += usize::from(found);
        found
    }
}

fn any(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Result<bool> {
    let mut result = all(words, allowed)?;
    while words.skip("OR") {
        result |= all(words, allowed)?;
    }
    Ok(result)
}

fn all(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Result<bool> {
    let mut result = one(words, allowed)?;
    while words.skip("AND") {
        result &= one(words, allowed)?;
    }
    Ok(result)
}

fn one(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Result<bool> {
    if words.skip("(") {
        let result = any(words, allowed)?;
        if !words.skip(")") {
            bail!("a bracket is not closed");
        }
        return Ok(result);
    }
    match words.take() {
        None | Some("AND" | "OR" | "WITH" | ")") => bail!("a licence is missing"),
        Some(licence) if words.skip("WITH") => match words.take() {
            Some(exception) => Ok(allowed(&format!("{licence} WITH {exception}"))),
            None => bail!("an exception is missing after WITH"),
        },
        Some(licence) => Ok(allowed(licence)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(list: &[&str], expression: &str) -> Result<bool> {
        fulfilled(expression, &|licence| list.contains(&licence))
    }

    #[test]
    fn one_of_several_suffices_and_all_of_several_are_needed() {
        let list = ["MIT", "Unicode-3.0"];
        assert!(with(&list, "MIT OR Apache-2.0").unwrap());
        assert!(with(&list, "Apache-2.0/MIT").unwrap());
        assert!(with(&list, "(MIT OR Apache-2.0) AND Unicode-3.0").unwrap());
        assert!(!with(&list, "MIT AND BSD-3-Clause").unwrap());
        // AND binds more tightly than OR.
        assert!(with(&list, "MIT OR BSD-3-Clause AND GPL-3.0").unwrap());
        assert!(!with(&list, "GPL-3.0").unwrap());
    }

    #[test]
    fn an_exception_is_a_licence_of_its_own() {
        let expression = "Apache-2.0 WITH LLVM-exception";
        assert!(!with(&["Apache-2.0"], expression).unwrap());
        assert!(with(&[expression], expression).unwrap());
    }

    #[test]
    fn nonsense_is_refused() {
        for nonsense in ["", "MIT OR", "(MIT", "MIT Apache-2.0", "AND MIT", "MIT WITH"] {
            assert!(with(&["MIT"], nonsense).is_err(), "{nonsense:?}");
        }
    }
}
