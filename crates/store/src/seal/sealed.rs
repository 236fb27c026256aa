/// The first byte of what versions before data keys had numbers have sealed: under the first data key, to which nothing
/// but the place is bound.
pub(super) const WITHOUT_VERSION: u8 = 1;
/// The first byte of what is sealed now. The version of the data key follows in four bytes, the most significant first.
pub(super) const WITH_VERSION: u8 = 2;

/// A secret in the only form that a store sees: format, version of its data key, nonce, ciphertext and tag.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

impl Sealed {
    /// How many bytes a [`head`](Self::head) has.
    pub const HEAD: usize = 5;
    /// The first byte of what has a head. What begins with another one is an older version's, under data key 1.
    pub const FORMAT: u8 = WITH_VERSION;

    /// The version of the data key that it says it is sealed under; `None` when it is nothing that was ever sealed.
    #[must_use]
    pub fn key_version(&self) -> Option<u32> {
        Self::version_in(self.0.get(..Self::HEAD)?)
    }

    /// The version that these first bytes tell of.
    #[must_use]
    pub fn version_in(head: &[u8]) -> Option<u32> {
        match head.split_first()? {
            (&WITHOUT_VERSION, _) => Some(1),
            (&WITH_VERSION, rest) => rest.get(..4)?.try_into().ok().map(u32::from_be_bytes),
            _ => None,
        }
    }

    /// What everything begins with that is sealed under a data key.
    #[must_use]
    pub fn head(version: u32) -> [u8; Self::HEAD] {
        let [a, b, c, d] = version.to_be_bytes();
        [WITH_VERSION, a, b, c, d]
    }
}
