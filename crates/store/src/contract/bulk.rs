//! Changes of many devices, and how they are undone.

use super::world::{World, at, operator, serials};
use super::{Case, Fixture};
use crate::{NewBulkChange, Reverse, Undo};

/// The last change is undone, then the one before it, and each once.
pub async fn the_last_change_is_undone_first(fixture: &dyn Fixture) -> Case {
    let world = World::new(fixture).await?;
    assert_eq!(world.store.last_bulk().await?, None);
    let undo = |serials, by| Undo { server: world.server, serials, by };
    let change = |what: &str| NewBulkChange {
        what: what.to_owned(),
        undo: vec![
            undo(
                serials(["A", "B"]),
                Reverse::Tag {
                    add: vec!["old".parse().expect("a good tag")],
                    remove: vec!["a, b".parse().expect("a good tag"), "ü".parse().expect("a good tag")],
                },
            ),
            undo(serials(["C"]), Reverse::Hold { reason: "in \"repair\"".to_owned() }),
            undo(Vec::new(), Reverse::Unhold),
        ],
    };
    let first = world.store.note_bulk(&change("first"), &operator(1)).await?;
    let second = world.store.note_bulk(&change("second"), &operator(2)).await?;
    assert!(second > first);
    let last = world.store.last_bulk().await?.expect("the second");
    assert_eq!((last.id, last.at, last.by.as_str()), (second, at(2), "kim"));
    assert_eq!((last.what, last.undo), ("second".to_owned(), change("second").undo));
    world.store.set_undone(second, &operator(3)).await?;
    assert_eq!(world.store.last_bulk().await?.map(|change| change.id), Some(first));
    world.store.set_undone(first, &operator(4)).await?;
    assert_eq!(world.store.last_bulk().await?, None);
    for number in 0..105 {
        world.store.note_bulk(&change(&number.to_string()), &operator(5)).await?;
    }
    let mut kept = 0;
    while let Some(change) = world.store.last_bulk().await? {
        world.store.set_undone(change.id, &operator(6)).await?;
        kept += 1;
    }
    assert_eq!(kept, 100, "old ones are forgotten");
    Ok(())
}
