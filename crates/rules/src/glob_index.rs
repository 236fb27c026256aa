use crate::glob::Glob;
use crate::set::Set;

/// The patterns with wildcards of many rules, as a tree of what they begin with: a text walks down the tree as far as
/// its own beginning goes, and passes the patterns that it may match.
#[derive(Debug)]
pub(crate) struct GlobIndex {
    /// The first one is the root.
    nodes: Vec<Node>,
}

/// A beginning that some pattern has.
#[derive(Debug, Default)]
struct Node {
    /// The rules with a pattern that asks for this beginning and no more: `C02*`.
    whole: Set,
    /// The patterns that ask for more behind this beginning, by rule.
    partly: Vec<(u8, Glob)>,
    /// The next bytes and their nodes, in the order of the bytes.
    next: Vec<(u8, usize)>,
}

impl Default for GlobIndex {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl GlobIndex {
    /// Puts in a pattern of a rule.
    pub(crate) fn insert(&mut self, rule: u8, glob: Glob) {
        let mut at = 0;
        for byte in glob.prefix() {
            at = match self.nodes[at].next.binary_search_by_key(byte, |(next, _)| *next) {
                Ok(place) => self.nodes[at].next[place].1,
                Err(place) => {
                    let new = self.nodes.len();
                    self.nodes.push(Node::default());
                    self.nodes[at].next.insert(place, (*byte, new));
                    new
                }
            };
        }
        match glob.asks_for_no_more() {
            true => self.nodes[at].whole.insert(rule),
            false => self.nodes[at].partly.push((rule, glob)),
        }
    }

    /// How many patterns there are that have to be compared one by one.
    pub(crate) fn costly(&self) -> usize {
        self.nodes.iter().map(|node| node.partly.len()).sum()
    }

    /// Adds the rules with a pattern that matches the text, as far as they are asked for.
    pub(crate) fn add_matching(&self, text: &[u8], asked: &Set, found: &mut Set) {
        let mut at = 0;
        let mut bytes = None;
        for depth in 0.. {
            let node = &self.nodes[at];
            found.add(&node.whole);
            for (rule, glob) in &node.partly {
                if asked.has(*rule) && !found.has(*rule) {
                    let bytes = *bytes.get_or_insert_with(|| bytes_of(text));
                    if glob.needs_only(bytes) && glob.matches_behind_prefix(&text[depth..]) {
                        found.insert(*rule);
                    }
                }
            }
            let Some(byte) = text.get(depth) else { return };
            match node.next.binary_search_by_key(byte, |(next, _)| *next) {
                Ok(place) => at = node.next[place].1,
                Err(_) => return,
            }
        }
    }
}

/// One bit for each byte that occurs in the text. Two bytes share a bit when one of them is not ASCII, so that a set
/// without a bit tells for certain that a byte does not occur.
pub(crate) fn bytes_of(text: &[u8]) -> u128 {
    text.iter().fold(0, |bytes, byte| bytes | 1 << (byte & 127))
}
