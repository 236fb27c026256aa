use std::fmt;

use uuid::Uuid;

/// A column that holds sealed values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Column {
    /// Its table.
    pub table: &'static str,
    /// Its name.
    pub column: &'static str,
    /// The column with the UUID that a seal is bound to. Several rows may share a UUID, and with it what is sealed.
    pub row: &'static str,
}

/// What a seal is bound to, so that it opens nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The column.
    pub column: Column,
    /// The UUID of its row.
    pub row: Uuid,
}

impl Column {
    /// A row of this column.
    #[must_use]
    pub fn at(self, row: Uuid) -> Place {
        Place { column: self, row }
    }
}

/// Like `token_keys.private_key`.
impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.table, self.column)
    }
}

/// The column, a slash, the UUID. Seals are bound to this text, so that it must never change.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.column, self.row)
    }
}

macro_rules! sealed_columns {
    ($($(#[$doc:meta])+ $name:ident = $table:literal $column:literal by $row:literal;)+) => {
        $($(#[$doc])+ pub const $name: Column = Column { table: $table, column: $column, row: $row };)+

        /// Every column that holds sealed values: what a rotation goes through.
        pub const SEALED: &[Column] = &[$($name),+];
    };
}

sealed_columns! {
    /// The private key of a token key.
    TOKEN_PRIVATE_KEY = "token_keys" "private_key" by "id";
    /// Consumer secret, access token and access secret of a server token.
    SERVER_TOKEN_SECRETS = "server_tokens" "secrets" by "id";
    /// The passwords of a revision of a profile. Revisions with the same passwords share them.
    PROFILE_SECRETS = "profile_revisions" "secrets" by "secrets_id";
    /// A secret that signs webhooks.
    WEBHOOK_SECRET = "webhook_secrets" "secret" by "id";
    /// A bypass code or a password of a device.
    ESCROW_SECRET = "escrow" "secret" by "id";
}
