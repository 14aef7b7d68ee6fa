//! The staff in the database: whom messages are for, and who assigns.

use diesel::prelude::*;
use shared::db::schema::{bindings, users};
use shared::db::{Database, DbError, each_backend};
use shared::domain::{App, BindingId, Role, UserId, UtcTimestamp};

use crate::message::APPID;

/// Somebody with a binding.
#[derive(Debug, Clone)]
pub struct Person {
    /// Who.
    pub id: UserId,
}

/// The openid of the person of this number; 28 characters, as real ones have.
pub fn openid(number: usize) -> String {
    format!("o{number:027}")
}

/// Puts so many people into the database.
///
/// # Errors
/// What the database says.
pub async fn hire(
    database: &Database,
    count: usize,
    now: UtcTimestamp,
) -> Result<Vec<Person>, DbError> {
    let people: Vec<Person> = (0..count)
        .map(|_| Person {
            id: UserId::generate(),
        })
        .collect();
    let hired = people.clone();
    database
        .write(move |transaction| {
            let connection = transaction.connection();
            let numbered: Vec<(usize, Person)> = hired.into_iter().enumerate().collect();
            // SQLite takes 32,766 values in a statement.
            for chunk in numbered.chunks(1_000) {
                let user_rows: Vec<_> = chunk
                    .iter()
                    .map(|(number, person)| {
                        (
                            users::id.eq(person.id.clone()),
                            users::username.eq(format!("bench-{number}")),
                            // Nobody can log in with it.
                            users::password_hash.eq("none"),
                            users::name.eq(format!("员工{number}")),
                            users::role.eq(Role::Employee),
                            users::created_at.eq(now),
                            users::updated_at.eq(now),
                        )
                    })
                    .collect();
                let binding_rows: Vec<_> = chunk
                    .iter()
                    .map(|(number, person)| {
                        (
                            bindings::id.eq(BindingId::generate()),
                            bindings::user_id.eq(person.id.clone()),
                            bindings::app.eq(App::mini_program(APPID)),
                            bindings::external_id.eq(openid(*number)),
                            bindings::created_at.eq(now),
                            bindings::updated_at.eq(now),
                        )
                    })
                    .collect();
                each_backend!(&mut *connection, |c| diesel::insert_into(users::table)
                    .values(user_rows)
                    .execute(c))?;
                each_backend!(&mut *connection, |c| diesel::insert_into(bindings::table)
                    .values(binding_rows)
                    .execute(c))?;
            }
            Ok::<_, DbError>(())
        })
        .await?;
    Ok(people)
}
