//! Opening, migrating and closing; one enum of two native pools and the macros that dispatch on it.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, Database, Pool};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::StoreError;

/// How long a SQLite statement waits for another process's lock (a backup, an operator's shell).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call waits for a connection of a pool; then it fails with `Unavailable`.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Readers beside the one writer; more only queue on two cores.
const SQLITE_READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 10;
/// How long a start waits for PostgreSQL's machine to take the connection: the pool would try for as long as
/// [`ACQUIRE_TIMEOUT`], and who started griot by hand shall hear of a wrong address at once.
const REACH_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a start waits for PostgreSQL to let us in once its machine has answered.
const GREET_TIMEOUT: Duration = Duration::from_secs(5);
/// Where sqlx notes what it has applied.
const MIGRATIONS_TABLE: &str = "_sqlx_migrations";

/// Where the rows are.
#[derive(Clone, Debug)]
pub struct Config {
    /// `sqlite:PATH` (created when it is not there) or `postgres://…`.
    pub url: String,
}

/// One step of the migrations, before it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrating {
    /// Its number.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// Which step of this start it is, from 1.
    pub step: usize,
    /// How many steps this start takes.
    pub steps: usize,
}

/// The rows. Cheap to clone; clones share the pools.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) db: Db,
}

/// Native pools, not `sqlx::Any`: bool, blobs and Option work on both, and SQLite's writer can be one
/// connection that begins with BEGIN IMMEDIATE, without which a read followed by a write in one
/// transaction fails when another writer was faster (`BUSY_SNAPSHOT`, which no timeout helps).
#[derive(Clone, Debug)]
pub(super) enum Db {
    Sqlite {
        readers: SqlitePool,
        /// Of one connection: writers queue here in order instead of polling for the file's lock.
        writer: SqlitePool,
    },
    Postgres(PgPool),
}

/// Evaluates an expression with `$pool` a pool to read from; type-checked once for each database.
macro_rules! read {
    ($store:expr, $pool:ident => $body:expr) => {
        match &$store.db {
            $crate::store::db::Db::Sqlite { readers: $pool, .. } => $body,
            $crate::store::db::Db::Postgres($pool) => $body,
        }
    };
}

/// Evaluates an expression with `$pool` a pool that takes one writing statement.
macro_rules! write {
    ($store:expr, $pool:ident => $body:expr) => {
        match &$store.db {
            $crate::store::db::Db::Sqlite { writer: $pool, .. } => $body,
            $crate::store::db::Db::Postgres($pool) => $body,
        }
    };
}

/// Evaluates a block inside a transaction and commits it; leaving the block early rolls back.
macro_rules! in_tx {
    ($store:expr, $tx:ident => $body:block) => {
        match &$store.db {
            $crate::store::db::Db::Sqlite { writer, .. } => {
                let mut $tx = writer.begin_with("BEGIN IMMEDIATE").await?;
                let out = $body;
                $tx.commit().await?;
                out
            }
            $crate::store::db::Db::Postgres(pool) => {
                let mut $tx = pool.begin().await?;
                let out = $body;
                $tx.commit().await?;
                out
            }
        }
    };
}

/// Names a file's SQL texts and lists them, so that a test can prepare each on every database.
macro_rules! sql {
    ($($(#[$meta:meta])* $name:ident = $text:expr;)+) => {
        $($(#[$meta])* const $name: &str = $text;)+
        #[cfg(test)]
        pub(super) const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $text)),+];
    };
}

pub(super) use {in_tx, read, sql, write};

/// A change by id has met its row, or there is none.
pub(super) fn one(rows_affected: u64) -> Result<(), StoreError> {
    if rows_affected == 0 {
        return Err(StoreError::NotFound);
    }
    Ok(())
}

/// A count, which is never negative.
pub(super) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

impl Store {
    /// Opens the database and brings its schema to this program's version.
    ///
    /// # Errors
    /// `Config` for an address that is not understood, `Unavailable` when nothing answers there, `Migration`.
    pub async fn open(config: &Config) -> Result<Self, StoreError> {
        Self::open_telling(config, &mut |_| {}).await
    }

    /// [`Store::open`], telling `progress` of each migration before it runs.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_telling(
        config: &Config,
        progress: &mut (dyn FnMut(Migrating) + Send),
    ) -> Result<Self, StoreError> {
        let db = if config.url.starts_with("sqlite:") {
            open_sqlite(&config.url, progress).await?
        } else if config.url.starts_with("postgres:") || config.url.starts_with("postgresql:") {
            open_postgres(&config.url, progress).await?
        } else {
            return Err(StoreError::Config(
                "the database address begins neither with sqlite: nor with postgres:".to_owned(),
            ));
        };
        Ok(Self { db })
    }

    /// Waits for what runs and closes the pools; later calls fail with `Unavailable`.
    pub async fn close(&self) {
        match &self.db {
            Db::Sqlite { readers, writer } => {
                // The writer last: the last connection to go empties the WAL, and readers may not write.
                readers.close().await;
                writer.close().await;
            }
            Db::Postgres(pool) => pool.close().await,
        }
    }
}

async fn open_sqlite(
    url: &str,
    progress: &mut (dyn FnMut(Migrating) + Send),
) -> Result<Db, StoreError> {
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err(StoreError::Config(
            "the database must be a file: in memory, readers and writer would each have their own"
                .to_owned(),
        ));
    }
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|error| StoreError::Config(format!("database address: {error}")))?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL loses acknowledged commits when the power goes.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true);
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        // A commit that a full disk refuses has been rolled back by SQLite itself; sqlx's own rollback then fails,
        // and it takes the connection for one inside a transaction for ever. The pool's test before this has
        // waited until every rollback was tried.
        .before_acquire(|connection, _| {
            let stuck = connection.is_in_transaction();
            Box::pin(async move { Ok(!stuck) })
        })
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options.clone())
        .await?;
    migrate(&sqlx::migrate!("migrations/sqlite"), &writer, progress).await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(SQLITE_READERS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options.pragma("query_only", "on"))
        .await?;
    Ok(Db::Sqlite { readers, writer })
}

async fn open_postgres(
    url: &str,
    progress: &mut (dyn FnMut(Migrating) + Send),
) -> Result<Db, StoreError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|error| StoreError::Config(format!("database address: {error}")))?;
    greet(&options).await?;
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options)
        .await?;
    migrate(&sqlx::migrate!("migrations/postgres"), &pool, progress).await?;
    Ok(Db::Postgres(pool))
}

/// One connection, made and closed: what does not work is said at once.
async fn greet(options: &PgConnectOptions) -> Result<(), StoreError> {
    let late = |what: &str| {
        let said = format!("{what} did not answer in time");
        StoreError::Unavailable(sqlx::Error::Io(io::Error::new(
            io::ErrorKind::TimedOut,
            said,
        )))
    };
    if options.get_socket().is_none() && !options.get_host().starts_with('/') {
        let address = (options.get_host(), options.get_port());
        let reached = timeout(REACH_TIMEOUT, TcpStream::connect(address)).await;
        drop(
            reached
                .map_err(|_| late("its machine"))?
                .map_err(sqlx::Error::Io)?,
        );
    }
    let greeted = timeout(GREET_TIMEOUT, PgConnection::connect_with(options)).await;
    let connection = greeted.map_err(|_| late("PostgreSQL"))?.map_err(refused)?;
    // The server notices by itself when saying goodbye fails.
    drop(connection.close().await);
    Ok(())
}

/// PostgreSQL answers and does not let us in: a wrong password, user or database is for the operator to mend.
fn refused(error: sqlx::Error) -> StoreError {
    match &error {
        // 28 invalid authorization, 3D invalid catalog name. Their messages hold names, never the password.
        sqlx::Error::Database(said)
            if said
                .code()
                .is_some_and(|code| code.starts_with("28") || code.starts_with("3D")) =>
        {
            StoreError::Config(said.message().to_owned())
        }
        _ => error.into(),
    }
}

async fn migrate<DB>(
    migrator: &Migrator,
    pool: &Pool<DB>,
    progress: &mut (dyn FnMut(Migrating) + Send),
) -> Result<(), StoreError>
where
    DB: Database,
    DB::Connection: Migrate,
{
    let mut connection = pool.acquire().await?;
    connection
        .ensure_migrations_table(MIGRATIONS_TABLE)
        .await
        .map_err(migration_error)?;
    let applied: Vec<i64> = connection
        .list_applied_migrations(MIGRATIONS_TABLE)
        .await
        .map_err(migration_error)?
        .into_iter()
        .map(|migration| migration.version)
        .collect();
    drop(connection);
    let pending: Vec<_> = migrator
        .iter()
        .filter(|migration| !applied.contains(&migration.version))
        .collect();
    for (index, migration) in pending.iter().enumerate() {
        progress(Migrating {
            version: migration.version,
            name: migration.description.clone().into_owned(),
            step: index + 1,
            steps: pending.len(),
        });
        migrator
            .run_to(migration.version, pool)
            .await
            .map_err(migration_error)?;
    }
    // Also when nothing is pending: compares checksums and finds a database of a newer program.
    migrator.run(pool).await.map_err(migration_error)
}

fn migration_error(error: MigrateError) -> StoreError {
    StoreError::Migration(error)
}
