use diesel::prelude::*;
use serde_json::{Map, Value, json};
use shared::db::WriteTransaction;
use shared::db::schema::customers;
use shared::domain::{Phone, UtcTimestamp, mask_phones};
use shared::notification::{Kind, notify_all};

use super::act::CustomerAct;
use super::customer::{Customer, Sight, find};
use super::error::CustomerError;
use super::lists::{ContractStatus, LeadLevel, LeadSource, ServiceCategory};
use super::signing::{Signing, record_signings};
use crate::assignment::Telling;

/// What is to be changed; `None` stays as it is, `Some(None)` is taken away.
#[derive(Debug, Clone, Default, AsChangeset)]
#[diesel(table_name = customers)]
#[expect(missing_docs, reason = "the columns are described in docs/API.md")]
pub struct CustomerChanges {
    pub name: Option<String>,
    pub phone: Option<Option<Phone>>,
    pub wechat_id: Option<Option<String>>,
    pub lead_source: Option<LeadSource>,
    pub service_category: Option<Option<ServiceCategory>>,
    pub lead_level: Option<Option<LeadLevel>>,
    pub contract_status: Option<ContractStatus>,
    pub remarks: Option<Option<String>>,
    pub auto_transfer_enabled: Option<bool>,
}

impl CustomerChanges {
    /// Leaves alone what is so already; answers what is left, each with its value before and after.
    /// Phone numbers are masked, whatever field they are in.
    fn reduce(&mut self, customer: &Customer) -> Map<String, Value> {
        let mut changed = Map::new();
        macro_rules! reduce {
            ($($field:ident: $name:literal),+ $(,)?) => { $(
                if self.$field.as_ref() == Some(&customer.$field) {
                    self.$field = None;
                } else if let Some(after) = &self.$field {
                    let change = json!({
                        "from": masked(json!(customer.$field)),
                        "to": masked(json!(after)),
                    });
                    changed.insert($name.to_owned(), change);
                }
            )+ };
        }
        reduce!(
            name: "name",
            phone: "phone",
            wechat_id: "wechatId",
            lead_source: "leadSource",
            service_category: "serviceCategory",
            lead_level: "leadLevel",
            contract_status: "contractStatus",
            remarks: "remarks",
            auto_transfer_enabled: "autoTransferEnabled",
        );
        changed
    }

    /// Whether somebody can still be reached afterwards.
    fn keeps_contact(&self, customer: &Customer) -> bool {
        let phone = self.phone.as_ref().unwrap_or(&customer.phone);
        let wechat_id = self.wechat_id.as_ref().unwrap_or(&customer.wechat_id);
        phone.is_some() || wechat_id.is_some()
    }
}

fn masked(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(mask_phones(&text)),
        other => other,
    }
}

/// Changes what is known of a customer. What is so already is left alone; if that is everything,
/// nothing is written and nobody is told. The owner is told of a new contract status, unless they
/// set it themselves.
///
/// # Errors
/// [`CustomerError`]; then nothing was written.
pub fn change(
    transaction: &mut WriteTransaction<'_>,
    act: &CustomerAct,
    mut changes: CustomerChanges,
    telling: Telling,
    now: UtcTimestamp,
) -> Result<Customer, CustomerError> {
    let before = act.locked(transaction)?;
    let changed = changes.reduce(&before);
    if changed.is_empty() {
        return Ok(before);
    }
    if !changes.keeps_contact(&before) {
        return Err(CustomerError::NoContact);
    }
    diesel::update(customers::table.find(&before.id))
        .set((
            &changes,
            customers::last_activity_at.eq(now),
            customers::updated_at.eq(now),
            customers::version.eq(customers::version + 1),
        ))
        .execute(transaction.connection())?;
    act.record(
        transaction,
        "customer.update",
        json!({ "changed": changed }),
        now,
    )?;
    if changes.contract_status == Some(ContractStatus::Signed) {
        let signing = Signing {
            customer_id: &before.id,
            user_id: before.assigned_to.as_ref().unwrap_or(&act.actor.id),
            signed_at: now,
        };
        record_signings(transaction.connection(), &[signing])?;
    }
    let after =
        find(transaction.connection(), &before.id, &Sight::All)?.ok_or(CustomerError::NotFound)?;
    if let Some(new) = changes.contract_status {
        let more = vec![
            ("oldStatus", json!(before.contract_status)),
            ("newStatus", json!(new)),
        ];
        let source = format!("状态变更为{new}");
        let notice = act.notice(
            Kind::CustomerStatusChanged,
            &after,
            &source,
            more,
            telling,
            now,
        );
        let notices: Vec<_> = notice.into_iter().collect();
        notify_all(transaction, &notices, telling.channels, now)?;
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_masked_in_whatever_field_they_stand() {
        assert_eq!(masked(json!("微信同号13800138999")), "微信同号138****8999");
        assert_eq!(masked(json!(true)), true);
        assert_eq!(masked(Value::Null), Value::Null);
    }
}
