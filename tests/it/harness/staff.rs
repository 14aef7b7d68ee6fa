//! Users and customers put straight into the tables, for tests of something else: hashing a
//! password for each takes its time.

use crm_api::auth::service_token::{self, NewServiceToken, Scope};
use crm_api::auth::token::Tokens;
use diesel::prelude::*;
use secrecy::ExposeSecret;
use shared::clock::{Clock, SystemClock};
use shared::db::schema::{customers, users};
use shared::domain::{CustomerId, Role, UserId, UtcTimestamp};
use shared::operation_log::Actor;

use super::api::SECRET;
use super::{Session, TestDatabase, moment};

impl TestDatabase {
    /// A user with a valid token; nobody can log in as them.
    pub async fn staff(&self, username: &'static str, name: &'static str, role: Role) -> Session {
        let id = UserId::generate();
        let row = (
            users::id.eq(id.clone()),
            users::username.eq(username),
            users::password_hash.eq("none"),
            users::name.eq(name),
            users::role.eq(role),
            users::created_at.eq(moment()),
            users::updated_at.eq(moment()),
        );
        self.write(move |transaction| {
            diesel::insert_into(users::table)
                .values(row)
                .execute(transaction.connection())?;
            Ok(())
        })
        .await;
        let token = Tokens::new(&SECRET.into())
            .issue(&id, 0, SystemClock.now())
            .unwrap();
        Session {
            id: id.to_string(),
            token,
        }
    }

    /// Another program with a service token for this, good for ever.
    pub async fn program(&self, name: &str, scopes: &[Scope]) -> Session {
        self.program_until(name, scopes, None).await
    }

    /// The same, good until then.
    pub async fn program_until(
        &self,
        name: &str,
        scopes: &[Scope],
        expires_at: Option<UtcTimestamp>,
    ) -> Session {
        let new = NewServiceToken {
            name: name.parse().unwrap(),
            scopes: scopes.to_vec(),
            expires_at,
        };
        let made = self.database().write(move |transaction| {
            service_token::create(transaction, new, &tester(), SystemClock.now())
        });
        let (token, secret) = made.await.unwrap();
        Session {
            id: token.id.to_string(),
            token: secret.expose_secret().to_owned(),
        }
    }

    /// Takes the token of a program away.
    pub async fn revoke(&self, program: &Session) {
        let id = program.id.clone();
        let revoked = self.database().write(move |transaction| {
            service_token::revoke(transaction, &id, &tester(), SystemClock.now())
        });
        revoked.await.unwrap();
    }

    /// A customer of somebody; nobody is told. Answers the id.
    pub async fn lead(&self, name: &str, phone: &str, owner: &Session) -> String {
        self.store_leads(vec![(name.to_owned(), phone.to_owned())], Some(&owner.id))
            .await
            .remove(0)
    }

    /// Many customers of somebody.
    pub async fn leads(&self, count: u32, owner: &Session) -> Vec<String> {
        self.store_leads(numbered(count, 3), Some(&owner.id)).await
    }

    /// A customer in the public pool, released as lost. Answers the id.
    pub async fn pooled_lead(&self, name: &str, phone: &str) -> String {
        self.store_leads(vec![(name.to_owned(), phone.to_owned())], None)
            .await
            .remove(0)
    }

    /// Many customers in the public pool.
    pub async fn pooled_leads(&self, count: u32) -> Vec<String> {
        self.store_leads(numbered(count, 5), None).await
    }

    async fn store_leads(&self, leads: Vec<(String, String)>, owner: Option<&str>) -> Vec<String> {
        let pooled = owner.is_none();
        let owner = owner.map(str::to_owned);
        self.write(move |transaction| {
            let mut ids = Vec::with_capacity(leads.len());
            for (name, phone) in leads {
                let id = CustomerId::generate();
                let row = (
                    customers::id.eq(id.clone()),
                    customers::number.eq(format!("CUS{phone}")),
                    customers::name.eq(name),
                    customers::phone.eq(phone),
                    customers::lead_source.eq("美团"),
                    customers::service_category.eq("月嫂"),
                    customers::lead_level.eq(if pooled { "流失" } else { "A类" }),
                    customers::contract_status.eq("待定"),
                    customers::assigned_to.eq(owner.clone()),
                    customers::in_public_pool.eq(pooled),
                    customers::pool_entered_at.eq(pooled.then(moment)),
                    customers::pool_reason.eq(pooled.then_some("联系不上")),
                    customers::last_activity_at.eq(moment()),
                    customers::created_at.eq(moment()),
                    customers::updated_at.eq(moment()),
                );
                diesel::insert_into(customers::table)
                    .values(row)
                    .execute(transaction.connection())?;
                ids.push(id.to_string());
            }
            Ok(ids)
        })
        .await
    }
}

fn tester() -> Actor {
    Actor::Console("tester".to_owned())
}

/// Names and numbers that differ from each other, and from those of another `series`.
fn numbered(count: u32, series: u32) -> Vec<(String, String)> {
    (0..count)
        .map(|n| (format!("客户{n}"), format!("1{series}9{n:08}")))
        .collect()
}
