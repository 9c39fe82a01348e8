//! What a caller of the store can decide upon.

use crate::base::{ErrorKind, LiveId};

/// Why a call on the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The row that was to be changed, or one that a new row points at, is not there.
    #[error("there is no such row")]
    NotFound,
    /// A unique column holds this value already; the name is `table.column`
    /// (`users.email`, `users.username`, …), `unique` for one that has no name here.
    #[error("{0} is taken")]
    Conflict(&'static str),
    /// The owner has a live that has not ended: this one.
    #[error("live {0} of this member has not ended")]
    LiveOpen(LiveId),
    /// The database cannot be reached, is full, or stays locked past the busy timeout.
    #[error("the database is away: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The database cannot be opened with this configuration; the text names the cause.
    #[error("{0}")]
    Config(String),
    /// The schema cannot be brought to this program's version.
    #[error("migration failed: {0}")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// A statement or a row that this program does not understand: our fault.
    #[error("database error: {0}")]
    Broken(#[source] sqlx::Error),
}

impl StoreError {
    /// What the caller's caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound => ErrorKind::NotFound,
            Self::Conflict(_) | Self::LiveOpen(_) => ErrorKind::Conflict,
            Self::Unavailable(_) => ErrorKind::Unavailable,
            Self::Config(_) | Self::Migration(_) | Self::Broken(_) => ErrorKind::Internal,
        }
    }
}

/// Our name of a unique constraint, what SQLite calls it (the columns, in its message) and what
/// PostgreSQL calls it (the constraint).
const UNIQUE: &[(&str, &str, &str)] = &[
    ("users.username", "users.username", "users_username_key"),
    ("users.email", "users.email", "users_email_key"),
    ("users.id", "users.id", "users_pkey"),
    (
        "stream_keys.key_hmac",
        "stream_keys.key_hmac",
        "stream_keys_key_hmac_key",
    ),
    (
        "refresh_tokens.jti",
        "refresh_tokens.jti",
        "refresh_tokens_pkey",
    ),
    (
        "lives.playback_id",
        "lives.playback_id",
        "lives_playback_id_key",
    ),
    (
        "lives.owner_id",
        "lives.owner_id",
        "lives_one_open_per_owner",
    ),
    (
        "runs.number",
        "runs.recording_id, runs.rendition, runs.number",
        "runs_recording_id_rendition_number_key",
    ),
    ("media.public_id", "media.public_id", "media_public_id_key"),
    (
        "jobs.dedupe_key",
        "jobs.dedupe_key",
        "jobs_one_active_per_key",
    ),
    (
        "segments.msn",
        "segments.run_id, segments.msn",
        "segments_pkey",
    ),
];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::RowNotFound => Self::NotFound,
            sqlx::Error::Database(database) => {
                if database.is_unique_violation() {
                    let message = database.message();
                    let columns = message.rsplit("failed: ").next();
                    let name = UNIQUE
                        .iter()
                        .find(|(_, sqlite, postgres)| {
                            database.constraint() == Some(*postgres) || columns == Some(*sqlite)
                        })
                        .map_or("unique", |(name, _, _)| *name);
                    Self::Conflict(name)
                } else if database.is_foreign_key_violation() {
                    Self::NotFound
                } else if is_away(database.code().as_deref().unwrap_or_default()) {
                    Self::Unavailable(error)
                } else {
                    Self::Broken(error)
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            _ => Self::Broken(error),
        }
    }
}

/// Whether a database's error code says that it is out of reach, out of room or locked.
///
/// PostgreSQL: five characters, by class: 08 connection, 53 resources, 57 operator, 40 rolled back, 55 locked.
/// SQLite: an extended result code whose low byte is `SQLITE_BUSY` 5, LOCKED 6, READONLY 8, IOERR 10,
/// FULL 13 or CANTOPEN 14.
fn is_away(code: &str) -> bool {
    if code.len() == 5 {
        return ["08", "53", "57", "40", "55"].contains(&&code[..2]);
    }
    code.parse::<u32>()
        .is_ok_and(|code| [5, 6, 8, 10, 13, 14].contains(&(code & 0xff)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_lock_are_unavailable_and_a_syntax_error_is_not() {
        // sqlite.org/rescode.html: SQLITE_FULL 13, SQLITE_BUSY_SNAPSHOT 517, SQLITE_IOERR_WRITE 778, SQLITE_ERROR 1.
        for code in ["13", "517", "778", "5"] {
            assert!(is_away(code), "{code}");
        }
        assert!(!is_away("1"));
        // postgresql.org errcodes: 53100 disk_full, 57P01 admin_shutdown, 42601 syntax_error.
        for code in ["53100", "57P01", "08006"] {
            assert!(is_away(code), "{code}");
        }
        assert!(!is_away("42601"));
        assert!(!is_away(""));
    }
}
