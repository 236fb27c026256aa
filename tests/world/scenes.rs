//! Makes up what happens: the worlds that the test tries.

use adelie_model::DriftMode;
use adelie_simulator::{Arrival, Departure, SameCursor};
use proptest::prelude::*;

use crate::operation::{
    Apple, Case, Drift, Fate, Lie, Mishap, Move, Operation, Order, Path, Step, StoreFault, Then, Trouble,
};

/// Worlds in which up to so many scenes happen.
pub fn cases(length: usize) -> impl Strategy<Value = Case> {
    let first = prop_oneof![1 => Just(None), 4 => Just(Some(0)), 1 => Just(Some(1))];
    (
        [0u8..25, 0u8..12],
        3u8..9,
        prop::bool::weighted(0.8),
        [first.clone(), first],
        prop::bool::weighted(0.7),
        prop::collection::vec(scenes(), 1..length),
    )
        .prop_map(|(devices, page, own_changes, defaults, synced, scenes)| Case {
            devices,
            page,
            own_changes,
            defaults,
            synced,
            moves: scenes.into_iter().flatten().collect(),
        })
}

/// What happens in one go: a single thing, or things that mean something together only.
fn scenes() -> impl Strategy<Value = Vec<Move>> {
    prop_oneof![
        6 => moves().prop_map(|one| vec![one]),
        4 => (moves_at_apple(), syncs()).prop_map(|(portal, sync)| vec![portal, sync]),
        2 => (hard_moves(), new_wishes()).prop_map(|(hard, wish)| [vec![hard], wish].concat()),
        3 => takeovers(),
        1 => repeats(),
        1 => torn_pages(),
        1 => late_writes(),
        2 => many_wishes(),
    ]
}

/// A copy crashes somewhere around the storing of a page.
fn torn_pages() -> impl Strategy<Value = Vec<Move>> {
    (0u8..2, apple(), 0u8..3, 8u8..20, 0u8..12).prop_map(|(server, what, copy, skip, waits)| {
        let quiet = |what| Move { what, then: Then::Nothing };
        let order = Order::Sync { copy, full: false, accept_removals: false };
        vec![
            quiet(Operation::Apple { server, what }),
            quiet(Operation::Store { copy, skip, fault: StoreFault::Torn(waits) }),
            Move { what: Operation::Operator { server, what: order }, then: Then::Flow },
        ]
    })
}

/// What a copy writes arrives at the database only when another copy has taken over.
fn late_writes() -> impl Strategy<Value = Vec<Move>> {
    (0u8..2, apple(), 0u8..3, 1u8..3, 0u8..2, 25u32..90).prop_map(
        |(server, what, copy, next, skip, seconds)| {
            let quiet = |what| Move { what, then: Then::Nothing };
            let sync = |copy| {
                let order = Order::Sync { copy, full: false, accept_removals: false };
                Move { what: Operation::Operator { server, what: order }, then: Then::Flow }
            };
            vec![
                quiet(Operation::Apple { server, what }),
                quiet(Operation::Store { copy, skip, fault: StoreFault::Late }),
                sync(copy),
                quiet(Operation::Pass { seconds, wake: false }),
                sync((copy + next) % 3),
                Move { what: Operation::Resume(copy), then: Then::Flow },
            ]
        },
    )
}

/// Devices leave and come back, and Apple tells of it twice.
fn repeats() -> impl Strategy<Value = Vec<Move>> {
    (0u8..2, any::<u8>(), 1u8..6, 1u8..12, 0u8..3).prop_map(|(server, which, count, events, copy)| {
        let at_apple = |what| Move { what: Operation::Apple { server, what }, then: Then::Nothing };
        let order = Order::Sync { copy, full: false, accept_removals: false };
        let sync = Move { what: Operation::Operator { server, what: order }, then: Then::Flow };
        let again = Trouble { path: Path::Sync, skip: 0, times: 1, what: Mishap::Redeliver(events) };
        let mut moves = vec![at_apple(Apple::Leave { which, count, departure: Departure::Deleted })];
        for which in 0..count {
            moves.push(at_apple(Apple::Return { which, arrival: Arrival::Added }));
        }
        moves.extend([at_apple(Apple::Fault(again)), sync.clone(), sync]);
        moves
    })
}

/// An operator's sync at once, so that what was done at Apple is met with.
fn syncs() -> impl Strategy<Value = Move> {
    let order = (0u8..3, prop::bool::weighted(0.4), prop::bool::weighted(0.1))
        .prop_map(|(copy, full, accept_removals)| Order::Sync { copy, full, accept_removals });
    (0u8..2, order, thens())
        .prop_map(|(server, what, then)| Move { what: Operation::Operator { server, what }, then })
}

fn moves_at_apple() -> impl Strategy<Value = Move> {
    (0u8..2, apple())
        .prop_map(|(server, what)| Move { what: Operation::Apple { server, what }, then: Then::Nothing })
}

/// What makes assignments go wrong.
fn hard_moves() -> impl Strategy<Value = Move> {
    let which = any::<u8>;
    let what = prop_oneof![
        3 => (which(), 1u8..20, 1u8..48)
            .prop_map(|(which, count, hours)| Apple::Throttle { which, count, hours }),
        2 => (which(), 1u8..20, 1u8..5).prop_map(|(which, count, times)| Apple::Fail { which, count, times }),
        2 => (0u8..4).prop_map(|keep| Apple::Lie(Lie::LeaveOut { keep })),
        2 => mishaps().prop_map(|what| Apple::Fault(Trouble { path: Path::Assign, skip: 0, times: 1, what })),
    ];
    (0u8..2, what)
        .prop_map(|(server, what)| Move { what: Operation::Apple { server, what }, then: Then::Nothing })
}

/// Another default, and somebody who works on it.
fn new_wishes() -> impl Strategy<Value = Vec<Move>> {
    (0u8..2, 0u8..2, 0u8..3, thens()).prop_map(|(server, profile, copy, then)| {
        let what = Operation::Operator { server, what: Order::Default(Some(profile)) };
        vec![Move { what, then: Then::Nothing }, Move { what: Operation::Wake(copy), then }]
    })
}

/// A copy is stopped or killed in the middle of its work, and another one takes over.
fn takeovers() -> impl Strategy<Value = Vec<Move>> {
    let wished = (0u8..2, 0u8..2)
        .prop_map(|(server, profile)| Operation::Operator { server, what: Order::Default(Some(profile)) });
    let begun = prop_oneof![
        1 => syncs().prop_map(|sync| vec![sync.what]),
        1 => (wished, 0u8..3).prop_map(|(wish, copy)| vec![wish, Operation::Wake(copy)]),
    ];
    let fate = prop_oneof![Just(None), fates().prop_map(Some)];
    let until = prop_oneof![(0u8..50).prop_map(Then::Steps), (1u8..8).prop_map(Then::Answers)];
    (begun, until, fate, any::<bool>(), 0u8..3, 1u32..90, thens()).prop_map(
        |(begun, until, fate, kill, other, seconds, then)| {
            let copy = begun.iter().find_map(copy_in).unwrap_or_default();
            let quiet = |what| Move { what, then: Then::Nothing };
            let mut moves: Vec<Move> = begun.into_iter().map(quiet).collect();
            if let Some(last) = moves.last_mut() {
                last.then = until;
            }
            moves.extend(fate.map(|fate| quiet(Operation::Decide { nth: 0, fate })));
            moves.push(quiet(if kill { Operation::Crash(copy) } else { Operation::Stall(copy) }));
            moves.push(quiet(Operation::Pass { seconds, wake: false }));
            moves.push(Move { what: Operation::Wake(other), then });
            moves.push(Move { what: Operation::Resume(copy), then: Then::Flow });
            moves
        },
    )
}

/// The copy that is to work.
fn copy_in(operation: &Operation) -> Option<u8> {
    match operation {
        Operation::Wake(copy) | Operation::Operator { what: Order::Sync { copy, .. }, .. } => Some(*copy),
        _ => None,
    }
}

fn moves() -> impl Strategy<Value = Move> {
    (operations(), thens()).prop_map(|(what, then)| Move { what, then })
}

fn thens() -> impl Strategy<Value = Then> {
    prop_oneof![
        6 => Just(Then::Flow),
        2 => (1u8..6).prop_map(Then::Answers),
        2 => Just(Then::Rest),
        2 => (0u8..40).prop_map(Then::Steps),
        1 => Just(Then::Nothing),
    ]
}

fn operations() -> impl Strategy<Value = Operation> {
    let copy = || 0u8..3;
    let store_fault = prop_oneof![
        2 => Just(StoreFault::Before),
        2 => Just(StoreFault::After),
        2 => (0u8..12).prop_map(StoreFault::Torn),
    ];
    prop_oneof![
        8 => (seconds(), prop::bool::weighted(0.7))
            .prop_map(|(seconds, wake)| Operation::Pass { seconds, wake }),
        10 => copy().prop_map(Operation::Wake),
        5 => (0u8..4, fates()).prop_map(|(nth, fate)| Operation::Decide { nth, fate }),
        3 => copy().prop_map(Operation::Crash),
        1 => copy().prop_map(Operation::Quit),
        3 => copy().prop_map(Operation::Stall),
        3 => copy().prop_map(Operation::Resume),
        3 => (copy(), 0u8..12, store_fault)
            .prop_map(|(copy, skip, fault)| Operation::Store { copy, skip, fault }),
        12 => (0u8..2, apple()).prop_map(|(server, what)| Operation::Apple { server, what }),
        8 => (0u8..2, orders()).prop_map(|(server, what)| Operation::Operator { server, what }),
    ]
}

fn seconds() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 1u32..60, 3 => 60u32..3600, 2 => 3600u32..86_400]
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        2 => Just(Fate::Deliver),
        1 => Just(Fate::Refuse),
        2 => Just(Fate::LoseRequest),
        3 => Just(Fate::LoseAnswer),
        3 => Just(Fate::HoldAnswer),
    ]
}

fn arrivals() -> impl Strategy<Value = Arrival> {
    prop_oneof![3 => Just(Arrival::Added), 2 => Just(Arrival::Modified), 1 => Just(Arrival::Silent)]
}

fn departures() -> impl Strategy<Value = Departure> {
    prop_oneof![2 => Just(Departure::Deleted), 1 => Just(Departure::Silent)]
}

fn apple() -> impl Strategy<Value = Apple> {
    let which = any::<u8>;
    let drift = prop_oneof![Just(Drift::Empty), Just(Drift::Removed), Just(Drift::Foreign)];
    prop_oneof![
        4 => (1u8..6, arrivals()).prop_map(|(count, arrival)| Apple::Add { count, arrival }),
        4 => (which(), arrivals()).prop_map(|(which, arrival)| Apple::Return { which, arrival }),
        4 => (which(), 1u8..4, arrivals(), departures()).prop_map(|(which, count, arrival, departure)| {
            Apple::Move { which, count, arrival, departure }
        }),
        4 => (which(), 1u8..9, departures())
            .prop_map(|(which, count, departure)| Apple::Leave { which, count, departure }),
        4 => (which(), drift, any::<bool>())
            .prop_map(|(which, how, silent)| Apple::Drift { which, how, silent }),
        3 => (which(), prop::bool::weighted(0.2)).prop_map(|(which, silent)| Apple::Tag { which, silent }),
        2 => which().prop_map(|which| Apple::SwitchOn { which }),
        4 => (which(), 1u8..8, 1u8..48)
            .prop_map(|(which, count, hours)| Apple::Throttle { which, count, hours }),
        3 => (which(), 1u8..8, 1u8..5).prop_map(|(which, count, times)| Apple::Fail { which, count, times }),
        1 => (which(), 1u8..40).prop_map(|(which, hours)| Apple::Withhold { which, hours }),
        2 => any::<bool>().prop_map(|invalid| Apple::SpoilCursors { invalid }),
        1 => any::<bool>().prop_map(|forget| Apple::EndSessions { forget }),
        10 => troubles().prop_map(Apple::Fault),
        6 => lies().prop_map(Apple::Lie),
    ]
}

fn troubles() -> impl Strategy<Value = Trouble> {
    let path = prop_oneof![
        1 => Just(Path::Any),
        2 => Just(Path::Fetch),
        3 => Just(Path::Sync),
        1 => Just(Path::Details),
        4 => Just(Path::Assign),
        1 => Just(Path::Define),
    ];
    let lists = prop_oneof![Just(Path::Fetch), Just(Path::Sync), Just(Path::Sync)];
    let of_lists = prop_oneof![
        1 => Just(Mishap::SameCursor(SameCursor::WithDevices)),
        1 => Just(Mishap::SameCursor(SameCursor::WithoutDevices)),
        1 => (1u8..4).prop_map(Mishap::Repeat),
        4 => (1u8..9).prop_map(Mishap::Redeliver),
        2 => any::<bool>().prop_map(|invalid| Mishap::Cursor { invalid }),
    ];
    let pair = prop_oneof![(path, mishaps()), (lists, of_lists)];
    (pair, 0u8..3, 1u8..4).prop_map(|((path, what), skip, times)| Trouble { path, skip, times, what })
}

/// What any request can meet with.
fn mishaps() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        4 => (2u8..120).prop_map(|minutes| Mishap::Busy { minutes }),
        2 => any::<bool>().prop_map(|effect| Mishap::Failed { effect }),
        1 => Just(Mishap::Empty),
        1 => Just(Mishap::Malformed),
        2 => any::<bool>().prop_map(|effect| Mishap::Cut { effect }),
        1 => Just(Mishap::Truncated),
    ]
}

fn lies() -> impl Strategy<Value = Lie> {
    prop_oneof![
        2 => (0u8..6).prop_map(|keep| Lie::ShortListing { keep }),
        2 => Just(Lie::MoreToFollow),
        2 => (0u8..4).prop_map(|keep| Lie::LeaveOut { keep }),
        1 => (0u8..4).prop_map(|keep| Lie::Forget { keep }),
    ]
}

/// What is wanted beside the defaults: revisions step by step, a rule, and the tag that it looks at.
fn wishes() -> impl Strategy<Value = Order> {
    let percent = || prop_oneof![1 => 1u8..99, 1 => Just(100)];
    let step = prop_oneof![
        2 => percent().prop_map(Step::Percent),
        1 => Just(Step::Pause),
        1 => Just(Step::Continue),
        1 => Just(Step::Abort),
    ];
    prop_oneof![
        3 => (0u8..2, percent()).prop_map(|(profile, percent)| Order::Revise { profile, percent }),
        3 => (0u8..2, step).prop_map(|(profile, step)| Order::RollOut { profile, step }),
        2 => (0u8..2, any::<bool>()).prop_map(|(profile, limited)| Order::Rule { profile, limited }),
        3 => (any::<u8>(), 1u8..9, prop::bool::weighted(0.7))
            .prop_map(|(which, count, on)| Order::Mark { which, count, on }),
    ]
}

/// Other wishes of every kind, one after the other, with somebody who works on them.
fn many_wishes() -> impl Strategy<Value = Vec<Move>> {
    let wish = (0u8..2, wishes(), thens())
        .prop_map(|(server, what, then)| Move { what: Operation::Operator { server, what }, then });
    (prop::collection::vec(wish, 2..5), 0u8..3, thens()).prop_map(|(mut moves, copy, then)| {
        moves.push(Move { what: Operation::Wake(copy), then });
        moves
    })
}

fn orders() -> impl Strategy<Value = Order> {
    let which = any::<u8>;
    let default = prop_oneof![1 => Just(None), 3 => Just(Some(0)), 3 => Just(Some(1))];
    let drift = prop_oneof![Just(DriftMode::Repair), Just(DriftMode::Report)];
    prop_oneof![
        4 => default.prop_map(Order::Default),
        2 => which().prop_map(|which| Order::Hold { which }),
        2 => which().prop_map(|which| Order::Unhold { which }),
        3 => (which(), 1u8..9, any::<bool>())
            .prop_map(|(which, count, force)| Order::Retry { which, count, force }),
        1 => which().prop_map(|which| Order::Archive { which }),
        5 => (0u8..3, any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(copy, full, accept_removals)| Order::Sync { copy, full, accept_removals }),
        2 => (0u8..3, which(), any::<bool>()).prop_map(|(copy, which, add)| Order::Refresh { copy, which, add }),
        1 => Just(Order::Pause),
        1 => Just(Order::Resume),
        1 => drift.prop_map(Order::Drift),
        1 => Just(Order::RetryProfiles),
        3 => wishes(),
    ]
}
