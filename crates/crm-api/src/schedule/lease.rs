use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::*;
use shared::clock::Clock;
use shared::db::schema::leases;
use shared::db::{Database, DbError, WriteTransaction, each_backend};
use shared::domain::UtcTimestamp;
use tokio::time::sleep;
use uuid::Uuid;

/// How long a holder may be silent before others take over.
pub const LEASE_DURATION: Duration = Duration::from_secs(5);
/// How often a holder says that it is alive.
const RENEWED_EVERY: Duration = Duration::from_secs(1);

/// The right to do something that one process at a time may do.
///
/// A process that was stopped for a while may have lost it without knowing. What it writes therefore
/// begins with [`Lease::confirm`], in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    name: String,
    /// New with every acquisition: nobody takes an earlier one for this one.
    holder: String,
}

/// Why something that needs a lease was not written.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else has it by now.
    #[error("another process has taken over")]
    Lost,
    /// The database says no.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl Lease {
    /// The lease of this name, if nobody has it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn acquire(
        database: &Database,
        clock: &Arc<dyn Clock>,
        name: &str,
    ) -> Result<Option<Self>, DbError> {
        let lease = Self {
            name: name.to_owned(),
            holder: format!("{}-{}", std::process::id(), Uuid::new_v4().simple()),
        };
        let (wanted, clock) = (lease.clone(), Arc::clone(clock));
        let acquired = database
            .write(move |transaction| wanted.take(transaction, clock.now()))
            .await?;
        Ok(acquired.then_some(lease))
    }

    fn take(
        &self,
        transaction: &mut WriteTransaction<'_>,
        now: UtcTimestamp,
    ) -> Result<bool, DbError> {
        let expires_at = now.after(LEASE_DURATION);
        let connection = transaction.connection();
        let given_up = leases::table
            .filter(leases::name.eq(&self.name))
            .filter(leases::expires_at.le(now));
        let taken_over = diesel::update(given_up)
            .set((
                leases::holder.eq(&self.holder),
                leases::expires_at.eq(expires_at),
            ))
            .execute(connection)?;
        if taken_over == 1 {
            log::warn!(lease = self.name; "took over {} from a process that is gone", self.name);
            return Ok(true);
        }
        let row = (
            leases::name.eq(self.name.clone()),
            leases::holder.eq(self.holder.clone()),
            leases::expires_at.eq(expires_at),
        );
        let inserted = each_backend!(connection, |c| diesel::insert_into(leases::table)
            .values(row)
            .on_conflict_do_nothing()
            .execute(c))?;
        Ok(inserted == 1)
    }

    /// Makes sure that it is still held, and will be until the transaction ends; and renews it.
    ///
    /// # Errors
    /// [`LeaseError::Lost`]: nothing more must be written.
    pub fn confirm(
        &self,
        transaction: &mut WriteTransaction<'_>,
        now: UtcTimestamp,
    ) -> Result<(), LeaseError> {
        let own = leases::table
            .filter(leases::name.eq(&self.name))
            .filter(leases::holder.eq(&self.holder));
        let held = diesel::update(own)
            .set(leases::expires_at.eq(now.after(LEASE_DURATION)))
            .execute(transaction.connection())
            .map_err(DbError::from)?;
        if held == 1 {
            Ok(())
        } else {
            Err(LeaseError::Lost)
        }
    }

    /// Gives it back.
    ///
    /// # Errors
    /// What the database says; it ends by itself then.
    pub async fn release(self, database: &Database) -> Result<(), DbError> {
        database
            .write(move |transaction| {
                let own = leases::table
                    .filter(leases::name.eq(&self.name))
                    .filter(leases::holder.eq(&self.holder));
                diesel::delete(own).execute(transaction.connection())?;
                Ok(())
            })
            .await
    }

    /// Does something that takes its time, and renews the lease meanwhile.
    pub async fn while_working<T>(
        &self,
        database: &Database,
        clock: &Arc<dyn Clock>,
        work: impl Future<Output = T>,
    ) -> T {
        tokio::select! {
            done = work => done,
            never = self.keep(database, clock) => match never {},
        }
    }

    async fn keep(&self, database: &Database, clock: &Arc<dyn Clock>) -> std::convert::Infallible {
        loop {
            sleep(RENEWED_EVERY).await;
            let (lease, clock) = (self.clone(), Arc::clone(clock));
            let renewed = database
                .write(move |transaction| lease.confirm(transaction, clock.now()))
                .await;
            // Whether it is lost is found out by whoever wants to write.
            if let Err(error) = renewed {
                log::debug!("the lease {} was not renewed: {error}", self.name);
            }
        }
    }
}
