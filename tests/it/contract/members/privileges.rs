//! What the migration needs, and what it makes of less.

use diesel::connection::SimpleConnection;
use shared::db::{DatabaseUrl, DbConnection, migrations};
use shared::domain::OutboxMessageId;
use shared::members::{Write, capture};

use crate::harness::{Shell, TestDatabase, on_each_database};

on_each_database! {
    a_trigger_that_is_taken_away_is_missed,
}

async fn missing(database: &TestDatabase) -> Vec<Write> {
    database
        .read(|connection| Ok(capture(connection)?.missing().to_vec()))
        .await
}

async fn a_trigger_that_is_taken_away_is_missed(database: &TestDatabase) {
    assert_eq!(missing(database).await, []);
    for (write, left) in [
        (Write::Update, vec![Write::Update]),
        (Write::Insert, vec![Write::Insert, Write::Update]),
    ] {
        let on_table = if database.url().is_embedded() {
            ""
        } else {
            " ON members"
        };
        database.shell(&format!("DROP TRIGGER {}{on_table}", write.trigger()));
        assert_eq!(missing(database).await, left);
    }
}

/// A role and a database of its own, on the server of the tests, in which nobody may write functions
/// in plpgsql; gone when dropped.
struct Restricted {
    server: DatabaseUrl,
    name: String,
}

impl Restricted {
    fn make(server: &str) -> Self {
        let name = format!("test_{}", OutboxMessageId::generate()).replace('-', "_");
        let restricted = Self {
            server: server.parse().unwrap(),
            name: name.clone(),
        };
        restricted.at_server(&format!("CREATE ROLE {name} LOGIN"));
        restricted.at_server(&format!("CREATE ROLE {name}_writer LOGIN"));
        restricted.at_server(&format!("CREATE DATABASE {name} OWNER {name}"));
        restricted
            .as_role("postgres", "REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC")
            .unwrap();
        restricted
    }

    fn at_server(&self, sql: &str) {
        DbConnection::establish(&self.server)
            .unwrap()
            .batch_execute(sql)
            .unwrap();
    }

    /// The address for a role.
    fn url(&self, role: &str) -> DatabaseUrl {
        let server = self.server.reveal();
        let (_, rest) = server.split_once('@').unwrap();
        let (host, _) = rest.split_once('/').unwrap();
        format!("postgres://{role}@{host}/{}", self.name)
            .parse()
            .unwrap()
    }

    fn as_role(&self, role: &str, sql: &str) -> Result<String, String> {
        Shell::start(&self.url(role), sql).end()
    }
}

impl Drop for Restricted {
    fn drop(&mut self) {
        let name = &self.name;
        for sql in [
            format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            format!("DROP ROLE IF EXISTS {name}_writer"),
            format!("DROP ROLE IF EXISTS {name}"),
        ] {
            let dropped = DbConnection::establish(&self.server)
                .map(|mut connection| connection.batch_execute(&sql));
            assert!(
                std::thread::panicking() || matches!(dropped, Ok(Ok(()))),
                "{sql}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_write_functions_the_schema_is_whole_and_its_triggers_come_later() {
    let server = std::env::var("TEST_POSTGRES_URL").unwrap_or_else(|_| {
        panic!("TEST_POSTGRES_URL is not set: run ./scripts/test, which starts a PostgreSQL for the tests")
    });
    let restricted = Restricted::make(&server);
    let owner = restricted.name.clone();
    let mut connection = DbConnection::establish(&restricted.url(&owner)).unwrap();
    migrations::run(&mut connection).unwrap();
    migrations::check(&mut connection).unwrap();
    let covered = capture(&mut connection).unwrap();
    assert_eq!(covered.missing(), [Write::Insert, Write::Update]);

    restricted
        .as_role(
            "postgres",
            &format!("GRANT USAGE ON LANGUAGE plpgsql TO {owner}"),
        )
        .unwrap();
    // From a session that looks elsewhere for its tables.
    restricted
        .as_role(
            &owner,
            "SET search_path = pg_temp; SELECT public.create_member_triggers()",
        )
        .unwrap();
    assert_eq!(capture(&mut connection).unwrap().missing(), []);

    // Who may write members need not know of the outbox.
    restricted
        .as_role(
            &owner,
            &format!(
                "UPDATE notification_routes SET enabled = TRUE, recipients = '@all' WHERE channel = 'wecom_app'; \
                 GRANT INSERT, SELECT, UPDATE ON members TO {owner}_writer"
            ),
        )
        .unwrap();
    let writer = format!("{owner}_writer");
    restricted
        .as_role(
            &writer,
            "SET search_path = pg_temp; INSERT INTO public.members (member_no) VALUES ('M1'); \
             UPDATE public.members SET city = '杭州'",
        )
        .unwrap();
    let refused = restricted.as_role(&writer, "SELECT payload FROM outbox_messages");
    assert!(refused.unwrap_err().contains("permission denied"));
    let told = restricted
        .as_role(
            &owner,
            "SELECT kind, payload::jsonb ->> 'location' FROM outbox_messages",
        )
        .unwrap();
    assert_eq!(told, "member.registered|杭州");

    assert!(migrations::revert_all(&mut connection).unwrap() > 0);
    assert_eq!(
        migrations::run(&mut connection).map_err(|error| error.to_string()),
        Ok(migrations::known(&connection).unwrap().len())
    );
    drop(connection);
}
