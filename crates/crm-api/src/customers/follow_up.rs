use diesel::prelude::*;
use serde_json::json;
use shared::db::schema::{customers, follow_ups};
use shared::db::{DbConnection, DbError, WriteTransaction};
use shared::domain::{CustomerId, FollowUpId, UserId, UtcTimestamp, mask_phones, text_enum};
use shared::notification::{Kind, notify_all};

use super::act::CustomerAct;
use super::error::CustomerError;
use crate::assignment::Telling;

text_enum! {
    /// How somebody followed up.
    pub enum FollowUpKind ("follow-up kind") {
        /// 电话
        Call => "电话",
        /// 微信
        Wechat => "微信",
        /// 到店
        Visit => "到店",
        /// 面谈
        Meeting => "面谈",
        /// 其他
        Other => "其他",
    }
}

/// What somebody wants to write down.
#[derive(Debug, Clone)]
pub struct NewFollowUp {
    /// How they followed up, if they say so.
    pub kind: Option<FollowUpKind>,
    /// What was said and done.
    pub content: String,
    /// When to do so next.
    pub next_follow_up_at: Option<UtcTimestamp>,
}

/// What somebody wrote down about a customer at one time.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = follow_ups)]
pub struct FollowUp {
    /// Which one; later ones sort after earlier ones.
    pub id: FollowUpId,
    /// Who wrote it.
    pub author_id: UserId,
    /// How they followed up, if they said so.
    pub kind: Option<FollowUpKind>,
    /// What was said and done.
    pub content: String,
    /// When to do so next.
    pub next_follow_up_at: Option<UtcTimestamp>,
    /// When it was written.
    pub created_at: UtcTimestamp,
}

/// The most characters of a follow-up that a notification shows.
const SUMMARY_CHARACTERS_MAX: usize = 50;

/// Writes down what was said and done with a customer, and tells the owner if somebody else did.
/// That is activity, and no change of what is known of the customer: its version stays.
///
/// # Errors
/// [`CustomerError`]; then nothing was written.
pub fn follow_up(
    transaction: &mut WriteTransaction<'_>,
    act: &CustomerAct,
    new: NewFollowUp,
    telling: Telling,
    now: UtcTimestamp,
) -> Result<FollowUp, CustomerError> {
    let customer = act.locked(transaction)?;
    let written = FollowUp {
        id: FollowUpId::generate(),
        author_id: act.actor.id.clone(),
        kind: new.kind,
        content: new.content,
        next_follow_up_at: new.next_follow_up_at,
        created_at: now,
    };
    diesel::insert_into(follow_ups::table)
        .values((
            follow_ups::id.eq(&written.id),
            follow_ups::customer_id.eq(&customer.id),
            follow_ups::author_id.eq(&written.author_id),
            follow_ups::kind.eq(written.kind),
            follow_ups::content.eq(&written.content),
            follow_ups::next_follow_up_at.eq(written.next_follow_up_at),
            follow_ups::request_id.eq(&act.request_id),
            follow_ups::created_at.eq(now),
        ))
        .execute(transaction.connection())?;
    diesel::update(customers::table.find(&customer.id))
        .set((
            customers::last_activity_at.eq(now),
            customers::last_follow_up_at.eq(now),
        ))
        .execute(transaction.connection())?;
    let detail = json!({
        "followUp": written.id,
        "kind": written.kind,
        "nextFollowUpAt": written.next_follow_up_at,
    });
    act.record(transaction, "customer.follow_up", detail, now)?;
    let summary = summary(&written.content);
    let notice = act.notice(
        Kind::CustomerFollowUpAdded,
        &customer,
        &format!("新跟进：{summary}"),
        vec![("summary", json!(summary))],
        telling,
        now,
    );
    let notices: Vec<_> = notice.into_iter().collect();
    notify_all(transaction, &notices, telling.channels, now)?;
    Ok(written)
}

/// The beginning of a text, in one line, with no whole phone number.
fn summary(content: &str) -> String {
    let words: Vec<&str> = content.split_whitespace().collect();
    let line = mask_phones(&words.join(" "));
    line.chars().take(SUMMARY_CHARACTERS_MAX).collect()
}

/// A page of what was written about a customer, newest first, and how much there is in all.
///
/// # Errors
/// What the database says.
pub fn follow_ups(
    connection: &mut DbConnection,
    customer: &CustomerId,
    offset: i64,
    limit: i64,
) -> Result<(Vec<FollowUp>, i64), DbError> {
    let of_customer = follow_ups::table.filter(follow_ups::customer_id.eq(customer));
    let total = of_customer.count().get_result(connection)?;
    let page = of_customer
        .order(follow_ups::id.desc())
        .offset(offset)
        .limit(limit)
        .select(FollowUp::as_select())
        .load(connection)?;
    Ok((page, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_one_line_of_fifty_whole_characters() {
        let long = "客".repeat(60);
        assert_eq!(summary(&long), "客".repeat(50));
        assert_eq!(
            summary("第一行\n第二行\t13800138999"),
            "第一行 第二行 138****8999"
        );
        // A number is masked before the text is cut: its beginning would be left otherwise.
        let at_the_cut = format!("{}，13800138999", "客".repeat(41));
        assert_eq!(
            summary(&at_the_cut),
            format!("{}，138****8", "客".repeat(41))
        );
        assert_eq!(summary(&"😀".repeat(60)).chars().count(), 50);
    }
}
