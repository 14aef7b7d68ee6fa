use std::collections::{BTreeMap, HashSet};

use diesel::prelude::*;
use serde_json::{Map, json};
use shared::db::schema::customers;
use shared::db::{DbConnection, DbError, WriteTransaction, insert_rows};
use shared::domain::{CustomerId, ImportId, Phone, RequestId, UserId, UtcTimestamp};
use shared::operation_log::{self, Actor, Operation};

use super::survey::OwnedRow;
use crate::assignment::{self, AssignOrder, Assigned, CUSTOMERS_MAX, Entrance, Telling};
use crate::auth::session::CurrentUser;
use crate::customers::{
    ContractStatus, CreateError, CustomerNumber, LeadLevel, LeadSource, NewsOfCustomers,
    ServiceCategory, Signing, record_signings, subject_of, tell_managers,
};

/// By whom, with which file, at whose request.
#[derive(Debug, Clone)]
pub(super) struct Occasion {
    pub(super) import: ImportId,
    pub(super) importer: CurrentUser,
    pub(super) request_id: RequestId,
}

/// How many rows one statement writes: it takes 65,535 values at most.
const ROWS_AT_ONCE: usize = 1_000;

/// Enters the customers of a file and gives them to their owners, each of whom is told once, however
/// many they are; and so is every admin and manager, except the one who imports.
///
/// # Errors
/// [`CreateError`]: one of the contacts was entered meanwhile, or an owner is no more; then nothing
/// was written.
pub(super) fn enter(
    transaction: &mut WriteTransaction<'_>,
    rows: &[OwnedRow],
    occasion: &Occasion,
    telling: Telling,
    now: UtcTimestamp,
) -> Result<Vec<Assigned>, CreateError> {
    let ids = insert(transaction.connection(), rows, &occasion.importer.id, now)?;
    let mut by_owner: BTreeMap<&UserId, Vec<CustomerId>> = BTreeMap::new();
    for (row, id) in rows.iter().zip(&ids) {
        by_owner.entry(&row.owner).or_default().push(id.clone());
    }
    record(transaction, rows, &ids, occasion, now)?;
    record_signings(transaction.connection(), &signings(rows, &ids, now))?;
    let mut outcomes = Vec::with_capacity(by_owner.len());
    for (owner, customers) in by_owner {
        outcomes.push(give(
            transaction,
            owner,
            &customers,
            occasion,
            telling,
            now,
        )?);
    }
    if !rows.is_empty() {
        let news = news_of(rows, &ids, occasion);
        tell_managers(transaction, news, Some(&occasion.importer.id), telling, now)?;
    }
    Ok(outcomes)
}

#[derive(Insertable)]
#[diesel(table_name = customers, treat_none_as_default_value = false)]
struct NewRow<'a> {
    id: &'a CustomerId,
    number: &'a CustomerNumber,
    name: &'a str,
    phone: Option<&'a Phone>,
    wechat_id: Option<&'a str>,
    lead_source: LeadSource,
    service_category: Option<ServiceCategory>,
    lead_level: Option<LeadLevel>,
    contract_status: ContractStatus,
    remarks: Option<&'a str>,
    last_activity_at: UtcTimestamp,
    created_by: &'a UserId,
    created_at: UtcTimestamp,
    updated_at: UtcTimestamp,
    version: i32,
}

fn insert(
    connection: &mut DbConnection,
    rows: &[OwnedRow],
    importer: &UserId,
    now: UtcTimestamp,
) -> Result<Vec<CustomerId>, CreateError> {
    let numbers = free_numbers(connection, rows.len())?;
    let ids: Vec<CustomerId> = rows.iter().map(|_| CustomerId::generate()).collect();
    let mut new: Vec<NewRow<'_>> = rows
        .iter()
        .zip(ids.iter().zip(&numbers))
        .map(|(OwnedRow { row, .. }, (id, number))| NewRow {
            id,
            number,
            name: &row.name,
            phone: row.phone.as_ref(),
            wechat_id: row.wechat_id.as_deref(),
            lead_source: row.lead_source,
            service_category: row.service_category,
            lead_level: row.lead_level,
            contract_status: row.contract_status,
            remarks: row.remarks.as_deref(),
            last_activity_at: now,
            created_by: importer,
            created_at: now,
            updated_at: now,
            // The assignment that follows makes it 1.
            version: 0,
        })
        .collect();
    // Two files with the same customers then wait for each other instead of deadlocking.
    new.sort_by_key(|row| (row.phone.map(Phone::unmasked), row.wechat_id));
    for chunk in new.chunks(ROWS_AT_ONCE) {
        insert_rows!(connection, customers::table, chunk)?;
    }
    Ok(ids)
}

/// As many numbers that nobody has. Drawn by chance: those that are taken are drawn again.
fn free_numbers(
    connection: &mut DbConnection,
    count: usize,
) -> Result<Vec<CustomerNumber>, CreateError> {
    let mut free: HashSet<CustomerNumber> = HashSet::with_capacity(count);
    while free.len() < count {
        let missing = (count - free.len()).min(ROWS_AT_ONCE);
        let mut drawn: HashSet<CustomerNumber> =
            (0..missing).map(|_| CustomerNumber::random()).collect();
        let taken: Vec<CustomerNumber> = customers::table
            .filter(customers::number.eq_any(&drawn))
            .select(customers::number)
            .load(connection)?;
        for number in taken {
            drawn.remove(&number);
        }
        free.extend(drawn);
    }
    Ok(free.into_iter().collect())
}

fn record(
    transaction: &mut WriteTransaction<'_>,
    rows: &[OwnedRow],
    ids: &[CustomerId],
    occasion: &Occasion,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let actor = Actor::User(occasion.importer.id.clone());
    let mut operations: Vec<Operation> = rows
        .iter()
        .zip(ids)
        .map(|(OwnedRow { row, .. }, id)| Operation {
            action: "customer.create",
            entity: "customer",
            entity_id: id.as_str().to_owned(),
            detail: json!({ "leadSource": row.lead_source, "import": occasion.import, "line": row.line }),
            request_id: Some(occasion.request_id.clone()),
        })
        .collect();
    while !operations.is_empty() {
        let rest = operations.split_off(operations.len().min(ROWS_AT_ONCE));
        operation_log::record(transaction, &actor, operations, now)?;
        operations = rest;
    }
    Ok(())
}

/// The customers whose contracts are signed already.
fn signings<'a>(
    rows: &'a [OwnedRow],
    ids: &'a [CustomerId],
    now: UtcTimestamp,
) -> Vec<Signing<'a>> {
    let signed = rows
        .iter()
        .zip(ids)
        .filter(|(owned, _)| owned.row.contract_status == ContractStatus::Signed);
    let signings = signed.map(|(owned, id)| Signing {
        customer_id: id,
        user_id: &owned.owner,
        signed_at: now,
    });
    signings.collect()
}

/// Gives customers to one owner in as many orders as it takes, and tells them once.
fn give(
    transaction: &mut WriteTransaction<'_>,
    owner: &UserId,
    customers: &[CustomerId],
    occasion: &Occasion,
    telling: Telling,
    now: UtcTimestamp,
) -> Result<Assigned, CreateError> {
    let mut order = AssignOrder {
        customers: Vec::new(),
        to: owner.clone(),
        reason: None,
        entrance: Entrance::Import,
        expected_version: None,
        actor: Actor::User(occasion.importer.id.clone()),
        actor_name: occasion.importer.name.clone(),
        request_id: occasion.request_id.clone(),
    };
    let mut all = Assigned::default();
    for chunk in customers.chunks(CUSTOMERS_MAX) {
        order.customers = chunk.to_vec();
        all.absorb(assignment::assign_untold(transaction, &order, now)?);
    }
    assignment::tell(transaction, &order, &all, telling, now)?;
    Ok(all)
}

/// What is told of the customers of a file: of one, who it is; of many, how many they are.
fn news_of(rows: &[OwnedRow], ids: &[CustomerId], occasion: &Occasion) -> NewsOfCustomers {
    let mut data = Map::new();
    let mut subject = None;
    if let ([OwnedRow { row, .. }], [id]) = (rows, ids) {
        data.insert("customerId".to_owned(), json!(id));
        data.insert("customerName".to_owned(), json!(row.name));
        data.insert("phone".to_owned(), json!(row.phone));
        data.insert("leadSource".to_owned(), json!(row.lead_source));
        data.insert("serviceCategory".to_owned(), json!(row.service_category));
        subject = Some(subject_of(id));
    } else {
        let count = rows.len();
        data.insert("customerName".to_owned(), json!(format!("{count}个客户")));
        data.insert("count".to_owned(), json!(count));
        data.insert("customerCount".to_owned(), json!(count));
        let way = assignment::source(Entrance::Import, None);
        data.insert("leadSource".to_owned(), json!(way));
    }
    NewsOfCustomers {
        data,
        subject,
        creator_name: occasion.importer.name.clone(),
        request_id: occasion.request_id.clone(),
    }
}
