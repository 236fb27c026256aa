use std::fmt;

use crate::{Condition, Pattern};

/// A list may have 100,000 patterns; people and logs get the first few.
pub(crate) const SHOWN: usize = 8;

/// Patterns for people: `F*, DMP*`, and how many there are besides.
pub(crate) fn listing(shown: &[String], more: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, pattern) in shown.iter().enumerate() {
        write!(f, "{}{pattern}", if at == 0 { "" } else { ", " })?;
    }
    match more {
        0 => Ok(()),
        more => write!(f, " and {} more", grouped(more)),
    }
}

/// The first few patterns, and how many there are besides.
pub(crate) fn first_few(patterns: &[Pattern]) -> (Vec<String>, usize) {
    let shown = patterns.iter().take(SHOWN).map(ToString::to_string).collect();
    (shown, patterns.len().saturating_sub(SHOWN))
}

/// A condition in a sentence: as it is written, as far as it is not too long.
pub(crate) fn brief(condition: &Condition) -> String {
    let (field, patterns) = (condition.field(), condition.patterns());
    if patterns.len() <= SHOWN {
        return format!("`{condition}`");
    }
    let (shown, more) = first_few(patterns);
    format!("`{field}={},…` ({} more)", shown.join(","), grouped(more))
}

/// The number with a comma after each group of three digits.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Field;

    #[test]
    fn long_lists_are_cut_and_say_so() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (99_998, "99,998"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), text);
        }
        let serials = (0..100_000).map(|at| format!("F{at:06}"));
        let list = Condition::values(Field::Serial, serials).expect("serial numbers");
        assert_eq!(
            brief(&list),
            "`serial=F000000,F000001,F000002,F000003,F000004,F000005,F000006,F000007,…` (99,992 more)"
        );
        assert_eq!(brief(&"os=iOS,a\\,b".parse().expect("a condition")), "`os=iOS,a\\,b`");
    }
}
