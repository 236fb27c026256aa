//! What the program says about itself. A changed text is looked at and accepted with `cargo insta review`, or with
//! INSTA_UPDATE=always in the environment.

use std::path::Path;

use adelie_simulator::Settings;

use crate::harness::{Database, World};

/// The help of a command, without the path of the one who runs the test.
fn help(args: &[&str]) -> String {
    let world = World::empty(Database::Sqlite, Settings::default());
    let run = world.run_with(&[("ADELIE_DATA_DIR", "")], &[args, &["--help"]].concat()).exits(0);
    assert!(run.stderr.is_empty(), "{run}");
    run.stdout
}

macro_rules! transcripts {
    ($($name:ident: $args:expr;)+) => {
        $(
            #[test]
            fn $name() {
                insta::assert_snapshot!(help(&$args));
            }
        )+
    };
}

transcripts! {
    root: [];
    server: ["server"];
    server_add: ["server", "add"];
    server_set: ["server", "set"];
    audit: ["audit"];
    audit_list: ["audit", "list"];
    audit_verify: ["audit", "verify"];
    audit_export: ["audit", "export"];
    assign: ["assign"];
    assign_status: ["assign", "status"];
    assign_retry: ["assign", "retry"];
    assign_hold: ["assign", "hold"];
    token: ["token"];
    token_import: ["token", "import"];
    key: ["key"];
    key_rotate: ["key", "rotate"];
    backup: ["backup"];
    restore: ["restore"];
    token_renew: ["token", "renew"];
    token_check: ["token", "check"];
    token_restore: ["token", "restore"];
    sync: ["sync"];
    sync_history: ["sync", "history"];
    device: ["device"];
    device_list: ["device", "list"];
    device_history: ["device", "history"];
    device_ready: ["device", "ready"];
    device_refresh: ["device", "refresh"];
    device_delete: ["device", "delete"];
    device_explain: ["device", "explain"];
    device_tag: ["device", "tag"];
    device_undo: ["device", "undo"];
    profile: ["profile"];
    profile_new: ["profile", "new"];
    profile_show: ["profile", "show"];
    profile_edit: ["profile", "edit"];
    profile_diff: ["profile", "diff"];
    profile_rollback: ["profile", "rollback"];
    profile_rollout: ["profile", "rollout"];
    profile_command: ["profile", "command"];
    profile_import: ["profile", "import"];
    profile_skip_keys: ["profile", "skip-keys"];
    rule: ["rule"];
    rule_add: ["rule", "add"];
    rule_set: ["rule", "set"];
    rule_move: ["rule", "move"];
    rule_test: ["rule", "test"];
    plan: ["plan"];
    apply: ["apply"];
    export: ["export"];
    serve: ["serve"];
    doctor: ["doctor"];
    simulator: ["simulator"];
    demo: ["demo"];
}

/// The reference in the docs is what the program prints.
#[test]
fn the_reference_is_up_to_date() {
    let world = World::empty(Database::Sqlite, Settings::default());
    let printed = world.run(&["help-markdown"]).exits(0).stdout;
    for command in [
        "adelie server add",
        "adelie token import",
        "adelie sync",
        "adelie sync history",
        "adelie assign status",
        "adelie profile validate",
    ] {
        assert!(printed.contains(&format!("## `{command}`")), "{command} is missing in\n{printed}");
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    if let Ok(stored) = std::fs::read_to_string(file) {
        assert_eq!(stored, printed, "docs/cli.md is stale: run `cargo xtask generate`");
    }
}

/// Completion scripts exist for every shell that is offered, and touch nothing.
#[test]
fn completions() {
    let world = World::empty(Database::Sqlite, Settings::default());
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = world.run(&["completions", shell]).exits(0);
        assert!(run.stdout.contains("adelie"), "{run}");
    }
    assert!(!world.data_dir().exists());
    world.run(&["--version"]).exits(0);
}
