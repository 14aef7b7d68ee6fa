use diesel::prelude::*;
use serde_json::{Map, Value, json};
use shared::db::schema::{assignments, customers};
use shared::db::{DbConnection, DbError, WriteTransaction, load_locked};
use shared::domain::{
    AssignmentId, CustomerId, Phone, RequestId, UserId, UtcTimestamp, mask_phones,
};
use shared::notification::{Kind, Notice, Reach, Terms, notify};
use shared::operation_log::{self, Actor, Operation};

use crate::assignment::{Entrance, Telling};
use crate::customers::{
    ContractStatus, CreateError, LeadSource, NewsOfCustomers, ServiceCategory, free_number,
    managers, subject_of, tell_managers,
};

/// What somebody has written into the form.
#[derive(Debug, Clone)]
pub struct WebsiteLead {
    /// What they are called.
    pub name: String,
    /// Their number; this or the WeChat id is there.
    pub phone: Option<Phone>,
    /// Their WeChat id.
    pub wechat_id: Option<String>,
    /// What they look for.
    pub service_category: Option<ServiceCategory>,
    /// What else they say.
    pub remarks: Option<String>,
}

/// How the website is called in texts.
const WEBSITE: &str = "官网";

/// How much of the remarks a notification shows, in characters.
const REMARKS_SHOWN: usize = 50;

/// A customer who has come again.
#[derive(Queryable)]
struct Known {
    id: CustomerId,
    name: String,
    phone: Option<Phone>,
    owner: Option<UserId>,
}

/// Takes a lead: a new customer in the public pool, of which admins and managers are told; or one who
/// is known already, of whom their owner is told, or admins and managers if they have none. What was
/// written is kept in the operation log then.
///
/// # Errors
/// [`CreateError::PhoneTaken`] or [`CreateError::WechatIdTaken`] if somebody entered the same customer
/// at the same moment: trying again finds them.
pub fn receive(
    transaction: &mut WriteTransaction<'_>,
    lead: &WebsiteLead,
    request_id: &RequestId,
    telling: Telling,
    now: UtcTimestamp,
) -> Result<(), CreateError> {
    match find_known(transaction.connection(), lead)? {
        Some(known) => came_again(transaction, lead, &known, request_id, telling, now)?,
        None => enter(transaction, lead, request_id, telling, now)?,
    }
    Ok(())
}

/// By the phone number, else by the WeChat id; locked, so that the owner stays who it is.
fn find_known(
    connection: &mut DbConnection,
    lead: &WebsiteLead,
) -> Result<Option<Known>, CreateError> {
    let mut found: Option<CustomerId> = None;
    if let Some(phone) = &lead.phone {
        found = customers::table
            .filter(customers::phone.eq(phone))
            .select(customers::id)
            .first(connection)
            .optional()?;
    }
    if let (None, Some(wechat_id)) = (&found, &lead.wechat_id) {
        found = customers::table
            .filter(customers::wechat_id.eq(wechat_id))
            .select(customers::id)
            .first(connection)
            .optional()?;
    }
    let Some(id) = found else {
        return Ok(None);
    };
    let known = customers::table.find(id).select((
        customers::id,
        customers::name,
        customers::phone,
        customers::assigned_to,
    ));
    let known: Vec<Known> = load_locked!(connection, known, for_update)?;
    Ok(known.into_iter().next())
}

fn enter(
    transaction: &mut WriteTransaction<'_>,
    lead: &WebsiteLead,
    request_id: &RequestId,
    telling: Telling,
    now: UtcTimestamp,
) -> Result<(), CreateError> {
    let id = CustomerId::generate();
    let number = free_number(transaction.connection())?;
    diesel::insert_into(customers::table)
        .values((
            (
                customers::id.eq(&id),
                customers::number.eq(number),
                customers::name.eq(&lead.name),
                customers::phone.eq(&lead.phone),
                customers::wechat_id.eq(&lead.wechat_id),
                customers::lead_source.eq(LeadSource::Website),
                customers::service_category.eq(lead.service_category),
                customers::contract_status.eq(ContractStatus::Undecided),
                customers::remarks.eq(&lead.remarks),
            ),
            (
                customers::in_public_pool.eq(true),
                customers::pool_entered_at.eq(now),
                customers::pool_reason.eq(WEBSITE),
                customers::last_activity_at.eq(now),
                customers::created_at.eq(now),
                customers::updated_at.eq(now),
                customers::version.eq(1),
            ),
        ))
        .execute(transaction.connection())?;
    diesel::insert_into(assignments::table)
        .values((
            assignments::id.eq(AssignmentId::generate()),
            assignments::customer_id.eq(&id),
            assignments::entrance.eq(Entrance::Website),
            assignments::request_id.eq(request_id),
            assignments::created_at.eq(now),
        ))
        .execute(transaction.connection())?;
    let detail = json!({ "leadSource": LeadSource::Website, "entrance": Entrance::Website });
    record(transaction, "customer.create", &id, detail, request_id, now)?;
    let mut data = Map::new();
    data.insert("customerId".to_owned(), json!(id));
    data.insert("customerName".to_owned(), json!(lead.name));
    data.insert("phone".to_owned(), json!(lead.phone));
    data.insert("leadSource".to_owned(), json!(LeadSource::Website));
    data.insert("serviceCategory".to_owned(), json!(lead.service_category));
    let news = NewsOfCustomers {
        data,
        subject: Some(subject_of(&id)),
        creator_name: WEBSITE.to_owned(),
        request_id: request_id.clone(),
    };
    tell_managers(transaction, news, None, telling, now)?;
    Ok(())
}

fn came_again(
    transaction: &mut WriteTransaction<'_>,
    lead: &WebsiteLead,
    known: &Known,
    request_id: &RequestId,
    telling: Telling,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let Known {
        id,
        name,
        phone,
        owner,
    } = known;
    diesel::update(customers::table.find(id))
        .set(customers::last_activity_at.eq(now))
        .execute(transaction.connection())?;
    let remarks = lead.remarks.as_deref().map(mask_phones);
    let detail = json!({
        "entrance": Entrance::Website,
        "name": lead.name,
        "serviceCategory": lead.service_category,
        "remarks": remarks,
    });
    record(
        transaction,
        "customer.come_again",
        id,
        detail,
        request_id,
        now,
    )?;
    let recipients = match owner {
        Some(owner) => vec![owner.clone()],
        None => managers(transaction)?,
    };
    let mut data = Map::new();
    data.insert("customerId".to_owned(), json!(id));
    data.insert("customerName".to_owned(), json!(name));
    data.insert("phone".to_owned(), json!(phone));
    data.insert("operatorName".to_owned(), json!(WEBSITE));
    data.insert("summary".to_owned(), json!(summary(lead)));
    data.insert("source".to_owned(), json!("客户再次通过官网留言"));
    data.insert("assignerName".to_owned(), json!(WEBSITE));
    data.insert("time".to_owned(), json!(telling.time_text(now)));
    let notice = Notice {
        kind: Kind::CustomerFollowUpAdded,
        recipients,
        data,
        subject: Some(subject_of(id)),
        reach: Reach::AllChannels,
        terms: Terms::default(),
        request_id: Some(request_id.clone()),
    };
    notify(transaction, &notice, telling.channels, now)
}

/// `客户再次通过官网留言：月嫂，请下午联系`.
fn summary(lead: &WebsiteLead) -> String {
    let category = lead.service_category.map(|category| category.to_string());
    let remarks = lead.remarks.as_deref().map(|remarks| {
        let shown: String = remarks.chars().take(REMARKS_SHOWN).collect();
        mask_phones(&shown)
    });
    let said: Vec<String> = category.into_iter().chain(remarks).collect();
    if said.is_empty() {
        "客户再次通过官网留言".to_owned()
    } else {
        format!("客户再次通过官网留言：{}", said.join("，"))
    }
}

fn record(
    transaction: &mut WriteTransaction<'_>,
    action: &'static str,
    customer: &CustomerId,
    detail: Value,
    request_id: &RequestId,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let operation = Operation {
        action,
        entity: "customer",
        entity_id: customer.as_str().to_owned(),
        detail,
        request_id: Some(request_id.clone()),
    };
    operation_log::record(transaction, &Actor::System, vec![operation], now)
}
