//! Account settings: which local accounts a Mac gets when it is set up.
//!
//! Apple's profile knows nothing of accounts. A Mac that awaits configuration takes them from the MDM server, in an
//! `AccountConfiguration` command (protocol section 8.4), which [`commands`](crate::commands) makes from these
//! settings. In a profile file they are the table `accounts`:
//!
//! ```
//! use adelie_profile::accounts::{AccountSettings, Context, SignIn};
//!
//! let file = serde_json::json!({
//!     "primary": { "type": "standard", "full_name": "{{username}}", "account_name": "{{partialupn}}" },
//!     "administrator": { "short_name": "localadmin", "hidden": true, "password": "generated" },
//! });
//! let context = Context { sign_in: SignIn::Web, awaits_configuration: true };
//! let checked = AccountSettings::check(&file, &context)?;
//! assert!(checked.warnings.is_empty());
//! # Ok::<(), adelie_profile::Findings>(())
//! ```

use serde_json::{Map, Value};

use crate::{EnrollmentProfile, Findings};

pub(crate) mod account_name;
mod parse;
mod password;
mod password_hash;
mod rules;
mod table;
mod template;

pub use account_name::AccountNameError;
pub use password::{
    AdministratorPassword, DevicePassword, GENERATED_LENGTH, MIN_GENERATED_LENGTH, PasswordError,
    WeakEntropy, generate_password,
};
pub use password_hash::{DEFAULT_ITERATIONS, ENTROPY_BYTES, PasswordHash, SALT_BYTES};
pub use template::{MissingValue, Template, TemplateError, Variable, Variables};

/// The local accounts of a Mac. Printing and serializing it hides passwords; [`to_table`](Self::to_table) does not.
#[derive(Clone, Debug, Default)]
pub struct AccountSettings {
    /// The account that Setup Assistant makes for the user. Absent: Setup Assistant asks, as without settings.
    pub primary: Option<PrimaryAccount>,
    /// An administrator whom the MDM server makes before any user is there.
    pub administrator: Option<Administrator>,
    /// The short name of the local account that the MDM server manages, from macOS 11. Absent: the account that
    /// Setup Assistant makes.
    pub managed_local_user: Option<Template>,
}

/// The account that Setup Assistant makes for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryAccount {
    /// False leaves the account out: Setup Assistant skips the pane, and nobody is signed in at its end.
    pub create: bool,
    /// What the user may do on the Mac.
    pub account_type: AccountType,
    /// What the pane has in its field for the full name (macOS 10.15).
    pub full_name: Option<Template>,
    /// What the pane has in its field for the account name (macOS 10.15).
    pub account_name: Option<Template>,
    /// Whether the user is kept from changing what was filled in.
    pub restrict_editing: bool,
}

impl Default for PrimaryAccount {
    /// A standard account without names, and a user who may not change names if there are some.
    fn default() -> Self {
        Self {
            create: true,
            account_type: AccountType::Standard,
            full_name: None,
            account_name: None,
            restrict_editing: true,
        }
    }
}

impl PrimaryAccount {
    /// Whether Setup Assistant fills in a name.
    #[must_use]
    pub fn prefills(&self) -> bool {
        self.create && (self.full_name.is_some() || self.account_name.is_some())
    }
}

/// What an account may do on its Mac.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccountType {
    /// It uses the Mac.
    Standard,
    /// It changes the Mac, too.
    Administrator,
}

/// An administrator whom the MDM server makes.
#[derive(Clone, Debug)]
pub struct Administrator {
    /// The account name.
    pub short_name: Template,
    /// The name for people; the short name when absent.
    pub full_name: Option<Template>,
    /// Whether the login window and the settings leave the account out.
    pub hidden: bool,
    /// The password.
    pub password: AdministratorPassword,
}

/// What the settings must know of the profile that they belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// How the user signs in during enrollment.
    pub sign_in: SignIn,
    /// Whether the profile awaits configuration.
    pub awaits_configuration: bool,
}

impl Context {
    /// What can be told from a profile. A profile without `configuration_web_url` may still have its users sign in
    /// the old way; only its MDM server knows, and then [`SignIn::Legacy`] is to be set.
    #[must_use]
    pub fn of(profile: &EnrollmentProfile) -> Self {
        let web = profile.configuration_web_url().is_some();
        Self {
            sign_in: if web { SignIn::Web } else { SignIn::None },
            awaits_configuration: profile.awaits_configuration(),
        }
    }
}

/// How the user of a device signs in during enrollment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignIn {
    /// Not at all: the device belongs to nobody.
    None,
    /// On a page of the MDM server (`configuration_web_url`).
    Web,
    /// In Setup Assistant, which asks for a name and a password for `url`.
    Legacy,
}

/// Account settings that may be used, and what deserves a second look.
#[derive(Clone, Debug)]
pub struct CheckedAccounts {
    /// The settings.
    pub accounts: AccountSettings,
    /// Warnings only; often empty.
    pub warnings: Findings,
}

impl AccountSettings {
    /// Reads the table `accounts` of a profile file and checks it against all rules. Paths of findings begin with
    /// `accounts`, and no finding repeats a password.
    ///
    /// # Errors
    /// All findings at once, warnings included, when one of them is an error.
    pub fn check(raw: &Value, context: &Context) -> Result<CheckedAccounts, Findings> {
        let (accounts, mut findings) = parse::parse(raw);
        findings.extend(rules::check(&accounts, context));
        let findings = Findings::new(findings);
        if findings.has_errors() {
            return Err(findings);
        }
        Ok(CheckedAccounts { accounts, warnings: findings })
    }

    /// Takes settings back from a store, which has got them from [`to_table`](Self::to_table). The rules are not
    /// asked again: one that has become stricter since must not take the accounts away from devices to come.
    ///
    /// # Errors
    /// When a value has another form than the settings; keys that this version does not know are passed over.
    pub fn from_stored(raw: &Value) -> Result<Self, Findings> {
        let (accounts, mut findings) = parse::parse(raw);
        findings.retain(|finding| finding.rule != crate::Rule::UnknownKey);
        let findings = Findings::new(findings);
        if findings.has_errors() { Err(findings) } else { Ok(accounts) }
    }

    /// What the rules say of settings that were not read from a file.
    #[must_use]
    pub fn findings(&self, context: &Context) -> Findings {
        Findings::new(rules::check(self, context))
    }

    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.primary.is_none() && self.administrator.is_none() && self.managed_local_user.is_none()
    }

    /// Whether the profile must await configuration for these settings: any of them reaches a Mac only while it
    /// waits.
    #[must_use]
    pub fn needs_await(&self) -> bool {
        !self.is_empty()
    }

    /// Switches `await_device_configured` on in a table of Apple's keys when the settings need it. Says whether that
    /// changed anything; [`check`](Self::check) says so, too, as the finding `accounts-await`.
    pub fn switch_await_on(&self, apple: &mut Map<String, Value>) -> bool {
        self.needs_await()
            && apple.insert("await_device_configured".into(), true.into()) != Some(Value::Bool(true))
    }

    /// What the primary account may do in the end: without a managed administrator it becomes one. `None` when no
    /// account is made.
    #[must_use]
    pub fn primary_type(&self) -> Option<AccountType> {
        match &self.primary {
            None => Some(AccountType::Administrator),
            Some(primary) if !primary.create => None,
            Some(_) if self.administrator.is_none() => Some(AccountType::Administrator),
            Some(primary) => Some(primary.account_type),
        }
    }

    /// The variables that the names use, each with the path of its setting.
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, Variable)> + '_ {
        self.names().flat_map(|(path, name)| name.variables().map(move |variable| (path, variable)))
    }

    /// All names that have an effect, each with its path.
    fn names(&self) -> impl Iterator<Item = (&'static str, &Template)> {
        let primary = self.primary.as_ref().filter(|primary| primary.create);
        let administrator = self.administrator.as_ref();
        [
            (PRIMARY_FULL_NAME, primary.and_then(|primary| primary.full_name.as_ref())),
            (PRIMARY_ACCOUNT_NAME, primary.and_then(|primary| primary.account_name.as_ref())),
            (ADMIN_SHORT_NAME, administrator.map(|administrator| &administrator.short_name)),
            (ADMIN_FULL_NAME, administrator.and_then(|administrator| administrator.full_name.as_ref())),
            (MANAGED_LOCAL_USER, self.managed_local_user.as_ref()),
        ]
        .into_iter()
        .filter_map(|(path, name)| Some((path, name?)))
    }
}

pub(crate) const PRIMARY_FULL_NAME: &str = "accounts.primary.full_name";
pub(crate) const PRIMARY_ACCOUNT_NAME: &str = "accounts.primary.account_name";
pub(crate) const ADMIN_SHORT_NAME: &str = "accounts.administrator.short_name";
pub(crate) const ADMIN_FULL_NAME: &str = "accounts.administrator.full_name";
pub(crate) const ADMIN_PASSWORD: &str = "accounts.administrator.password";
pub(crate) const MANAGED_LOCAL_USER: &str = "accounts.managed_local_user";

#[cfg(test)]
mod tests;
