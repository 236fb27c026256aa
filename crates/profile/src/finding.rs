use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

pub(crate) mod value;

/// Something that is wrong with a profile, or deserves a second look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether the profile can be used in spite of it.
    pub severity: Severity,
    /// Where: `department`, `skip_setup_items[3]`; empty when it is about the file as a whole.
    pub path: String,
    /// Which rule it breaks.
    pub rule: Rule,
    /// What is wrong, for people.
    pub message: String,
    /// What to do about it.
    pub fix: String,
    /// What stands there, when it is a text, a number or a flag, and no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// The place in the file, when the file could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

impl Finding {
    pub(crate) fn error(
        path: impl Into<String>,
        rule: Rule,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            path: path.into(),
            rule,
            message: message.into(),
            fix: fix.into(),
            value: None,
            position: None,
        }
    }

    pub(crate) fn warning(
        path: impl Into<String>,
        rule: Rule,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Warning, ..Self::error(path, rule, message, fix) }
    }
}

impl fmt::Display for Finding {
    /// One line: `error: url: a profile needs … (required); fix: add …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.severity)?;
        if let Some(position) = self.position {
            write!(f, "line {}, column {}: ", position.line, position.column)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{} ({}); fix: {}", self.message, self.rule, self.fix)
    }
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Apple would refuse the profile, or no device could enroll with it.
    Error,
    /// The profile works, though perhaps not as meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// A place in the text of a file, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column in that line.
    pub column: usize,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident = $id:literal),+ $(,)?) => {
        /// The rules that a profile is checked against. Their ids are stable: scripts may rely on them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Rule { $($(#[$doc])* $variant,)+ }

        impl Rule {
            /// The short id that findings, `--json` and documentation use.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)+ }
            }
        }
    };
}

rules! {
    /// The text is no JSON, TOML or YAML, or no table of keys.
    Syntax = "syntax",
    /// A key without which Apple refuses the profile.
    Required = "required",
    /// A value of another type than Apple's key has.
    Type = "type",
    /// An empty or blank text: Apple wants the key left out instead (protocol section 5.2).
    Empty = "empty",
    /// A text longer than Apple takes.
    MaxLength = "max-length",
    /// A URL that devices or Apple cannot use.
    Url = "url",
    /// A URL that must be https, or should be.
    Https = "https",
    /// An e-mail address that is none.
    Email = "email",
    /// A language or region that is no ISO code.
    LocaleForm = "locale-form",
    /// Advancing automatically without a language and a region.
    AutoAdvanceLocale = "auto-advance-locale",
    /// A locked enrollment without supervision (Apple's `FLAGS_INVALID`).
    LockNeedsSupervision = "lock-needs-supervision",
    /// Awaiting configuration without supervision.
    AwaitNeedsSupervision = "await-needs-supervision",
    /// Host certificates without supervision.
    HostCertsNeedSupervision = "host-certs-need-supervision",
    /// A certificate that is no base64 of DER.
    Certificate = "certificate",
    /// A key that is not among Apple's.
    UnknownKey = "unknown-key",
    /// A key that is not the file's to set.
    NotInFile = "not-in-file",
    /// Two keys of a file that contradict each other.
    Contradiction = "contradiction",
    /// An optional enrollment that cannot be removed, or a mandatory one that can.
    MandatoryRemovable = "mandatory-removable",
    /// A platform that is none, or is there twice.
    Platform = "platform",
    /// A key that the platforms of the profile pass over.
    IgnoredByPlatform = "ignored-by-platform",
    /// A file with certificates that cannot be read.
    File = "file",
    /// A certificate that has expired.
    CertificateExpired = "certificate-expired",
    /// A certificate that is not valid yet.
    CertificateNotYetValid = "certificate-not-yet-valid",
    /// A certificate that expires within a month.
    CertificateExpiresSoon = "certificate-expires-soon",
    /// An anchor certificate by which the server at `url` cannot be trusted.
    AnchorDoesNotFit = "anchor-does-not-fit",
    /// A skip key of which none of the platforms has the pane.
    SkipKeyNotOnPlatform = "skip-key-not-on-platform",
    /// A skip key that is not in the catalogue.
    UnknownSkipKey = "unknown-skip-key",
    /// A skip key that is there twice.
    DuplicateSkipKey = "duplicate-skip-key",
    /// A skip key that Apple has withdrawn, removed or deprecated.
    RetiredSkipKey = "retired-skip-key",
    /// Hiding the pane that people with disabilities need.
    HidesAccessibility = "hides-accessibility",
    /// A variable in a name that Adelie does not know, or that does not end.
    UnknownVariable = "unknown-variable",
    /// A short name that macOS does not take for an account, or a full name that nobody can read.
    AccountName = "account-name",
    /// A short name that macOS or its users need for something else.
    ReservedAccountName = "reserved-account-name",
    /// Two accounts with one short name.
    SameAccountName = "same-account-name",
    /// Account settings, which await configuration.
    AccountsAwait = "accounts-await",
    /// Names to fill in, without a user who signs in.
    PrefillNeedsUser = "prefill-needs-user",
    /// A skipped primary account and nobody who administers the Mac.
    SkipNeedsAdministrator = "skip-needs-administrator",
    /// A standard account that becomes an administrator, because there is no other.
    PrimaryBecomesAdministrator = "primary-becomes-administrator",
    /// A managed local user that none of the accounts is, or may not be.
    ManagedLocalUser = "managed-local-user",
    /// An administrator's password that cannot be used, or is better not used.
    AdministratorPassword = "administrator-password",
    /// A setting that does nothing beside the others.
    NoEffect = "no-effect",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

/// All findings about one profile, errors first. As an error it stands for a profile that cannot be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Orders errors before warnings and keeps the order otherwise.
    pub(crate) fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.severity);
        Self(findings)
    }

    /// Those that keep the profile from being used.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(|finding| finding.severity == Severity::Error)
    }

    /// Whether at least one is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }
}

impl std::ops::Deref for Findings {
    type Target = [Finding];

    fn deref(&self) -> &[Finding] {
        &self.0
    }
}

impl IntoIterator for Findings {
    type Item = Finding;
    type IntoIter = std::vec::IntoIter<Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Findings {
    type Item = &'a Finding;
    type IntoIter = std::slice::Iter<'a, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Display for Findings {
    /// One finding per line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, finding) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}
