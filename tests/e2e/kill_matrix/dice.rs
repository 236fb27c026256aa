use adelie_model::{Entropy, SeededEntropy};

/// What a seed chooses.
pub struct Dice(SeededEntropy);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    /// A number in `least..=most`.
    pub fn between(&self, least: usize, most: usize) -> usize {
        let span = most.saturating_sub(least) as u64 + 1;
        least + usize::try_from(self.0.below(span)).expect("a small number")
    }

    /// `true` once in so many throws.
    pub fn once_in(&self, throws: usize) -> bool {
        self.between(1, throws) == 1
    }
}
