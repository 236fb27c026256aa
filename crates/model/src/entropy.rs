use std::sync::Mutex;

/// Where randomness comes from. Passed in, so that a test repeats itself exactly.
pub trait Entropy: Send + Sync {
    /// Fills the whole of `buffer` with random bytes.
    fn fill(&self, buffer: &mut [u8]);

    /// A random number in `0..bound`; 0 when `bound` is 0. For jitter, not for keys.
    fn below(&self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes).checked_rem(bound).unwrap_or(0)
    }
}

/// Repeatable randomness from a seed: for tests and the simulator. Never for keys or nonces of a real token.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<fastrand::Rng>);

impl SeededEntropy {
    /// The sequence that belongs to `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill(buffer);
    }
}
