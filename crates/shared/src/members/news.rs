use diesel::prelude::*;
use serde_json::{Map, Value};

use super::capture::{Write, capture};
use super::member::Member;
use crate::db::schema::outbox_messages;
use crate::db::{DbConnection, DbError, WriteTransaction, dialect};
use crate::domain::{Channel, OutboxMessageId, RecipientId, UtcTimestamp};
use crate::notification::{Kind, catalogue_entry, routes};
use crate::outbox::{self, NewMessage, RetryPolicy};

/// Whether two states of a member differ in one field.
type Differs = fn(&Member, &Member) -> bool;

/// What a change of each field is called in a message, in the order in which changes are told.
const WATCHED: [(&str, Differs); 17] = [
    ("会员编号", |a, b| a.member_no != b.member_no),
    ("昵称", |a, b| a.nickname != b.nickname),
    ("微信号", |a, b| a.wechat != b.wechat),
    ("手机号", |a, b| a.phone != b.phone),
    ("性别", |a, b| a.gender != b.gender),
    ("出生年份", |a, b| a.birth_year != b.birth_year),
    ("身高", |a, b| a.height != b.height),
    ("体重", |a, b| a.weight != b.weight),
    ("省份", |a, b| a.province != b.province),
    ("城市", |a, b| a.city != b.city),
    ("区县", |a, b| a.district != b.district),
    ("学历", |a, b| a.education != b.education),
    ("职业", |a, b| a.occupation != b.occupation),
    ("收入", |a, b| a.income != b.income),
    ("婚姻状况", |a, b| a.marital_status != b.marital_status),
    ("自我介绍", |a, b| {
        a.self_introduction != b.self_introduction
    }),
    ("择偶要求", |a, b| {
        a.partner_requirements != b.partner_requirements
    }),
];

/// What stands between the names of changed fields.
const SEPARATOR: &str = "、";

/// What is to be told of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
enum News {
    Registered,
    /// The names of the fields that changed.
    Updated(Vec<&'static str>),
}

impl News {
    fn of(before: Option<&Member>, after: &Member) -> Option<Self> {
        if !after.is_active() {
            return None;
        }
        let Some(before) = before.filter(|before| before.is_active()) else {
            return Some(Self::Registered);
        };
        let changed: Vec<&str> = WATCHED
            .iter()
            .filter(|(_, differs)| differs(before, after))
            .map(|(label, _)| *label)
            .collect();
        (!changed.is_empty()).then_some(Self::Updated(changed))
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Registered => Kind::MemberRegistered,
            Self::Updated(_) => Kind::MemberUpdated,
        }
    }
}

/// Sees to it that what was done to a member is told: by the triggers of the table, or, where they
/// are missing, here and by the same rules. Relays are woken, which triggers do not do.
///
/// To be called once the row is written: from then on nobody can make or drop a trigger until the
/// transaction ends.
///
/// # Errors
/// What the database says.
pub fn tell(
    transaction: &mut WriteTransaction<'_>,
    before: Option<&Member>,
    after: &Member,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let write = match before {
        None => Write::Insert,
        Some(_) => Write::Update,
    };
    if !capture(transaction.connection())?.covers(write)
        && let Some(news) = News::of(before, after)
    {
        enqueue(transaction, &news, after, now)?;
    }
    transaction.wake_relays()
}

fn enqueue(
    transaction: &mut WriteTransaction<'_>,
    news: &News,
    member: &Member,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let kind = news.kind();
    let subject = format!("member:{}", member.id);
    let card = card(transaction.connection(), member)?;
    let mut refreshed = Vec::new();
    for message in waiting(transaction.connection(), &subject, kind)? {
        let payload = message.brought_up_to_date(news, &card, now);
        if refresh(transaction.connection(), &message.id, &payload)? {
            refreshed.push((message.channel, message.recipient_id));
        }
    }
    let mut payload = card;
    payload.insert("time".to_owned(), beijing_time(now).into());
    if let News::Updated(changed) = news {
        payload.insert("changedFields".to_owned(), changed.join(SEPARATOR).into());
    }
    let routes = routes(transaction.connection())?;
    let messages = routes
        .into_iter()
        .filter(|route| route.kind == kind && route.settings.enabled)
        .filter_map(|route| Some((route.channel, route.settings.recipients?)))
        .filter(|address| !refreshed.contains(address))
        .map(|(channel, recipient_id)| NewMessage {
            kind: kind.as_str().to_owned(),
            channel,
            recipient_id,
            subject: Some(subject.clone()),
            dedup_key: None,
            payload: Value::Object(payload.clone()),
            priority: catalogue_entry(kind).priority.into(),
            attempts_max: RetryPolicy::default().attempts_max,
            due_at: now,
            expires_at: None,
            request_id: member.request_id.clone(),
            fallbacks: None,
        });
    let messages = messages.collect();
    outbox::enqueue(transaction, messages, now)?;
    Ok(())
}

/// What a message says of the member.
fn card(connection: &mut DbConnection, member: &Member) -> Result<Map<String, Value>, DbError> {
    let card = dialect::member_card(connection, &member.id)?.ok_or(DbError::NotFound)?;
    Ok(serde_json::from_str(&card).unwrap_or_default())
}

/// A message of a member that waits.
#[derive(Debug, Queryable)]
struct Waiting {
    id: OutboxMessageId,
    kind: String,
    channel: Channel,
    recipient_id: RecipientId,
    payload: String,
    created_at: UtcTimestamp,
}

/// For the same recipients on the same channel, the message of the member that waits: its registration,
/// else its last update. Not one that may have been delivered: the platform knows a repeat by its
/// content.
fn waiting(
    connection: &mut DbConnection,
    subject: &str,
    kind: Kind,
) -> Result<Vec<Waiting>, DbError> {
    let mut waiting: Vec<Waiting> = outbox_messages::table
        .filter(outbox_messages::subject.eq(subject))
        .filter(dialect::is_pending())
        .filter(outbox_messages::outcome_unknown.eq(false))
        .filter(outbox_messages::kind.eq_any([Kind::MemberRegistered.as_str(), kind.as_str()]))
        .order((
            outbox_messages::channel,
            outbox_messages::recipient_id,
            outbox_messages::kind,
            outbox_messages::id.desc(),
        ))
        .select((
            outbox_messages::id,
            outbox_messages::kind,
            outbox_messages::channel,
            outbox_messages::recipient_id,
            outbox_messages::payload,
            outbox_messages::created_at,
        ))
        .load(connection)?;
    waiting.dedup_by(|one, first| {
        (one.channel, &one.recipient_id) == (first.channel, &first.recipient_id)
    });
    Ok(waiting)
}

impl Waiting {
    /// Its payload with the member as they are now. A registration keeps its moment; an update takes
    /// the new one, and what changed is added to what had changed.
    fn brought_up_to_date(
        &self,
        news: &News,
        card: &Map<String, Value>,
        now: UtcTimestamp,
    ) -> Map<String, Value> {
        let mut payload = card.clone();
        let moment = if self.kind == news.kind().as_str() {
            now
        } else {
            self.created_at
        };
        payload.insert("time".to_owned(), beijing_time(moment).into());
        if self.kind == Kind::MemberUpdated.as_str()
            && let News::Updated(changed) = news
        {
            let merged = self.merged_with(changed);
            payload.insert("changedFields".to_owned(), merged.into());
        }
        payload
    }

    fn merged_with(&self, changed: &[&str]) -> String {
        let payload: Value = serde_json::from_str(&self.payload).unwrap_or_default();
        let earlier = payload["changedFields"].as_str().unwrap_or_default();
        let earlier: Vec<&str> = earlier.split(SEPARATOR).collect();
        let merged: Vec<&str> = WATCHED
            .iter()
            .map(|(label, _)| *label)
            .filter(|label| changed.contains(label) || earlier.contains(label))
            .collect();
        merged.join(SEPARATOR)
    }
}

/// Answers whether the message still waited.
fn refresh(
    connection: &mut DbConnection,
    id: &OutboxMessageId,
    payload: &Map<String, Value>,
) -> Result<bool, DbError> {
    let waiting = outbox_messages::table
        .filter(outbox_messages::id.eq(id))
        .filter(outbox_messages::outcome_unknown.eq(false))
        .filter(dialect::is_pending());
    let refreshed = diesel::update(waiting)
        .set(outbox_messages::payload.eq(Value::Object(payload.clone()).to_string()))
        .execute(connection)?;
    Ok(refreshed > 0)
}

/// `2026年01月02日 11:04`, as the triggers write it: the same in every zone that is configured.
fn beijing_time(moment: UtcTimestamp) -> String {
    let local = moment.to_datetime() + chrono::Duration::hours(8);
    local.format("%Y年%m月%d日 %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::super::member::MemberStatus;
    use super::*;
    use crate::domain::MemberId;

    fn member() -> Member {
        let moment = NaiveDate::from_ymd_opt(2026, 1, 2).unwrap();
        let moment = UtcTimestamp::from_naive_utc(moment.and_hms_opt(16, 4, 5).unwrap());
        Member {
            id: MemberId::generate(),
            member_no: "M1".to_owned(),
            nickname: None,
            wechat: None,
            phone: None,
            gender: None,
            birth_year: None,
            height: None,
            weight: None,
            province: None,
            city: None,
            district: None,
            education: None,
            occupation: None,
            income: None,
            marital_status: None,
            self_introduction: None,
            partner_requirements: None,
            status: MemberStatus::Active,
            deleted: false,
            request_id: None,
            created_at: moment,
            updated_at: moment,
        }
    }

    #[test]
    fn what_is_told_follows_from_before_and_after() {
        let active = member();
        let changed = |change: fn(&mut Member)| {
            let mut changed = active.clone();
            change(&mut changed);
            changed
        };
        let inactive = changed(|m| m.status = MemberStatus::Inactive);
        let revoked = changed(|m| m.status = MemberStatus::Revoked);
        let deleted = changed(|m| m.deleted = true);
        let moved = changed(|m| {
            m.district = Some("西湖区".to_owned());
            m.city = Some("杭州".to_owned());
        });
        let updated = Some(News::Updated(vec!["城市", "区县"]));
        for (before, after, expected) in [
            (None, &active, Some(News::Registered)),
            (None, &inactive, None),
            (Some(&inactive), &active, Some(News::Registered)),
            (Some(&revoked), &moved, Some(News::Registered)),
            (Some(&deleted), &active, Some(News::Registered)),
            (Some(&active), &active, None),
            (Some(&active), &moved, updated.clone()),
            (Some(&moved), &active, updated),
            (Some(&active), &deleted, None),
            (Some(&inactive), &revoked, None),
        ] {
            assert_eq!(News::of(before, after), expected, "{before:?} {after:?}");
        }
    }

    #[test]
    fn the_time_is_that_of_beijing() {
        assert_eq!(beijing_time(member().created_at), "2026年01月03日 00:04");
    }
}
