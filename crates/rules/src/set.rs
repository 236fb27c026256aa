/// How many rules one [`Set`] has room for.
pub(crate) const WIDTH: usize = 256;

/// Some of [`WIDTH`] rules, by their places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set([u64; WIDTH / 64]);

impl Set {
    /// Puts a rule in.
    pub(crate) fn insert(&mut self, rule: u8) {
        self.0[usize::from(rule) / 64] |= 1 << (rule % 64);
    }

    /// Whether the rule is in it.
    pub(crate) fn has(&self, rule: u8) -> bool {
        self.0[usize::from(rule) / 64] & 1 << (rule % 64) != 0
    }

    /// Puts in all rules of another set.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own |= other);
    }

    /// The rules that are in both.
    pub(crate) fn both(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own &= other);
        self
    }

    /// The rules that are not in the other.
    pub(crate) fn without(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own &= !other);
        self
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0 == [0; WIDTH / 64]
    }

    /// The first one in their order.
    pub(crate) fn first(&self) -> Option<u8> {
        let (word, start) = self.0.iter().zip((0..).step_by(64)).find(|(word, _)| **word != 0)?;
        // A word that is not zero has less than 64 zeros behind its last one.
        u8::try_from(word.trailing_zeros()).ok().map(|zeros| start + zeros)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_does_what_sets_do(
            one in prop::collection::btree_set(any::<u8>(), 0..20),
            other in prop::collection::btree_set(any::<u8>(), 0..20),
        ) {
            let set = |rules: &BTreeSet<u8>| {
                let mut set = Set::default();
                rules.iter().for_each(|rule| set.insert(*rule));
                set
            };
            let (a, b) = (set(&one), set(&other));
            let mut sum = a;
            sum.add(&b);
            prop_assert_eq!(sum, set(&(&one | &other)));
            prop_assert_eq!(a.both(&b), set(&(&one & &other)));
            prop_assert_eq!(a.without(&b), set(&(&one - &other)));
            prop_assert_eq!(a.is_empty(), one.is_empty());
            prop_assert!((0..=u8::MAX).all(|rule| a.has(rule) == one.contains(&rule)));
            prop_assert_eq!(a.first(), one.first().copied());
        }
    }
}
