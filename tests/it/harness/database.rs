use std::env;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use shared::db::schema::outbox_messages;
use shared::db::{
    Database, DatabaseUrl, DbConnection, DbError, PoolOptions, WriteTransaction, migrations,
};
use shared::domain::OutboxMessageId;
use shared::outbox::Status;
use tempfile::TempDir;

/// A migrated database of the test's own. It goes away with the test, and on its way proves that no
/// message was left leased.
pub struct TestDatabase {
    url: DatabaseUrl,
    database: Database,
    place: Place,
    leases_may_remain: AtomicBool,
}

/// Where the data is, and what is to be cleared away.
enum Place {
    /// A file, never `:memory:`: locks, the write-ahead log and second connections belong to what
    /// is tested.
    Folder { _folder: TempDir },
    /// A schema on the server of `TEST_POSTGRES_URL`.
    Schema { name: String, server: DatabaseUrl },
}

impl TestDatabase {
    /// The embedded database.
    pub async fn sqlite() -> Self {
        Self::sqlite_in(&env::temp_dir()).await
    }

    /// The embedded database, in a folder of its own in `place`.
    pub async fn sqlite_in(place: &Path) -> Self {
        let folder = tempfile::tempdir_in(place).unwrap();
        let url = DatabaseUrl::sqlite_file(&folder.path().join("test.db"));
        Self::migrated(url, Place::Folder { _folder: folder }).await
    }

    /// PostgreSQL, or a failure that says how to get one.
    pub async fn postgres() -> Self {
        let server = env::var("TEST_POSTGRES_URL").unwrap_or_else(|_| {
            panic!("TEST_POSTGRES_URL is not set: run ./scripts/test, which starts a PostgreSQL for the tests")
        });
        Self::on_server(&server).await
    }

    /// In a schema of its own on this server.
    pub async fn on_server(server: &str) -> Self {
        // Sortable, unique, and valid as a name without quotes.
        let name = format!("test_{}", OutboxMessageId::generate()).replace('-', "_");
        let separator = if server.contains('?') { '&' } else { '?' };
        let url =
            format!("{server}{separator}options=-csearch_path%3D{name}&application_name={name}")
                .parse()
                .unwrap();
        let server: DatabaseUrl = server.parse().unwrap();
        execute(&server, &format!("CREATE SCHEMA {name}"));
        Self::migrated(url, Place::Schema { name, server }).await
    }

    async fn migrated(url: DatabaseUrl, place: Place) -> Self {
        migrations::run(&mut DbConnection::establish(&url).unwrap()).unwrap();
        let database = Database::connect(&url, PoolOptions::default())
            .await
            .unwrap();
        Self {
            url,
            database,
            place,
            leases_may_remain: AtomicBool::new(false),
        }
    }

    /// Its address, for another pool or process.
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// Which of the two it is, for readers.
    pub fn name(&self) -> &'static str {
        match self.place {
            Place::Folder { .. } => "sqlite",
            Place::Schema { .. } => "postgres",
        }
    }

    /// The database as the services use it.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// A connection that has nothing to do with the pool, as another process would have it.
    pub fn connection(&self) -> DbConnection {
        DbConnection::establish(&self.url).unwrap()
    }

    /// This test ends with messages in the hands of a relay, on purpose.
    pub fn leases_may_remain(&self) {
        self.leases_may_remain.store(true, Ordering::Relaxed);
    }

    /// Reads, and fails the test if that fails.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut DbConnection) -> Result<T, DbError> + Send + 'static,
    ) -> T {
        self.database.run(work).await.unwrap()
    }

    /// Writes, and fails the test if that fails.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut WriteTransaction<'_>) -> Result<T, DbError> + Send + 'static,
    ) -> T {
        self.database.write(work).await.unwrap()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let must_be_free = !thread::panicking() && !self.leases_may_remain.load(Ordering::Relaxed);
        let leased = must_be_free.then(|| leased_messages(&mut self.connection()));
        if let Place::Schema { name, server } = &self.place {
            // A test that failed may have left a lock behind; it must not be waited for.
            let drop_schema = format!("SET lock_timeout = '2s'; DROP SCHEMA {name} CASCADE");
            if thread::panicking() {
                let _ = DbConnection::establish(server)
                    .map(|mut connection| connection.batch_execute(&drop_schema));
            } else {
                execute(server, &drop_schema);
            }
        }
        assert!(
            leased.is_none_or(|count| count == 0),
            "{leased:?} messages are left in status sending"
        );
    }
}

fn leased_messages(connection: &mut DbConnection) -> i64 {
    outbox_messages::table
        .filter(outbox_messages::status.eq(Status::Sending))
        .count()
        .get_result(connection)
        .unwrap()
}

fn execute(url: &DatabaseUrl, sql: &str) {
    DbConnection::establish(url)
        .unwrap()
        .batch_execute(sql)
        .unwrap();
}

/// Makes `sqlite::x` and `postgres::x` of every case `async fn x(database: &TestDatabase)` that is
/// listed. A case that is not listed is dead code, and the build says so.
macro_rules! on_each_database {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    super::$case(&$crate::harness::TestDatabase::sqlite().await).await;
                }
            )+
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    super::$case(&$crate::harness::TestDatabase::postgres().await).await;
                }
            )+
        }
    };
}
pub(crate) use on_each_database;
