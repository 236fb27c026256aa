use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Field, FieldError, Pattern, PatternError};

/// What a device must be like for a [`Rule`](crate::Rule) to match it: a [`Field`] and patterns that are alternatives.
///
/// Written `FIELD=PATTERN[,PATTERN…]`, like `serial=C02*,DMP*` or `assigned-date=>=2026-01-01`; in JSON the same
/// text. It holds when the device has the fact and one pattern takes it; for tags, when one pattern takes one of them.
/// `FIELD=` without any pattern holds when the device does not have the fact. See [`Pattern`] for what can stand there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Condition {
    field: Field,
    // None: the device must not have the fact.
    patterns: Vec<Pattern>,
}

/// Why a condition was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// It has no `=`.
    #[error(
        "{0:?} is no condition: write FIELD=PATTERN[,PATTERN…], like serial=C02*,DMP*, or FIELD= for devices without \
         the fact"
    )]
    Form(String),
    /// What stands before the `=` is no field.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// One of the patterns is none.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A list of patterns is empty, which must not turn by itself into "the device does not have the fact".
    #[error("the list of patterns for {0} is empty: give at least one, or remove the condition")]
    NoPattern(Field),
}

impl Condition {
    /// The condition that the field has one of these.
    ///
    /// # Errors
    ///
    /// [`ConditionError::NoPattern`] when there are none.
    pub fn one_of(field: Field, patterns: impl IntoIterator<Item = Pattern>) -> Result<Self, ConditionError> {
        let patterns: Vec<Pattern> = patterns.into_iter().collect();
        match patterns.is_empty() {
            true => Err(ConditionError::NoPattern(field)),
            false => Ok(Self { field, patterns }),
        }
    }

    /// The condition that the field has one of these values, each taken as it is: `*` and `?` are characters like
    /// others. For lists that come from a file.
    ///
    /// # Errors
    ///
    /// When there are none, or one is no value of this field.
    pub fn values<T: AsRef<str>>(
        field: Field,
        values: impl IntoIterator<Item = T>,
    ) -> Result<Self, ConditionError> {
        let patterns: Result<Vec<_>, _> =
            values.into_iter().map(|value| Pattern::value(field, value.as_ref())).collect();
        Self::one_of(field, patterns?)
    }

    /// The condition that the device does not have the fact.
    #[must_use]
    pub fn absent(field: Field) -> Self {
        Self { field, patterns: Vec::new() }
    }

    /// What it looks at.
    #[must_use]
    pub fn field(&self) -> Field {
        self.field
    }

    /// The alternatives, as they were given; none when the device must not have the fact.
    #[must_use]
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.field)?;
        for (at, pattern) in self.patterns.iter().enumerate() {
            write!(f, "{}{pattern}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let (field, patterns) = text.split_once('=').ok_or_else(|| ConditionError::Form(text.to_owned()))?;
        let field: Field = field.parse()?;
        if patterns.trim().is_empty() {
            return Ok(Self::absent(field));
        }
        let patterns: Result<Vec<_>, _> =
            alternatives(patterns).map(|pattern| Pattern::parse(field, pattern)).collect();
        Self::one_of(field, patterns?)
    }
}

/// The text between the commas that have no backslash before them.
fn alternatives(text: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |c| {
        let ends = c == ',' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
}

impl TryFrom<String> for Condition {
    type Error = ConditionError;

    fn try_from(text: String) -> Result<Self, ConditionError> {
        text.parse()
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> Self {
        condition.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_condition_is_printed_as_it_can_be_written() {
        for (written, printed) in [
            ("serial=C02*,DMP*", "serial=C02*,DMP*"),
            (" Serial = c02x , *y ", "serial=c02x,*y"),
            ("asset-tag=", "asset-tag="),
            ("tag= ", "tag="),
            ("model=a\\,b,c\\\\,d", "model=a\\,b,c\\\\,d"),
            (
                "assigned-date=>=2026-01-01, 2025-01-01..2025-02-01",
                "assigned-date=>=2026-01-01,2025-01-01..2025-02-01",
            ),
            ("description=a=b", "description=a=b"),
            ("assigned-by=-1", "assigned-by=-1"),
        ] {
            let condition: Condition = written.parse().expect(written);
            assert_eq!(condition.to_string(), printed);
            assert_eq!(printed.parse(), Ok(condition.clone()));
            let json = serde_json::to_string(&condition).expect("a text");
            assert_eq!(serde_json::from_str::<Condition>(&json).expect("the same"), condition);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (written, says) in [
            ("serial", "\"serial\" is no condition: write FIELD=PATTERN[,PATTERN…]"),
            ("seral=C02", "(nearest: serial)"),
            ("serial=C02,,C03", "the pattern \"\" for serial is empty"),
            ("serial=C02,", "the pattern \"\" for serial is empty"),
            ("=x", "\"\" names no field"),
        ] {
            let error = written.parse::<Condition>().expect_err(written);
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn a_list_without_members_is_not_taken_for_the_absence_of_the_fact() {
        assert_eq!(
            Condition::values(Field::AssetTag, Vec::<String>::new()),
            Err(ConditionError::NoPattern(Field::AssetTag))
        );
    }

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[aB,*?!\\\\ =é.<>]{0,8}",
            "\\PC{0,8}",
            "[<>=.]{0,2}20[0-9]{2}-0[0-9]-[0-3][0-9](\\.\\.2099-01-01)?"
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn whatever_is_read_or_made_of_values_is_read_back(
            field in prop::sample::select(Field::ALL.to_vec()),
            text in any_text(),
            values in prop::collection::vec(any_text(), 1..4),
        ) {
            if let Ok(condition) = format!("{field}={text}").parse::<Condition>() {
                prop_assert_eq!(condition.to_string().parse(), Ok(condition));
            }
            if let Ok(condition) = Condition::values(field, &values) {
                prop_assert_eq!(condition.patterns().len(), values.len());
                prop_assert_eq!(condition.to_string().parse(), Ok(condition.clone()));
            }
        }
    }
}
