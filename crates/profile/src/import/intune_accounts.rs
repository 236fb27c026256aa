use serde_json::Value;

use super::input::Input;
use super::{NoteKind, variables};
use crate::accounts::{
    AccountSettings, AccountType, Administrator, AdministratorPassword, PrimaryAccount, Template,
};

/// Intune's variables in account names, ours, and whether the two mean the same.
const ACCOUNT_NAMES: &[(&str, &str, bool)] = &[
    ("{{serialNumber}}", "{{serial_number}}", true),
    ("{{managedDeviceName}}", "{{device_name}}", true),
    ("{{onPremisesSamAccountName}}", "{{partialupn}}", false),
];

/// The same in full names.
const FULL_NAMES: &[(&str, &str, bool)] = &[
    ("{{serialNumber}}", "{{serial_number}}", true),
    ("{{managedDeviceName}}", "{{device_name}}", true),
    ("{{onPremisesSamAccountName}}", "{{username}}", false),
];

const ROTATION: &str = "the MDM server rotates the password by the command SetAutoAdminPassword";

/// The account settings, which stand among the other fields of a profile.
pub(super) fn read(input: &mut Input) -> AccountSettings {
    let administrator = administrator(input);
    input.no_equivalent(&[("depProfileAdminAccountPasswordRotationSetting", ROTATION)]);
    AccountSettings {
        primary: primary(input, administrator.is_some()),
        administrator,
        managed_local_user: None,
    }
}

fn administrator(input: &mut Input) -> Option<Administrator> {
    let Some(short_name) = input.text("adminAccountUserName") else {
        let reason = "there is no `adminAccountUserName`, so Intune does not use it";
        let table =
            ["adminAccountFullName", "adminAccountPassword", "hideAdminAccount"].map(|key| (key, reason));
        input.no_equivalent(&table);
        return None;
    };
    let short_name = variables::name(input, "adminAccountUserName", &short_name, ACCOUNT_NAMES);
    let full_name = input
        .text("adminAccountFullName")
        .map(|name| variables::name(input, "adminAccountFullName", &name, FULL_NAMES));
    // Graph does not give the password out; and a clear password is better not moved into a file.
    let password = input.take("adminAccountPassword").unwrap_or_default();
    let reason = "the password is not taken over: each Mac gets a new one (`password = \"generated\"`)";
    input.note(NoteKind::Changed, "adminAccountPassword", password, reason);
    Some(Administrator {
        short_name,
        full_name,
        hidden: input.flag("hideAdminAccount").unwrap_or(false),
        password: AdministratorPassword::Generated,
    })
}

fn primary(input: &mut Input, has_administrator: bool) -> Option<PrimaryAccount> {
    let skip = input.flag("skipPrimarySetupAccountCreation").unwrap_or(false);
    let regular = input.flag("setPrimarySetupAccountAsRegularUser").unwrap_or(false);
    let ignored = input.flag("dontAutoPopulatePrimaryAccountInfo").unwrap_or(false);
    let restrict = input.flag("enableRestrictEditing");
    let full_name = input.text("primaryAccountFullName");
    let account_name = input.text("primaryAccountUserName");
    let unused = if skip {
        Some("`skipPrimarySetupAccountCreation` is on, so Intune does not use it")
    } else if ignored {
        Some("`dontAutoPopulatePrimaryAccountInfo` is on, so Intune does not use it")
    } else {
        None
    };
    if let Some(reason) = unused {
        if skip && regular {
            input.note(
                NoteKind::NoEquivalent,
                "setPrimarySetupAccountAsRegularUser",
                Value::Bool(true),
                reason,
            );
        }
        for (key, name) in [("primaryAccountFullName", full_name), ("primaryAccountUserName", account_name)] {
            if let Some(name) = name {
                input.note(NoteKind::NoEquivalent, key, name.into(), reason);
            }
        }
        if restrict == Some(true) {
            input.note(NoteKind::NoEquivalent, "enableRestrictEditing", Value::Bool(true), reason);
        }
        return match (skip, has_administrator) {
            (true, true) => Some(PrimaryAccount { create: false, ..PrimaryAccount::default() }),
            // Intune writes this for "not configured": without an administrator nobody could sign in.
            (true, false) => {
                let reason = "without an administrator Intune means that the account is not configured, \
                              so Setup Assistant asks as usual";
                input.note(NoteKind::Changed, "skipPrimarySetupAccountCreation", true.into(), reason);
                None
            }
            (false, _) => named(regular, None, None, restrict, has_administrator),
        };
    }
    let full_name = full_name.map(|name| variables::name(input, "primaryAccountFullName", &name, FULL_NAMES));
    let account_name =
        account_name.map(|name| variables::name(input, "primaryAccountUserName", &name, ACCOUNT_NAMES));
    if full_name.is_none() && account_name.is_none() && restrict == Some(true) {
        let reason = "no name is filled in that the user could be kept from editing";
        input.note(NoteKind::NoEquivalent, "enableRestrictEditing", Value::Bool(true), reason);
    }
    named(regular, full_name, account_name, restrict, has_administrator)
}

/// The primary account, if there is anything to say about it.
fn named(
    regular: bool,
    full_name: Option<Template>,
    account_name: Option<Template>,
    restrict: Option<bool>,
    has_administrator: bool,
) -> Option<PrimaryAccount> {
    let named = full_name.is_some() || account_name.is_some();
    if !regular && !named && !has_administrator {
        return None;
    }
    let plain = PrimaryAccount::default();
    Some(PrimaryAccount {
        create: true,
        account_type: if regular { AccountType::Standard } else { AccountType::Administrator },
        full_name,
        account_name,
        restrict_editing: if named { restrict.unwrap_or(false) } else { plain.restrict_editing },
    })
}
