use serde_json::Value;

use super::NoteKind;
use super::input::Input;
use crate::accounts::Template;

/// Reads a name with the variables of another system. `table` has theirs, ours, and whether the two mean the same;
/// where they do not, or where a variable is unknown, it is noted.
pub(super) fn name(input: &mut Input, key: &str, text: &str, table: &[(&str, &str, bool)]) -> Template {
    let mut ours = text.to_owned();
    let mut unlike = Vec::new();
    for (theirs, word, same) in table {
        if ours.contains(theirs) {
            ours = ours.replace(theirs, word);
            if !same {
                unlike.push(format!("{theirs} became {word}"));
            }
        }
    }
    if !unlike.is_empty() {
        let reason = format!("{}, which is the nearest; see whether it fits", unlike.join(", "));
        input.note(NoteKind::Changed, key, Value::from(text), &reason);
    }
    Template::parse(&ours).unwrap_or_else(|errors| {
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        let reason = format!("{}; the name is taken over as it is, and must be corrected", errors.join(", "));
        input.note(NoteKind::Unknown, key, Value::from(text), &reason);
        Template::literal(ours)
    })
}
