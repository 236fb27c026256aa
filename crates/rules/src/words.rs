use std::collections::HashSet;

use crate::fold;
use crate::glob::Glob;
use crate::pattern::{Form, Pattern};

/// The text patterns of a condition, made ready for comparing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    exact: HashSet<Box<[u8]>>,
    globs: Vec<Glob>,
}

impl Words {
    /// Makes patterns ready. Those for dates are none of its business.
    pub(crate) fn new(patterns: &[Pattern]) -> Self {
        let mut words = Self::default();
        for pattern in patterns {
            match &pattern.0 {
                Form::Exact(text) => {
                    words.exact.insert(fold::text(text));
                }
                Form::Glob(letters) => words.globs.push(Glob::new(letters)),
                Form::Days(_) => {}
            }
        }
        words
    }

    /// The one text, taken as it is.
    pub(crate) fn exactly(text: &str) -> Self {
        Self { exact: HashSet::from([fold::text(text)]), globs: Vec::new() }
    }

    /// Whether a text in lower case is matched.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        self.exact.contains(text) || self.globs.iter().any(|glob| glob.matches(text))
    }

    /// Whether every text is matched.
    pub(crate) fn take_all(&self) -> bool {
        self.globs.iter().any(Glob::is_any)
    }

    /// The texts that are matched, when there are wildcards in none of the patterns.
    pub(crate) fn listed(&self) -> Option<impl Iterator<Item = &[u8]>> {
        self.globs.is_empty().then(|| self.exact.iter().map(|text| &**text))
    }

    /// Whether every text that `other` matches is matched by these, too. It never says yes wrongly.
    pub(crate) fn cover(&self, other: &Self) -> bool {
        other.exact.iter().all(|text| self.matches(text))
            && other.globs.iter().all(|narrow| self.globs.iter().any(|wide| wide.covers(narrow)))
    }

    /// Whether no text is matched by both. It never says yes wrongly.
    pub(crate) fn are_apart_from(&self, other: &Self) -> bool {
        !self.exact.iter().any(|text| other.matches(text))
            && !other.exact.iter().any(|text| self.matches(text))
            && self.globs.iter().all(|one| other.globs.iter().all(|another| one.is_apart_from(another)))
    }
}
