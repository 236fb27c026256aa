use adelie_model::{OpType, Timestamp};

use super::Record;

/// The bit of a digest that says that a deletion of the same second has been folded in, too.
const DELETION: i64 = 1;

/// Tells an event from others with the same `op_date`, which has whole seconds; `None` when it has none. `deletion`:
/// whether a deletion of that second is known by now. Digests are compared with those of the same program only in
/// effect: one that another version computed differently makes the event look new, which is harmless.
pub(super) fn digest(record: &Record, deletion: bool) -> Option<i64> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let Record { serial: _, actual, op_type, op_date } = record;
    let date: Timestamp = (*op_date)?;
    let mut hasher = DefaultHasher::new();
    (op_type.as_ref().map(OpType::as_str), date).hash(&mut hasher);
    (&actual.model, &actual.description, &actual.color, &actual.asset_tag, &actual.os).hash(&mut hasher);
    (&actual.device_family, &actual.profile_status, &actual.profile_uuid).hash(&mut hasher);
    (actual.profile_assign_time, actual.profile_push_time, actual.device_assigned_date).hash(&mut hasher);
    (&actual.device_assigned_by, actual.mdm_migration_deadline).hash(&mut hasher);
    for (name, value) in actual.extra.iter() {
        (name, value.to_string()).hash(&mut hasher);
    }
    let event = hasher.finish().cast_signed() & !DELETION;
    Some(if deletion { event | DELETION } else { event })
}

/// Whether two digests are of the same event.
pub(super) fn is_same(digest: Option<i64>, known: Option<i64>) -> bool {
    digest.zip(known).is_some_and(|(digest, known)| (digest ^ known) & !DELETION == 0)
}

/// Whether a deletion in the second of the digest's event is known.
pub(super) fn knows_deletion(digest: Option<i64>) -> bool {
    digest.is_some_and(|digest| digest & DELETION != 0)
}
