use plist::{Dictionary, Value};
use uuid::Uuid;

use super::{Command, CommandError, check_characters, password_hash_plist};
use crate::accounts::{
    ADMIN_FULL_NAME, ADMIN_SHORT_NAME, AccountSettings, AccountType, MANAGED_LOCAL_USER,
    PRIMARY_ACCOUNT_NAME, PRIMARY_FULL_NAME, PasswordHash, PrimaryAccount, Template, Variables, account_name,
};

/// `AccountConfiguration`: the accounts of a Mac, while it awaits configuration and not later.
///
/// `password` is that of the managed administrator on this device; see
/// [`AdministratorPassword::for_device`](crate::accounts::AdministratorPassword::for_device). It must be there when
/// there is an administrator, and only then. Account names are sent in small letters, because serial numbers and the
/// names of a directory have capitals, and account names of macOS have none.
///
/// # Errors
/// When the settings cannot be sent to this device: a variable without a value, a name that becomes no account name,
/// two accounts of one name, or a password that is missing or has no owner.
pub fn account_configuration(
    command_uuid: Uuid,
    settings: &AccountSettings,
    variables: &Variables,
    password: Option<&PasswordHash>,
) -> Result<Command, CommandError> {
    if settings.is_empty() {
        return Err(CommandError::NothingToSend);
    }
    let mut keys = Dictionary::new();
    let mut administrator_name = None;
    match (&settings.administrator, password) {
        (None, None) => {}
        (None, Some(_)) => return Err(CommandError::PasswordUnused),
        (Some(_), None) => return Err(CommandError::PasswordMissing),
        (Some(administrator), Some(password)) => {
            let short_name = short_name(ADMIN_SHORT_NAME, &administrator.short_name, variables)?;
            let mut account = Dictionary::new();
            account.insert("shortName".into(), short_name.as_str().into());
            if let Some(name) = &administrator.full_name {
                account.insert("fullName".into(), full_name(ADMIN_FULL_NAME, name, variables)?.into());
            }
            account.insert("hidden".into(), administrator.hidden.into());
            account.insert("passwordHash".into(), Value::Data(password_hash_plist(password)?.to_vec()));
            // Macs take the first entry and ignore the others, so there is only one.
            keys.insert("AutoSetupAdminAccounts".into(), Value::Array(vec![account.into()]));
            administrator_name = Some(short_name);
        }
    }
    if let Some(primary) = &settings.primary {
        insert_primary(&mut keys, primary, administrator_name.as_deref(), variables)?;
    }
    if let Some(name) = &settings.managed_local_user {
        let name = short_name(MANAGED_LOCAL_USER, name, variables)?;
        keys.insert("ManagedLocalUserShortName".into(), name.into());
    }
    Command::new("AccountConfiguration", command_uuid, keys)
}

fn insert_primary(
    keys: &mut Dictionary,
    primary: &PrimaryAccount,
    administrator: Option<&str>,
    variables: &Variables,
) -> Result<(), CommandError> {
    if !primary.create && administrator.is_none() {
        return Err(CommandError::SkipNeedsAdministrator);
    }
    keys.insert("SkipPrimarySetupAccountCreation".into(), (!primary.create).into());
    // Apple wants an administrator beside a regular user. Without one the user administers the Mac.
    let regular = primary.create && primary.account_type == AccountType::Standard && administrator.is_some();
    keys.insert("SetPrimarySetupAccountAsRegularUser".into(), regular.into());
    if !primary.prefills() {
        return Ok(());
    }
    if let Some(name) = &primary.full_name {
        keys.insert("PrimaryAccountFullName".into(), full_name(PRIMARY_FULL_NAME, name, variables)?.into());
    }
    if let Some(name) = &primary.account_name {
        let name = short_name(PRIMARY_ACCOUNT_NAME, name, variables)?;
        if administrator == Some(name.as_str()) {
            return Err(CommandError::SameAccountName { name });
        }
        keys.insert("PrimaryAccountUserName".into(), name.into());
    }
    keys.insert("LockPrimaryAccountInfo".into(), primary.restrict_editing.into());
    Ok(())
}

fn full_name(path: &'static str, name: &Template, variables: &Variables) -> Result<String, CommandError> {
    let name = render(path, name, variables)?;
    check_characters(path, &name)?;
    Ok(name)
}

fn short_name(path: &'static str, name: &Template, variables: &Variables) -> Result<String, CommandError> {
    let name = render(path, name, variables)?.to_lowercase();
    match account_name::check(&name) {
        Ok(()) => Ok(name),
        Err(source) => Err(CommandError::AccountName { path, name, source }),
    }
}

fn render(path: &'static str, name: &Template, variables: &Variables) -> Result<String, CommandError> {
    name.render(variables).map_err(|source| CommandError::Variable { path, source })
}
