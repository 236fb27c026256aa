//! What a backup holds: every table and column, in the order in which they can be loaded.
//!
//! The contract suite compares this with the schema of each database, so that a migration cannot forget it. Whoever adds a
//! column gives it `since` and raises [`SCHEMA`]; older backups then load without it, and the column gets its default, which
//! every migration has to give it anyway. A migration that works out something new from what is stored has to say here how
//! that is made up for in older backups.

/// The version of this catalogue. One more with every change of it.
pub const SCHEMA: u32 = 1;

/// A table.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// What is kept of it, in the order of the file.
    pub columns: &'static [Column],
    /// Columns that are not kept, with the reason why not.
    pub left_out: &'static [(&'static str, &'static str)],
    /// How it is loaded.
    pub fill: Fill,
    /// The columns that put its rows in order.
    pub order: &'static str,
    /// The column that the database numbers, if there is one. Numbers are never used twice, also not after a restore.
    pub numbered: Option<&'static str>,
    /// The version of the catalogue from which on it is there.
    pub since: u32,
}

/// A column.
#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What stands there.
    pub kind: Kind,
    /// The version of the catalogue from which on it is there.
    pub since: u32,
}

/// What stands in a column, and how a backup says it. NULL is always null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Int,
    /// `true` or `false`.
    Bool,
    /// Milliseconds since 1970.
    Moment,
    /// A text.
    Text,
    /// JSON, as it is.
    Json,
    /// 32 hex digits.
    Uuid,
    /// Hex digits.
    Bytes,
    /// An array of texts.
    TextList,
    /// An array of numbers.
    IntList,
}

/// How a table is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Its rows are added. It has to be empty.
    Rows,
    /// Its rows take the place of those that a new database makes for itself.
    Replace,
    /// Its one row, which is always there, says something else from then on.
    OneRow,
}

const fn of(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, since: 1 }
}

const fn int(name: &'static str) -> Column {
    of(name, Kind::Int)
}

const fn bool(name: &'static str) -> Column {
    of(name, Kind::Bool)
}

const fn moment(name: &'static str) -> Column {
    of(name, Kind::Moment)
}

const fn text(name: &'static str) -> Column {
    of(name, Kind::Text)
}

const fn json(name: &'static str) -> Column {
    of(name, Kind::Json)
}

const fn uuid(name: &'static str) -> Column {
    of(name, Kind::Uuid)
}

const fn bytes(name: &'static str) -> Column {
    of(name, Kind::Bytes)
}

/// A table of rows that the database numbers.
const fn numbered(name: &'static str, columns: &'static [Column]) -> Table {
    Table { numbered: Some("id"), ..rows(name, "id", columns) }
}

/// A table of rows.
const fn rows(name: &'static str, order: &'static str, columns: &'static [Column]) -> Table {
    Table { name, columns, left_out: &[], fill: Fill::Rows, order, numbered: None, since: 1 }
}

/// A table of one row.
const fn one_row(name: &'static str, columns: &'static [Column]) -> Table {
    const ID: &[(&str, &str)] = &[("id", "it is 1 in every database")];
    Table { left_out: ID, fill: Fill::OneRow, ..rows(name, "id", columns) }
}

/// Tables that are in no backup, with the reason why not.
pub const NOT_KEPT: &[(&str, &str)] = &[
    ("_sqlx_migrations", "it says how the tables were made, and a database makes its own"),
    (
        "installation",
        "ids of webhook events are made of this name and of numbers that a restored database may use for other events: it \
         goes on under a name of its own",
    ),
    ("sqlite_sequence", "SQLite keeps there what the file says of each table as its last number"),
];

/// Everything that is kept, parents before children. The data keys come first, because whoever restores looks first
/// whether they open.
pub const TABLES: &[Table] = &[
    Table {
        fill: Fill::Replace,
        ..rows(
            "data_keys",
            "version",
            &[
                int("version"),
                bytes("sealed"),
                moment("created_at"),
                moment("completed_at"),
                moment("retired_at"),
            ],
        )
    },
    one_row("configuration", &[int("version")]),
    Table {
        left_out: &[
            ("lease_owner", "the process that has the lease works on the other database"),
            ("lease_expires_at", "the process that has the lease works on the other database"),
        ],
        ..numbered(
            "mdm_servers",
            &[
                int("id"),
                text("name"),
                text("base_url"),
                bool("paused"),
                moment("created_at"),
                json("sync_settings"),
                text("token_state"),
                text("token_detail"),
                moment("token_since"),
                json("account"),
                moment("last_full_at"),
                moment("last_sync_at"),
                moment("next_sync_at"),
                int("failures"),
                text("last_error"),
                moment("wait_until"),
                text("attention"),
                text("delta_cursor"),
                int("full_generation"),
                text("full_phase"),
                text("fetch_cursor"),
                int("stuck"),
                text("decide_after"),
                // The next holder gets a greater one, so that what was sent under this one is read back.
                int("lease_epoch"),
                moment("work_at"),
                int("setbacks"),
                moment("token_check_at"),
                int("clock_skew_ms"),
            ],
        )
    },
    rows(
        "token_keys",
        "created_at, id",
        &[uuid("id"), int("server_id"), bytes("certificate"), bytes("private_key"), moment("created_at")],
    ),
    rows(
        "server_tokens",
        "imported_at, id",
        &[
            uuid("id"),
            int("server_id"),
            uuid("key_id"),
            text("consumer_key"),
            bytes("secrets"),
            moment("expires_at"),
            moment("imported_at"),
            bool("is_current"),
            json("account"),
            text("imported_by"),
            moment("replaced_at"),
            moment("restored_at"),
            text("restored_by"),
            int("told_rung"),
        ],
    ),
    // Profiles name revisions, and revisions profiles: the drivers look at that at the end.
    numbered(
        "profiles",
        &[
            int("id"),
            text("name"),
            moment("created_at"),
            int("in_force_id"),
            int("staged_id"),
            int("staged_percent"),
            bool("staged_paused"),
            moment("removed_at"),
        ],
    ),
    numbered(
        "profile_revisions",
        &[
            int("id"),
            int("profile_id"),
            int("number"),
            json("content"),
            text("content_hash"),
            moment("created_at"),
            json("document"),
            text("document_hash"),
            bytes("secrets"),
            uuid("secrets_id"),
            text("author"),
            text("note"),
            moment("in_force_at"),
        ],
    ),
    numbered(
        "published_profiles",
        &[
            int("id"),
            int("server_id"),
            int("revision_id"),
            text("profile_uuid"),
            text("error"),
            moment("next_attempt_at"),
            moment("at"),
            text("differs"),
        ],
    ),
    rows("server_defaults", "server_id, scope", &[int("server_id"), text("scope"), int("profile_id")]),
    rows("configuration_changes", "version", &[int("version"), moment("at"), text("by"), json("changes")]),
    numbered(
        "rules",
        &[int("id"), int("place"), text("name"), int("server_id"), json("conditions"), int("profile_id")],
    ),
    numbered(
        "devices",
        &[
            int("id"),
            int("server_id"),
            text("serial"),
            text("model"),
            text("description"),
            text("color"),
            text("asset_tag"),
            text("device_family"),
            text("os"),
            text("profile_status"),
            text("profile_uuid"),
            moment("profile_assign_time"),
            moment("profile_push_time"),
            text("device_assigned_by"),
            moment("device_assigned_date"),
            moment("mdm_migration_deadline"),
            json("extra"),
            moment("op_date"),
            moment("first_seen_at"),
            moment("last_seen_at"),
            int("seen_run"),
            moment("removed_at"),
            text("assign_state"),
            text("assign_reason"),
            int("attempts"),
            moment("next_attempt_at"),
            int("wanted_revision_id"),
            int("sent_epoch"),
            int("op_digest"),
            text("hold"),
            of("tags", Kind::TextList),
            int("rule_id"),
        ],
    ),
    // A run that was under way is ended as an interrupted one by the next, as after a kill.
    numbered(
        "sync_runs",
        &[
            int("id"),
            int("server_id"),
            text("kind"),
            text("trigger"),
            moment("started_at"),
            moment("finished_at"),
            text("outcome"),
            text("error"),
            int("pages"),
            int("records"),
            int("added"),
            int("modified"),
            int("removed"),
            int("epoch"),
            text("requested_by"),
        ],
    ),
    // What was to be sent when the backup was made: Apple is asked about it before anything else, as after a kill.
    numbered("intents", &[int("id"), int("server_id"), of("serials", Kind::TextList), moment("at")]),
    numbered(
        "events",
        &[
            int("id"),
            int("server_id"),
            text("serial"),
            text("kind"),
            moment("at"),
            int("run_id"),
            json("data"),
        ],
    ),
    numbered(
        "bulk_changes",
        &[
            int("id"),
            moment("at"),
            text("by"),
            text("what"),
            json("undo"),
            moment("undone_at"),
            text("undone_by"),
        ],
    ),
    numbered(
        "webhooks",
        &[
            int("id"),
            text("url"),
            of("events", Kind::TextList),
            of("servers", Kind::IntList),
            text("format"),
            bool("thin"),
            bool("ordered"),
            int("concurrency"),
            text("state"),
            text("reason"),
            moment("since"),
            moment("created_at"),
            moment("failing_since"),
            moment("last_delivered_at"),
            moment("wait_until"),
        ],
    ),
    rows(
        "webhook_secrets",
        "created_at, id",
        &[uuid("id"), int("webhook_id"), bytes("secret"), moment("created_at"), moment("valid_until")],
    ),
    Table {
        left_out: &[("sending", "the process that sends it works on the other database")],
        ..numbered(
            "deliveries",
            &[
                int("id"),
                int("webhook_id"),
                int("event_id"),
                moment("at"),
                int("server_id"),
                text("serial"),
                bool("ordered"),
                text("state"),
                int("claim"),
                int("failures"),
                moment("due_at"),
                moment("finished_at"),
                int("last_status"),
                text("last_error"),
            ],
        )
    },
    Table {
        left_out: &[("id", "only SQLite has it, and nothing refers to it")],
        ..rows(
            "delivery_attempts",
            "delivery_id, claim",
            &[
                int("delivery_id"),
                int("claim"),
                moment("at"),
                int("duration_ms"),
                int("status"),
                text("error"),
                text("request"),
                text("answer"),
            ],
        )
    },
    rows(
        "escrow",
        "id",
        &[
            uuid("id"),
            int("server_id"),
            text("serial"),
            text("kind"),
            bytes("secret"),
            text("state"),
            text("detail"),
            moment("created_at"),
            text("created_by"),
            moment("since"),
            moment("viewed_at"),
            moment("rotate_at"),
        ],
    ),
    rows(
        "audit",
        "number",
        &[
            int("number"),
            moment("at"),
            text("actor"),
            text("action"),
            text("object_kind"),
            text("object_name"),
            // Texts, exactly as they were hashed.
            text("before"),
            text("after"),
            text("reason"),
            text("request"),
            text("hash"),
        ],
    ),
    // After the entries, because the head only goes forward.
    one_row("audit_head", &[int("number"), text("hash")]),
];

impl Table {
    /// The columns that a backup of that version has.
    pub fn columns_of(&self, schema: u32) -> Vec<&'static Column> {
        self.columns.iter().filter(|column| column.since <= schema).collect()
    }
}

/// The tables that a backup of that version has.
pub fn tables_of(schema: u32) -> impl Iterator<Item = &'static Table> {
    TABLES.iter().filter(move |table| table.since <= schema)
}
