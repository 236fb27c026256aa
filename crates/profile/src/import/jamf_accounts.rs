use serde_json::Value;

use super::input::Input;
use super::{NoteKind, variables};
use crate::accounts::{
    AccountSettings, AccountType, Administrator, AdministratorPassword, PrimaryAccount, Template,
};

/// Jamf Pro's variables, ours, and whether the two mean the same.
const VARIABLES: &[(&str, &str, bool)] = &[
    ("$SERIALNUMBER", "{{serial_number}}", true),
    ("$COMPUTERNAME", "{{device_name}}", true),
    ("$DEVICENAME", "{{device_name}}", true),
    ("$FULLNAME", "{{username}}", true),
    ("$REALNAME", "{{username}}", true),
    ("$USERNAME", "{{partialupn}}", false),
];

/// The table `accountSettings` of a prestage.
pub(super) fn read(input: &mut Input) -> AccountSettings {
    let mut accounts = AccountSettings::default();
    input.ignore(&["id", "versionLock"]);
    if input.flag("payloadConfigured") == Some(false) {
        input.rest_without_effect("`payloadConfigured` is off, so Jamf Pro does not use it");
        return accounts;
    }
    let administrator = administrator(input);
    if input.flag("localUserManaged") == Some(true) {
        match &administrator {
            Some(administrator) => {
                accounts.managed_local_user = Some(administrator.short_name.clone());
                let reason = "taken as: the administrator is the managed local user; see whether it fits";
                input.note(NoteKind::Changed, "localUserManaged", true.into(), reason);
            }
            None => input.note(
                NoteKind::NoEquivalent,
                "localUserManaged",
                true.into(),
                "there is no administrator whom it could mean; the user's account is managed without it",
            ),
        }
    }
    accounts.primary = primary(input, administrator.is_some());
    accounts.administrator = administrator;
    accounts
}

fn administrator(input: &mut Input) -> Option<Administrator> {
    let enabled = input.flag("localAdminAccountEnabled");
    let name = input.text("adminUsername");
    if enabled != Some(true) {
        let reason = "`localAdminAccountEnabled` is off, so Jamf Pro does not use it";
        if let Some(name) = name {
            input.note(NoteKind::NoEquivalent, "adminUsername", name.into(), reason);
        }
        input.no_equivalent(&[("adminPassword", reason), ("hiddenAdminAccount", reason)]);
        return None;
    }
    let short_name = match name {
        Some(name) => variables::name(input, "adminUsername", &name, VARIABLES),
        None => {
            input.fill_in(
                "accounts.administrator.short_name",
                "the prestage has an administrator without a name",
            );
            Template::literal("")
        }
    };
    // Jamf Pro does not give the password out, or masked; and a clear password is better not moved into a file.
    let password = input.take("adminPassword").unwrap_or_default();
    let reason = "the password is not taken over: each Mac gets a new one (`password = \"generated\"`)";
    input.note(NoteKind::Changed, "adminPassword", password, reason);
    Some(Administrator {
        short_name,
        full_name: None,
        hidden: input.flag("hiddenAdminAccount").unwrap_or(false),
        password: AdministratorPassword::Generated,
    })
}

fn primary(input: &mut Input, has_administrator: bool) -> Option<PrimaryAccount> {
    let mut primary = PrimaryAccount::default();
    match input.text("userAccountType").as_deref() {
        None => primary.account_type = AccountType::Administrator,
        Some("ADMINISTRATOR") => primary.account_type = AccountType::Administrator,
        Some("STANDARD") => primary.account_type = AccountType::Standard,
        Some("SKIP") if has_administrator => primary.create = false,
        Some("SKIP") => {
            let reason =
                "nobody could sign in without an administrator, so Setup Assistant asks for an account";
            input.note(NoteKind::Changed, "userAccountType", "SKIP".into(), reason);
            primary.account_type = AccountType::Administrator;
        }
        Some(other) => {
            input.wrong("userAccountType", other.into(), "ADMINISTRATOR, STANDARD or SKIP");
            primary.account_type = AccountType::Administrator;
        }
    }
    prefill(input, &mut primary);
    Some(primary)
}

fn prefill(input: &mut Input, primary: &mut PrimaryAccount) {
    let enabled = input.flag("prefillPrimaryAccountInfoFeatureEnabled") == Some(true);
    let kind = input.text("prefillType");
    let full_name = input.text("prefillAccountFullName");
    let account_name = input.text("prefillAccountUserName");
    let locked = input.flag("preventPrefillInfoFromModification");
    let unused = if !enabled {
        Some("`prefillPrimaryAccountInfoFeatureEnabled` is off, so Jamf Pro does not use it")
    } else if !primary.create {
        Some("the primary account is skipped, so there is nothing to fill in")
    } else if kind.as_deref() == Some("DEVICE_OWNER") {
        Some("Jamf Pro takes the names of the device's owner instead")
    } else {
        None
    };
    if enabled && primary.create && kind.as_deref() == Some("DEVICE_OWNER") {
        primary.full_name = Template::parse("{{username}}").ok();
        primary.account_name = Template::parse("{{partialupn}}").ok();
        let reason = "the names are filled in as {{username}} and {{partialupn}} of the user who signs in";
        input.note(NoteKind::Changed, "prefillType", "DEVICE_OWNER".into(), reason);
    } else if let Some(kind) =
        kind.filter(|kind| !matches!(kind.as_str(), "CUSTOM" | "UNKNOWN" | "DEVICE_OWNER"))
    {
        input.wrong("prefillType", kind.into(), "CUSTOM or DEVICE_OWNER");
    }
    let names = [("prefillAccountFullName", full_name), ("prefillAccountUserName", account_name)];
    for (key, name) in names {
        match (name, unused) {
            (None, _) => {}
            (Some(name), Some(reason)) => input.note(NoteKind::NoEquivalent, key, name.into(), reason),
            (Some(name), None) => {
                let name = variables::name(input, key, &name, VARIABLES);
                let field = if key == "prefillAccountFullName" {
                    &mut primary.full_name
                } else {
                    &mut primary.account_name
                };
                *field = Some(name);
            }
        }
    }
    if primary.prefills() {
        primary.restrict_editing = locked.unwrap_or(false);
    } else if locked == Some(true) {
        let reason = "no name is filled in that the user could be kept from editing";
        input.note(NoteKind::NoEquivalent, "preventPrefillInfoFromModification", Value::Bool(true), reason);
    }
}
