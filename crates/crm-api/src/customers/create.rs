use diesel::dsl::exists;
use diesel::prelude::*;
use serde_json::{Map, json};
use shared::db::schema::customers;
use shared::db::{DbConnection, DbError, WriteTransaction};
use shared::domain::{CustomerId, Phone, RequestId, UserId, UtcTimestamp};
use shared::operation_log::{self, Actor, Operation};

use super::customer::{Customer, CustomerNumber, Sight, find, subject_of};
use super::lists::{ContractStatus, LeadLevel, LeadSource, ServiceCategory};
use super::news::{NewsOfCustomers, tell_managers};
use super::signing::{Signing, record_signings};
use crate::assignment::{self, AssignError, AssignOrder, Entrance, Telling};
use crate::auth::session::CurrentUser;

/// A customer to be.
#[derive(Debug, Clone)]
pub struct NewCustomer {
    /// What they are called.
    pub name: String,
    /// Their number; this or the WeChat id must be there.
    pub phone: Option<Phone>,
    /// Their WeChat id.
    pub wechat_id: Option<String>,
    /// Where they came from.
    pub lead_source: LeadSource,
    /// What they look for.
    pub service_category: Option<ServiceCategory>,
    /// How promising they are.
    pub lead_level: Option<LeadLevel>,
    /// How far the contract is.
    pub contract_status: ContractStatus,
    /// What else is known.
    pub remarks: Option<String>,
    /// Whose they will be.
    pub owner: UserId,
    /// Why that one.
    pub assignment_reason: Option<String>,
}

/// Why a customer could not be entered.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Somebody has entered this number.
    #[error("该手机号已存在客户记录")]
    PhoneTaken,
    /// Somebody has entered this WeChat id.
    #[error("该微信号已存在客户记录")]
    WechatIdTaken,
    /// By chance somebody else drew the same number at the same moment: try again.
    #[error("customer number taken")]
    NumberTaken,
    /// The owner cannot be.
    #[error(transparent)]
    Owner(#[from] AssignError),
    /// The database says no.
    #[error(transparent)]
    Database(DbError),
}

impl From<DbError> for CreateError {
    fn from(error: DbError) -> Self {
        match &error {
            DbError::Duplicate { constraint } if constraint.contains("phone") => Self::PhoneTaken,
            DbError::Duplicate { constraint } if constraint.contains("wechat_id") => {
                Self::WechatIdTaken
            }
            DbError::Duplicate { constraint } if constraint.contains("number") => Self::NumberTaken,
            _ => Self::Database(error),
        }
    }
}

impl From<diesel::result::Error> for CreateError {
    fn from(error: diesel::result::Error) -> Self {
        DbError::from(error).into()
    }
}

/// Enters a customer and gives it to its owner, who is told; admins and managers are told that
/// there is a new customer, except the one who entered it.
///
/// # Errors
/// [`CreateError`]; of two entries of one phone number at the same moment one gets
/// [`CreateError::PhoneTaken`].
pub fn create(
    transaction: &mut WriteTransaction<'_>,
    new: &NewCustomer,
    actor: &CurrentUser,
    request_id: &RequestId,
    telling: Telling,
    now: UtcTimestamp,
) -> Result<Customer, CreateError> {
    let id = insert(transaction.connection(), new, &actor.id, now)?;
    let operation = Operation {
        action: "customer.create",
        entity: "customer",
        entity_id: id.as_str().to_owned(),
        detail: json!({ "leadSource": new.lead_source }),
        request_id: Some(request_id.clone()),
    };
    operation_log::record(
        transaction,
        &Actor::User(actor.id.clone()),
        vec![operation],
        now,
    )?;
    let order = AssignOrder {
        customers: vec![id.clone()],
        to: new.owner.clone(),
        reason: new.assignment_reason.clone(),
        entrance: Entrance::Create,
        expected_version: None,
        actor: Actor::User(actor.id.clone()),
        actor_name: actor.name.clone(),
        request_id: request_id.clone(),
    };
    assignment::assign(transaction, &order, telling, now)?;
    if new.contract_status == ContractStatus::Signed {
        let signing = Signing {
            customer_id: &id,
            user_id: &new.owner,
            signed_at: now,
        };
        record_signings(transaction.connection(), &[signing])?;
    }
    let news = news_of(new, &id, &actor.name, request_id);
    tell_managers(transaction, news, Some(&actor.id), telling, now)?;
    find(transaction.connection(), &id, &Sight::All)?
        .ok_or(CreateError::Database(DbError::NotFound))
}

fn insert(
    connection: &mut DbConnection,
    new: &NewCustomer,
    creator: &UserId,
    now: UtcTimestamp,
) -> Result<CustomerId, CreateError> {
    let id = CustomerId::generate();
    let number = free_number(connection)?;
    diesel::insert_into(customers::table)
        .values((
            customers::id.eq(&id),
            customers::number.eq(number),
            customers::name.eq(&new.name),
            customers::phone.eq(&new.phone),
            customers::wechat_id.eq(&new.wechat_id),
            customers::lead_source.eq(new.lead_source),
            customers::service_category.eq(new.service_category),
            customers::lead_level.eq(new.lead_level),
            customers::contract_status.eq(new.contract_status),
            customers::remarks.eq(&new.remarks),
            customers::last_activity_at.eq(now),
            customers::created_by.eq(creator),
            customers::created_at.eq(now),
            customers::updated_at.eq(now),
            // The assignment that follows makes it 1.
            customers::version.eq(0),
        ))
        .execute(connection)?;
    Ok(id)
}

/// A number that nobody has. Drawn by chance: should it be taken, another is drawn.
///
/// # Errors
/// What the database says.
pub fn free_number(connection: &mut DbConnection) -> Result<CustomerNumber, CreateError> {
    loop {
        let number = CustomerNumber::random();
        let of_somebody = customers::table.filter(customers::number.eq(&number));
        if !diesel::select(exists(of_somebody)).get_result::<bool>(connection)? {
            return Ok(number);
        }
    }
}

/// What is told of a new customer.
fn news_of(
    new: &NewCustomer,
    id: &CustomerId,
    creator_name: &str,
    request_id: &RequestId,
) -> NewsOfCustomers {
    let mut data = Map::new();
    data.insert("customerId".to_owned(), json!(id));
    data.insert("customerName".to_owned(), json!(new.name));
    data.insert("phone".to_owned(), json!(new.phone));
    data.insert("leadSource".to_owned(), json!(new.lead_source));
    data.insert("serviceCategory".to_owned(), json!(new.service_category));
    NewsOfCustomers {
        data,
        subject: Some(subject_of(id)),
        creator_name: creator_name.to_owned(),
        request_id: request_id.clone(),
    }
}
