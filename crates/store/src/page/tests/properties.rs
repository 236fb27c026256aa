//! What holds for every page.

use adelie_model::{Actual, Counts, OpType, ProfileStatus};
use proptest::prelude::*;

use super::{Record, Shelf, Source, at, decide_anew, folded, record, serial, serials, uuid};

fn records() -> impl Strategy<Value = Vec<Record>> {
    let op = prop_oneof![
        Just(OpType::Added),
        Just(OpType::Modified),
        Just(OpType::Deleted),
        Just(OpType::Other("new".to_owned())),
    ];
    let status = prop_oneof![
        Just(None),
        Just(Some(ProfileStatus::Empty)),
        Just(Some(ProfileStatus::Assigned)),
        Just(Some(ProfileStatus::Pushed)),
        Just(Some(ProfileStatus::Removed)),
    ];
    let profile = prop_oneof![Just(None), Just(uuid("W")), Just(uuid("ELSE"))];
    let one = ("[A-C]", proptest::option::of(op), proptest::option::of(0_i64..5), status, profile).prop_map(
        |(text, op_type, seconds, profile_status, profile_uuid)| Record {
            actual: Actual { profile_status, profile_uuid, ..record(&text, None).actual },
            serial: serial(&text),
            op_type,
            op_date: seconds.map(at),
        },
    );
    proptest::collection::vec(one, 0..8)
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![Just(Source::Whole), Just(Source::Changes)]
}

proptest! {
    /// L4: folding leaves each serial once, loses none, and has nothing left to fold.
    #[test]
    fn folding_twice_is_folding_once(page in records()) {
        let folded = folded(&page);
        let order: Vec<_> = folded.iter().map(|record| record.serial.clone()).collect();
        prop_assert_eq!(order.iter().collect::<Vec<_>>(), serials(&page));
        prop_assert_eq!(super::folded(&folded), folded);
    }

    /// L11: the same page a second time changes nothing and says nothing, whatever is on it.
    #[test]
    fn the_same_page_twice_is_the_page_once(pages in proptest::collection::vec((source(), records()), 1..5)) {
        let mut shelf = Shelf::new();
        for (source, page) in pages {
            shelf.commit(source, &page);
            let again = shelf.commit(source, &page);
            prop_assert!(again.writes.is_empty(), "{:?}", again.writes);
            prop_assert!(again.events.is_empty(), "{:?}", again.events);
            let Counts { added, modified, removed, .. } = again.counts;
            prop_assert_eq!((added, modified, removed), (0, 0, 0));
        }
    }

    /// Every device is written or seen once, and there is an event for each that was counted.
    #[test]
    fn events_and_counts_agree(pages in proptest::collection::vec((source(), records()), 1..5)) {
        let mut shelf = Shelf::new();
        for (source, page) in pages {
            let plan = shelf.commit(source, &page);
            let mut touched: Vec<_> = plan.writes.iter().map(|d| &d.serial).chain(&plan.seen).collect();
            touched.sort();
            let distinct = touched.len();
            touched.dedup();
            prop_assert_eq!(touched.len(), distinct);
            let Counts { added, modified, removed, .. } = plan.counts;
            prop_assert_eq!(plan.events.len() as u64, added + modified + removed);
            let now = at(shelf.now);
            let all: Vec<_> = shelf.devices.values().cloned().collect();
            prop_assert!(decide_anew(all, &shelf.policy, now).is_empty(), "deciding again decides the same");
        }
    }
}
