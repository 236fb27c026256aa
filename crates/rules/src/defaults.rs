use std::borrow::Cow;

use adelie_model::{DeviceFamily, RevisionId};

use crate::Scope;

/// What a device is to have, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The revision that it is to have; `None` when nothing gives it one.
    pub wanted: Option<RevisionId>,
    /// Why, for people: which default has decided, or which command gives the device a default.
    ///
    /// Borrowed for every family that Adelie knows, so that deciding for a million devices allocates nothing.
    pub because: Cow<'static, str>,
}

/// The defaults of one MDM server: at most one revision per [`Scope`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    // A handful of entries at most: walking them is faster than hashing a family.
    families: Vec<(DeviceFamily, RevisionId)>,
    any: Option<RevisionId>,
}

impl Defaults {
    /// The defaults with these entries. When a scope is given twice, the later one holds.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = (Scope, RevisionId)>) -> Self {
        let mut defaults = Self::default();
        for (scope, revision) in entries {
            match scope {
                Scope::Any => defaults.any = Some(revision),
                Scope::Family(family) => {
                    defaults.families.retain(|(known, _)| *known != family);
                    defaults.families.push((family, revision));
                }
            }
        }
        defaults
    }

    /// What a device of this family is to have. The default of its own family wins over the one for any
    /// family; a device of which Apple names no family gets the latter.
    #[must_use]
    pub fn decide(&self, family: Option<&DeviceFamily>) -> Decision {
        let own = family.and_then(|family| {
            let entry = self.families.iter().find(|(known, _)| known == family)?;
            Some(Decision { wanted: Some(entry.1), because: default_for(family) })
        });
        own.unwrap_or_else(|| match self.any {
            Some(_) => Decision { wanted: self.any, because: "default for any family".into() },
            None => Decision { wanted: None, because: no_default_for(family) },
        })
    }
}

fn default_for(family: &DeviceFamily) -> Cow<'static, str> {
    match family {
        DeviceFamily::Mac => "default for mac".into(),
        DeviceFamily::IPhone => "default for iphone".into(),
        DeviceFamily::IPad => "default for ipad".into(),
        DeviceFamily::IPod => "default for ipod".into(),
        DeviceFamily::AppleTv => "default for appletv".into(),
        DeviceFamily::Vision => "default for vision".into(),
        DeviceFamily::Other(word) => format!("default for {word}").into(),
    }
}

fn no_default_for(family: Option<&DeviceFamily>) -> Cow<'static, str> {
    /// The texts differ in the family and its word only; `concat!` keeps them static.
    macro_rules! text {
        ($family:literal, $word:literal) => {
            concat!(
                "no default for ",
                $family,
                ": run `adelie server set NAME --default ",
                $word,
                "=PROFILE`"
            )
        };
    }
    let text = match family {
        Some(DeviceFamily::Mac) => text!("Mac", "mac"),
        Some(DeviceFamily::IPhone) => text!("iPhone", "iphone"),
        Some(DeviceFamily::IPad) => text!("iPad", "ipad"),
        Some(DeviceFamily::IPod) => text!("iPod", "ipod"),
        Some(DeviceFamily::AppleTv) => text!("Apple TV", "appletv"),
        Some(DeviceFamily::Vision) => text!("Apple Vision", "vision"),
        Some(DeviceFamily::Other(_)) => text!("a device family that is new to Adelie", "any"),
        None => text!("a device of which Apple names no family", "any"),
    };
    text.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_own_family_wins_over_any() {
        let defaults = Defaults::new([
            (Scope::Family(DeviceFamily::Mac), RevisionId(7)),
            (Scope::Any, RevisionId(1)),
            (Scope::Family(DeviceFamily::IPad), RevisionId(3)),
        ]);
        let mac = defaults.decide(Some(&DeviceFamily::Mac));
        assert_eq!(mac, Decision { wanted: Some(RevisionId(7)), because: "default for mac".into() });
        let phone = defaults.decide(Some(&DeviceFamily::IPhone));
        assert_eq!(phone, Decision { wanted: Some(RevisionId(1)), because: "default for any family".into() });
        assert_eq!(defaults.decide(Some(&"Watch".into())), phone, "a new family falls to any");
        assert_eq!(defaults.decide(None), phone, "so does a device without a family");
    }

    #[test]
    fn without_a_default_the_reason_says_which_command_gives_one() {
        let none = Defaults::default();
        let mac = none.decide(Some(&DeviceFamily::Mac));
        assert_eq!(mac.wanted, None);
        assert_eq!(mac.because, "no default for Mac: run `adelie server set NAME --default mac=PROFILE`");
        for family in [None, Some(DeviceFamily::Other("Watch".into()))] {
            let decision = none.decide(family.as_ref());
            assert_eq!(decision.wanted, None);
            assert!(decision.because.ends_with("--default any=PROFILE`"), "{}", decision.because);
        }
    }

    #[test]
    fn every_word_in_a_reason_is_a_scope_that_the_command_line_takes() {
        for family in DeviceFamily::KNOWN {
            let scope = Scope::Family(family.clone());
            assert_eq!(default_for(&family), format!("default for {scope}"));
            assert!(no_default_for(Some(&family)).contains(&format!("--default {scope}=PROFILE")));
        }
    }

    fn family() -> impl Strategy<Value = DeviceFamily> {
        prop_oneof![
            4 => prop::sample::select(DeviceFamily::KNOWN.to_vec()),
            1 => "[A-Z][a-z]{2}".prop_map(DeviceFamily::from),
        ]
    }

    fn scope() -> impl Strategy<Value = Scope> {
        prop_oneof![1 => Just(Scope::Any), 4 => family().prop_map(Scope::Family)]
    }

    proptest! {
        /// Against the plainest way to say it: the last entry of the family, else the last one for any.
        #[test]
        fn the_last_entry_of_the_most_specific_scope_decides(
            entries in prop::collection::vec((scope(), (0_i64..50).prop_map(RevisionId)), 0..12),
            asked in prop::option::of(family()),
        ) {
            let last = |scope: &Scope| entries.iter().rev().find(|(s, _)| s == scope).map(|(_, r)| *r);
            let own = asked.clone().and_then(|family| last(&Scope::Family(family)));
            let expected = own.or_else(|| last(&Scope::Any));

            let decision = Defaults::new(entries.clone()).decide(asked.as_ref());
            prop_assert_eq!(decision.wanted, expected);
            prop_assert_eq!(decision.because.starts_with("no default"), expected.is_none());
            let allocates = matches!(decision.because, Cow::Owned(_));
            prop_assert!(!allocates || matches!(asked, Some(DeviceFamily::Other(_))));
        }
    }
}
