//! The keys of our form of a profile file, and how each becomes Apple's. One table for reading, writing, checking and
//! the JSON Schema.

use crate::keys;

/// How a file names its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With our keys, which begin with `name`.
    Ours,
    /// With Apple's own keys, which begin with `profile_name`.
    Apple,
}

/// What stands under a key of our form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The same value that Apple gets under its key.
    Apple(&'static str),
    /// The opposite of Apple's `is_mdm_removable`.
    Locked,
    /// How the user signs in.
    Affinity,
    /// Apple's `configuration_web_url`, when users sign in on a page.
    WebUrl,
    /// A text that stays here.
    Description,
    /// Platforms with versions.
    Platforms,
    /// Certificates, also as PEM and as files, for the key of Apple's.
    Certificates(&'static str),
    /// Panes of Setup Assistant.
    Panes,
    /// Local accounts of a Mac.
    Accounts,
    /// Apple's keys that our form does not have.
    Extra,
}

/// A key of our form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// What it is for, in the words that an editor shows.
    pub(crate) about: &'static str,
}

const fn key(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, about }
}

/// By this key an editor finds the schema of a JSON file. It is passed over.
pub(crate) const EDITOR_KEY: &str = "$schema";

/// All keys, in the order in which a file is written.
pub(crate) const KEYS: &[Key] = &[
    key(
        "name",
        Shape::Apple("profile_name"),
        "The name that the profile has at Apple; its users do not see it.",
    ),
    key("description", Shape::Description, "What the profile is for. It stays here: Apple does not get it."),
    key(
        "platforms",
        Shape::Platforms,
        "The platforms that the profile is for, each with the version of its devices if you like: `macOS 26.1`. \
         Checks use it, and `skip_all_except` needs it.",
    ),
    key("url", Shape::Apple("url"), "Where devices fetch their MDM enrollment."),
    key(
        "user_affinity",
        Shape::Affinity,
        "How the user signs in: `web` on a page of the MDM server, `legacy` in Setup Assistant itself, where the \
         MDM server asks for it at `url`, or `none`. Without it: `web` when there is a `web_url`, otherwise `none`.",
    ),
    key(
        "web_url",
        Shape::WebUrl,
        "The page on which users sign in, with `user_affinity = \"web\"`; without it the page is `url`.",
    ),
    key(
        "await_device_configured",
        Shape::Apple("await_device_configured"),
        "Whether Setup Assistant waits until the MDM server says that the device is configured. On unless it is \
         switched off.",
    ),
    key(
        "supervised",
        Shape::Apple("is_supervised"),
        "Whether the device is supervised. On unless it is switched off.",
    ),
    key("locked", Shape::Locked, "Whether users are kept from removing the enrollment. Needs supervision."),
    key("mandatory", Shape::Apple("is_mandatory"), "Whether users cannot pass over the enrollment."),
    key("multi_user", Shape::Apple("is_multi_user"), "Whether it makes Shared iPads."),
    key(
        "return_to_service",
        Shape::Apple("is_return_to_service"),
        "Whether the device may be erased and set up again by itself (iOS and visionOS 26).",
    ),
    key(
        "do_not_use_profile_from_backup",
        Shape::Apple("do_not_use_profile_from_backup"),
        "Whether the enrollment in a restored backup is passed over (iOS and visionOS 26).",
    ),
    key(
        "auto_advance",
        Shape::Apple("auto_advance_setup"),
        "Whether Setup Assistant goes through its panes by itself (tvOS, macOS 11). Use it with language and region.",
    ),
    key("language", Shape::Apple("language"), "The language, as ISO 639 has it: en, nb, haw."),
    key("region", Shape::Apple("region"), "The region, as ISO 3166-1 has it: US, NO."),
    key(
        "allow_pairing",
        Shape::Apple("allow_pairing"),
        "Whether the device may be paired with computers. Apple advises against it from iOS 13.",
    ),
    key("department", Shape::Apple("department"), "The department that Setup Assistant shows."),
    key("support_phone_number", Shape::Apple("support_phone_number"), "The telephone number for help."),
    key("support_email_address", Shape::Apple("support_email_address"), "The e-mail address for help."),
    key("org_magic", Shape::Apple("org_magic"), "A text by which the MDM server knows its own profiles."),
    key(
        "anchor_certs",
        Shape::Certificates("anchor_certs"),
        "The only certificates that the server at `url` is trusted by: PEM, base64 of DER, or { file = \"roots.pem\" }.",
    ),
    key(
        "supervising_host_certs",
        Shape::Certificates("supervising_host_certs"),
        "Certificates of the computers that may be paired in spite of `allow_pairing = false`: PEM, base64 of DER, \
         or { file = \"host.pem\" }.",
    ),
    key("panes", Shape::Panes, "Which panes of Setup Assistant are hidden."),
    key("accounts", Shape::Accounts, "The local accounts of a Mac."),
    key("extra", Shape::Extra, "Keys of Apple's that are not in this form; they are sent as they are."),
];

/// The key of that name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The name that a key of Apple's has in our form.
pub(crate) fn ours_of(apple: &str) -> Option<&'static str> {
    match apple {
        "is_mdm_removable" => Some("locked"),
        "configuration_web_url" => Some("web_url"),
        "skip_setup_items" => Some("panes"),
        _ => KEYS
            .iter()
            .find(|key| matches!(key.shape, Shape::Apple(of) | Shape::Certificates(of) if of == apple))
            .map(|key| key.name),
    }
}

impl Form {
    /// Which form the keys are of. `name` and `profile_name` decide; without both, the form that more keys are of.
    #[must_use]
    pub fn of<'a>(keys: impl Iterator<Item = &'a String> + Clone) -> Self {
        let has = |name: &str| keys.clone().any(|key| key == name);
        if has("name") {
            return Self::Ours;
        }
        if has("profile_name") {
            return Self::Apple;
        }
        let ours = keys.clone().filter(|key| find(key).is_some() && keys::kind_of(key).is_none()).count();
        let apples = keys.clone().filter(|key| find(key).is_none() && keys::kind_of(key).is_some()).count();
        if apples > ours { Self::Apple } else { Self::Ours }
    }

    /// What this form calls a key of Apple's.
    pub(crate) fn word(self, apple: &'static str) -> &'static str {
        match self {
            Self::Apple => apple,
            Self::Ours => ours_of(apple).unwrap_or(apple),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_apples_has_a_place_in_our_form() {
        for (apple, kind) in keys::all() {
            assert_eq!(ours_of(apple).is_none(), kind == keys::Kind::NotInFile, "{apple}");
        }
        let mut names: Vec<_> = KEYS.iter().map(|key| key.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KEYS.len(), "a name is there twice");
    }

    #[test]
    fn the_name_decides_and_then_the_other_keys() {
        let form = |keys: &[&str]| {
            let keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
            Form::of(keys.iter())
        };
        assert_eq!(form(&["name", "profile_name"]), Form::Ours);
        assert_eq!(form(&["profile_name", "panes"]), Form::Apple);
        assert_eq!(form(&["url", "is_supervised"]), Form::Apple);
        assert_eq!(form(&["url", "supervised"]), Form::Ours);
        assert_eq!(form(&[]), Form::Ours);
    }
}
