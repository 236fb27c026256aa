use crate::facts::Facts;
use crate::pattern::Form;
use crate::words::Words;
use crate::{Condition, Field};

/// A condition made ready for many devices, and for being compared with other conditions.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    field: Field,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    /// The device must not have the fact.
    Absent,
    /// First and last day of each alternative.
    Days(Vec<(i32, i32)>),
    Words(Words),
}

impl Matcher {
    /// Makes a condition ready.
    pub(crate) fn new(condition: &Condition) -> Self {
        let field = condition.field();
        let days = |pattern: &crate::Pattern| match pattern.0 {
            Form::Days(days) => Some(days.bounds()),
            Form::Exact(_) | Form::Glob(_) => None,
        };
        let test = match field {
            _ if condition.patterns().is_empty() => Test::Absent,
            Field::AssignedDate => Test::Days(condition.patterns().iter().filter_map(days).collect()),
            _ => Test::Words(Words::new(condition.patterns())),
        };
        Self { field, test }
    }

    /// The condition that the field is this one text.
    pub(crate) fn exactly(field: Field, text: &str) -> Self {
        Self { field, test: Test::Words(Words::exactly(text)) }
    }

    /// Whether it holds for the device.
    pub(crate) fn holds(&self, facts: &mut Facts<'_>) -> bool {
        match &self.test {
            Test::Words(words) => {
                let mut holds = false;
                facts.each(self.field, |text| holds |= words.matches(text));
                holds
            }
            Test::Absent if self.field == Field::AssignedDate => facts.day().is_none(),
            Test::Absent => !facts.each(self.field, |_| {}),
            Test::Days(days) => facts
                .day()
                .is_some_and(|day| days.iter().any(|(first, last)| (*first..=*last).contains(&day))),
        }
    }

    /// Whether it holds for every device there can be. It never says yes wrongly.
    pub(crate) fn always_holds(&self) -> bool {
        self.field.is_always_known() && matches!(&self.test, Test::Words(words) if words.take_all())
    }

    /// Whether it holds for every device for which `other` holds. It never says yes wrongly.
    pub(crate) fn follows_from(&self, other: &Self) -> bool {
        if self.always_holds() {
            return true;
        }
        self.field == other.field
            && match (&self.test, &other.test) {
                (Test::Absent, Test::Absent) => true,
                (Test::Words(wide), Test::Words(narrow)) => wide.cover(narrow),
                (Test::Days(wide), Test::Days(narrow)) => narrow
                    .iter()
                    .all(|narrow| wide.iter().any(|wide| wide.0 <= narrow.0 && narrow.1 <= wide.1)),
                _ => false,
            }
    }

    /// Whether it holds for no device for which `other` holds. It never says yes wrongly.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        if self.field != other.field {
            return false;
        }
        match (&self.test, &other.test) {
            (Test::Absent, Test::Absent) => false,
            (Test::Absent, _) | (_, Test::Absent) => true,
            // A device can have a tag for each of the conditions.
            _ if self.field == Field::Tag => false,
            (Test::Words(one), Test::Words(another)) => one.are_apart_from(another),
            (Test::Days(one), Test::Days(another)) => {
                one.iter().all(|one| another.iter().all(|another| one.1 < another.0 || another.1 < one.0))
            }
            _ => false,
        }
    }

    /// Whether it holds for no device at all. It never says yes wrongly.
    pub(crate) fn never_holds(&self) -> bool {
        self.field.is_always_known() && matches!(self.test, Test::Absent)
    }

    /// Whether it lists values of which none passes all of the others on the same field. It never says yes wrongly.
    pub(crate) fn has_no_value_for(&self, others: &[&Self]) -> bool {
        let Test::Words(words) = &self.test else { return false };
        if self.field == Field::Tag {
            return false;
        }
        let passes = |text: &[u8]| {
            others.iter().filter(|other| other.field == self.field).all(|other| match &other.test {
                Test::Words(words) => words.matches(text),
                Test::Absent | Test::Days(_) => true,
            })
        };
        words.listed().is_some_and(|mut texts| !texts.any(passes))
    }
}
