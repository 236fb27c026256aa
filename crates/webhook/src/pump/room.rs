use adelie_model::WebhookId;

/// How much an endpoint has to do already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// The endpoint.
    pub(super) webhook: WebhookId,
    /// How many posts to it may be under way at once.
    pub(super) concurrency: usize,
    /// Deliveries of it that are claimed and not posted yet.
    pub(super) held: usize,
    /// Whether its last attempts have failed.
    pub(super) failing: bool,
}

/// How many deliveries to claim for each endpoint that has something due.
///
/// - An endpoint that works gets twice what it may have under way, so that the next posts are there when one ends.
/// - Endpoints that fail get no more than they may have under way, and all of them together half of what we do at once:
///   however many receivers hang, those that do not have the other half for themselves.
/// - When there is not enough for all, each gets the same; `turn` says who gets what is left over.
///
/// `open` counts all claims that are not settled: as long as the store takes no results, nothing more is claimed.
pub(super) fn room(loads: &[Load], open: usize, at_once: usize, turn: usize) -> Vec<(WebhookId, u32)> {
    let failing_held: usize = loads.iter().filter(|load| load.failing).map(|load| load.held).sum();
    let mut left_failing = (at_once / 2).max(1).saturating_sub(failing_held);
    let mut left = (2 * at_once).saturating_sub(open);
    let mut wishes: Vec<Load> = loads.iter().copied().filter(|load| free(load) > 0).collect();
    if !wishes.is_empty() {
        let start = turn % wishes.len();
        wishes.rotate_left(start);
    }
    // Those who want least first: what they leave is shared by the others.
    wishes.sort_by_key(free);
    let mut room = Vec::with_capacity(wishes.len());
    for (place, load) in wishes.iter().enumerate() {
        let others = wishes.len() - place;
        let share = left.div_ceil(others);
        let mut given = free(load).min(share).min(left);
        if load.failing {
            given = given.min(left_failing);
            left_failing -= given;
        }
        left -= given;
        if let Ok(given @ 1..) = u32::try_from(given) {
            room.push((load.webhook, given));
        }
    }
    room
}

fn free(load: &Load) -> usize {
    if load.failing {
        return load.concurrency.saturating_sub(load.held);
    }
    // Not before its line is half empty, so that a claim brings several.
    if load.held > load.concurrency { 0 } else { 2 * load.concurrency - load.held }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn load(webhook: i64, concurrency: usize, held: usize, failing: bool) -> Load {
        Load { webhook: WebhookId(webhook), concurrency, held, failing }
    }

    fn given(loads: &[Load], open: usize, at_once: usize, turn: usize) -> Vec<(i64, u32)> {
        let mut room: Vec<_> =
            room(loads, open, at_once, turn).into_iter().map(|(id, room)| (id.0, room)).collect();
        room.sort_unstable();
        room
    }

    #[test]
    fn each_gets_what_it_can_use() {
        let loads =
            [load(1, 10, 0, false), load(2, 10, 10, false), load(3, 10, 11, false), load(4, 10, 3, true)];
        assert_eq!(given(&loads, 24, 512, 0), [(1, 20), (2, 10), (4, 7)]);
        assert!(given(&[], 0, 512, 7).is_empty());
    }

    #[test]
    fn what_is_scarce_is_shared() {
        let loads = [load(1, 100, 0, false), load(2, 100, 0, false), load(3, 1, 0, false)];
        assert_eq!(given(&loads, 0, 10, 0), [(1, 9), (2, 9), (3, 2)]);
        // One that is left goes to another at each turn.
        assert_eq!(given(&loads[..2], 19, 10, 0), [(1, 1)]);
        assert_eq!(given(&loads[..2], 19, 10, 1), [(2, 1)]);
        assert!(given(&loads, 20, 10, 0).is_empty());
    }

    #[test]
    fn those_that_fail_leave_half_to_the_others() {
        let mut loads: Vec<Load> = (1..=100).map(|id| load(id, 10, 0, true)).collect();
        let all: u32 = given(&loads, 0, 512, 0).iter().map(|(_, room)| room).sum();
        assert_eq!(all, 256);
        for load in loads.iter_mut().take(26) {
            load.held = 10;
        }
        loads.push(load(101, 10, 0, false));
        assert_eq!(given(&loads, 260, 512, 0), [(101, 20)]);
    }

    proptest! {
        #[test]
        fn never_more_than_there_is(
            loads in prop::collection::vec((1..200_usize, 0..300_usize, any::<bool>()), 0..40),
            open in 0..2000_usize, at_once in 1..600_usize, turn in any::<usize>(),
        ) {
            let loads: Vec<Load> = (0..).zip(loads).map(|(id, (c, h, f))| load(id, c, h, f)).collect();
            let room = given(&loads, open, at_once, turn);
            let total: usize = room.iter().map(|(_, room)| *room as usize).sum();
            prop_assert!(total <= (2 * at_once).saturating_sub(open));
            for (id, room) in &room {
                let load = loads[usize::try_from(*id).expect("small")];
                prop_assert!(load.held + *room as usize <= 2 * load.concurrency);
            }
            // As long as there is something, somebody who wants it gets it.
            let wanted = loads.iter().any(|load| !load.failing && free(load) > 0);
            prop_assert!(!wanted || open >= 2 * at_once || !room.is_empty());
        }
    }
}
