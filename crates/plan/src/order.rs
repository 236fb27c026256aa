//! The order that rules are to have, and the fewest moves that lead to it.

/// The wanted names in their order, and between them the names that nobody speaks of, each behind the one it stands behind
/// now.
pub(crate) fn target<'n>(now: &[&'n str], wanted: &[&'n str], keep: bool) -> Vec<&'n str> {
    let mut target: Vec<&str> = wanted.to_vec();
    if !keep {
        return target;
    }
    let mut before = None;
    for name in now {
        if !wanted.contains(name) {
            let at = before.and_then(|before| target.iter().position(|other| *other == before));
            target.insert(at.map_or(0, |at| at + 1), name);
        }
        before = Some(*name);
    }
    target
}

/// Which of these names can stay where they are, so that all others are moved around them: a longest part of `target`
/// that is in the same order in `now`.
pub(crate) fn staying<'n>(now: &[&'n str], target: &[&'n str]) -> Vec<&'n str> {
    let places: Vec<(usize, &str)> =
        target.iter().filter_map(|name| Some((now.iter().position(|other| other == name)?, *name))).collect();
    // The longest increasing subsequence: `ends[n]` is where the best one of length n + 1 ends.
    let mut ends: Vec<usize> = Vec::new();
    let mut previous: Vec<Option<usize>> = vec![None; places.len()];
    for (at, (place, _)) in places.iter().enumerate() {
        let length = ends.partition_point(|end| places[*end].0 < *place);
        previous[at] = length.checked_sub(1).map(|shorter| ends[shorter]);
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut staying = Vec::with_capacity(ends.len());
    let mut at = ends.last().copied();
    while let Some(place) = at {
        staying.push(places[place].1);
        at = previous[place];
    }
    staying.reverse();
    staying
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_speaks_of_stays_behind_its_neighbour() {
        let now = ["a", "x", "b", "y", "z"];
        assert_eq!(target(&now, &["b", "a", "new"], true), ["b", "y", "z", "a", "x", "new"]);
        assert_eq!(target(&["x", "a"], &["a"], true), ["x", "a"]);
        assert_eq!(target(&now, &["b", "a"], false), ["b", "a"]);
        assert_eq!(target(&[], &["b"], true), ["b"]);
    }

    #[test]
    fn as_many_as_can_be_stay() {
        assert_eq!(staying(&["a", "b", "c"], &["c", "a", "b"]), ["a", "b"]);
        assert_eq!(staying(&["a", "b", "c", "d"], &["a", "b", "c", "d"]), ["a", "b", "c", "d"]);
        assert_eq!(staying(&["a", "b", "c"], &["c", "new", "b", "a"]).len(), 1);
        assert_eq!(staying(&["a"], &["new"]), [""; 0]);
    }
}
