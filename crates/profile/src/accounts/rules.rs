//! What account settings mean together, and beside their profile.

use secrecy::ExposeSecret;

use super::account_name::{self, AccountNameError, SAFE_BYTES};
use super::{
    ADMIN_FULL_NAME, ADMIN_PASSWORD, ADMIN_SHORT_NAME, AccountSettings, AccountType, AdministratorPassword,
    Context, MANAGED_LOCAL_USER, PRIMARY_ACCOUNT_NAME, PRIMARY_FULL_NAME, PrimaryAccount, SignIn, Template,
};
use crate::{Finding, Rule, texts};

/// Apple's advice for a hash that is not made on the Mac itself begins here (`passwordHash`).
const FEW_ITERATIONS: u32 = 20_000;

/// The characters below which a password that all Macs share is pointed out.
const SHORT_PASSWORD: usize = 15;

/// All findings about the settings.
pub(super) fn check(accounts: &AccountSettings, context: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    if accounts.needs_await() && !context.awaits_configuration {
        findings.push(Finding::warning(
            "accounts",
            Rule::AccountsAwait,
            "account settings reach a Mac only while it awaits configuration, so that is switched on",
            "set `await_device_configured` to true, so that the file says what happens",
        ));
    }
    if let Some(primary) = &accounts.primary {
        check_primary(primary, accounts, context, &mut findings);
    }
    if let Some(administrator) = &accounts.administrator {
        check_short_name(ADMIN_SHORT_NAME, &administrator.short_name, &mut findings);
        check_user_variable(ADMIN_SHORT_NAME, &administrator.short_name, context, &mut findings);
        if let Some(name) = &administrator.full_name {
            check_full_name(ADMIN_FULL_NAME, name, &mut findings);
            check_user_variable(ADMIN_FULL_NAME, name, context, &mut findings);
        }
        check_password(&administrator.password, &mut findings);
    }
    if let Some(name) = &accounts.managed_local_user {
        check_managed_local_user(name, accounts, context, &mut findings);
    }
    findings
}

fn check_primary(
    primary: &PrimaryAccount,
    accounts: &AccountSettings,
    context: &Context,
    findings: &mut Vec<Finding>,
) {
    if !primary.create {
        if accounts.administrator.is_none() {
            findings.push(Finding::error(
                "accounts.primary.create",
                Rule::SkipNeedsAdministrator,
                "nobody could sign in: the primary account is skipped, and there is no administrator",
                "add `accounts.administrator`, or let the primary account be created",
            ));
        }
        for (path, name) in
            [(PRIMARY_FULL_NAME, &primary.full_name), (PRIMARY_ACCOUNT_NAME, &primary.account_name)]
        {
            if name.is_some() {
                findings.push(Finding::warning(
                    path,
                    Rule::NoEffect,
                    "the primary account is skipped, so no name is filled in",
                    "take the key out, or let the primary account be created",
                ));
            }
        }
        return;
    }
    if primary.account_type == AccountType::Standard && accounts.administrator.is_none() {
        findings.push(Finding::warning(
            "accounts.primary.type",
            Rule::PrimaryBecomesAdministrator,
            "the primary account becomes an administrator, because the Mac has no other one",
            "add `accounts.administrator`, or set the type to `administrator`",
        ));
    }
    if let Some(name) = &primary.full_name {
        check_full_name(PRIMARY_FULL_NAME, name, findings);
        check_prefill(PRIMARY_FULL_NAME, name, context, findings);
    }
    if let Some(name) = &primary.account_name {
        check_short_name(PRIMARY_ACCOUNT_NAME, name, findings);
        check_prefill(PRIMARY_ACCOUNT_NAME, name, context, findings);
        if accounts.administrator.as_ref().is_some_and(|administrator| administrator.short_name == *name) {
            findings.push(Finding::error(
                PRIMARY_ACCOUNT_NAME,
                Rule::SameAccountName,
                "the administrator has the same account name",
                "give one of the two another name",
            ));
        }
    }
}

/// Filling in takes a user and a way to sign in. A name of the user can have no value without them; a name that is
/// made of the device alone could still be filled in, so that is only pointed out.
fn check_prefill(path: &str, name: &Template, context: &Context, findings: &mut Vec<Finding>) {
    if check_user_variable(path, name, context, findings) && context.sign_in == SignIn::None {
        findings.push(Finding::warning(
            path,
            Rule::PrefillNeedsUser,
            "names are meant to be filled in for a user who has signed in, and this profile has nobody sign in",
            "let the user sign in first (`user_affinity`, or `configuration_web_url` in Apple's form), or take the name out",
        ));
    }
}

/// Whether all variables can have a value; if not, says so.
fn check_user_variable(path: &str, name: &Template, context: &Context, findings: &mut Vec<Finding>) -> bool {
    let Some(variable) = name.first_of_user().filter(|_| context.sign_in == SignIn::None) else {
        return true;
    };
    findings.push(Finding::error(
        path,
        Rule::PrefillNeedsUser,
        format!(
            "`{variable}` has a value only when a user has signed in, and this profile has nobody sign in"
        ),
        "let the user sign in first (`user_affinity`, or `configuration_web_url` in Apple's form), or write a name without that variable",
    ));
    false
}

fn check_full_name(path: &str, name: &Template, findings: &mut Vec<Finding>) {
    if let Some(c) = name.texts().find_map(|(_, text)| account_name::unprintable(text)) {
        let message = format!("the name contains {c:?}, which nobody can read");
        findings.push(Finding::error(path, Rule::AccountName, message, "take the character out"));
    }
}

/// The whole name where it has no variables, and otherwise what stands around them.
fn check_short_name(path: &str, name: &Template, findings: &mut Vec<Finding>) {
    let checked = match name.as_literal() {
        Some(text) => account_name::check(text),
        None => name.texts().try_for_each(|(first, text)| account_name::check_text(first, text)),
    };
    let bytes: usize = name.texts().map(|(_, text)| text.len()).sum();
    match checked {
        Ok(()) if bytes > SAFE_BYTES => findings.push(Finding::warning(
            path,
            Rule::AccountName,
            format!("the name has {bytes} bytes, and some tools cut short names after {SAFE_BYTES}"),
            "choose a shorter one",
        )),
        Ok(()) if name.texts().next().is_some_and(|(first, text)| first && text.starts_with('_')) => {
            findings.push(Finding::warning(
                path,
                Rule::ReservedAccountName,
                "macOS begins the names of its own services with an underscore, and hides such accounts",
                "begin the name with a letter",
            ));
        }
        Ok(()) => {}
        Err(AccountNameError::Reserved(owner)) => findings.push(Finding::error(
            path,
            Rule::ReservedAccountName,
            format!("the name belongs to {owner}"),
            "choose another one, like `localadmin`",
        )),
        Err(error) => findings.push(Finding::error(
            path,
            Rule::AccountName,
            format!("{} is no account name for macOS: {error}", texts::quote(&name.to_string())),
            "write small letters, digits, `_`, `.` and `-`, and begin with a letter",
        )),
    }
}

fn check_password(password: &AdministratorPassword, findings: &mut Vec<Finding>) {
    match password {
        AdministratorPassword::Generated | AdministratorPassword::Stored => {}
        AdministratorPassword::Given(text) => {
            let text = text.expose_secret();
            if text.trim().is_empty() {
                let message = "the password is empty";
                let fix = "write a password, or `generated`";
                findings.push(Finding::error(ADMIN_PASSWORD, Rule::AdministratorPassword, message, fix));
                return;
            }
            if account_name::unprintable(text).is_some() {
                let message = "the password contains a character that nobody can type";
                let fix = "take line breaks, tabs and other control characters out";
                findings.push(Finding::error(ADMIN_PASSWORD, Rule::AdministratorPassword, message, fix));
            }
            let short = text.chars().count() < SHORT_PASSWORD;
            let message = if short {
                "all Macs of this profile get this one password, it is short, and it stands here for everyone to read"
            } else {
                "all Macs of this profile get this one password, and it stands here for everyone to read"
            };
            let fix = "write `generated`, so that each Mac gets a password of its own";
            findings.push(Finding::warning(ADMIN_PASSWORD, Rule::AdministratorPassword, message, fix));
        }
        AdministratorPassword::Hashed(hash) => {
            if hash.iterations().get() < FEW_ITERATIONS {
                findings.push(Finding::warning(
                    "accounts.administrator.password.hashed.iterations",
                    Rule::AdministratorPassword,
                    format!(
                        "{} rounds are quickly guessed; Apple advises at least {FEW_ITERATIONS}",
                        hash.iterations()
                    ),
                    "make the hash again with more rounds",
                ));
            }
        }
    }
}

fn check_managed_local_user(
    name: &Template,
    accounts: &AccountSettings,
    context: &Context,
    findings: &mut Vec<Finding>,
) {
    check_short_name(MANAGED_LOCAL_USER, name, findings);
    check_user_variable(MANAGED_LOCAL_USER, name, context, findings);
    if accounts.administrator.as_ref().is_some_and(|administrator| administrator.short_name == *name) {
        return;
    }
    let primary = accounts.primary.as_ref().filter(|primary| {
        primary.create && primary.account_name.as_ref().is_some_and(|account_name| account_name == name)
    });
    let (message, fix) = match primary {
        Some(primary) if primary.restrict_editing => return,
        Some(_) => (
            "the user may change the account name that is filled in, and then no account is managed",
            "set `accounts.primary.restrict_editing` to true, or leave the key out: then the user's account is managed",
        ),
        None => (
            "no account of these settings has this name, so perhaps no account is managed",
            "write the name of the administrator or of the primary account, or leave the key out: then the user's \
             account is managed",
        ),
    };
    findings.push(Finding::warning(MANAGED_LOCAL_USER, Rule::ManagedLocalUser, message, fix));
}
