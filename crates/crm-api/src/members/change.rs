use diesel::prelude::*;
use serde_json::json;
use shared::db::schema::members;
use shared::db::{WriteTransaction, dialect};
use shared::domain::{MemberId, RequestId, UtcTimestamp};
use shared::members::{Member, MemberStatus, find, tell};
use shared::operation_log::{self, Actor, Operation};

use super::contact::{Contact, check_free};
use super::error::MemberError;
use crate::auth::policy::Act;
use crate::auth::session::CurrentUser;

/// What is to be changed; `None` stays as it is, `Some(None)` is taken away.
#[derive(Debug, Clone, Default, AsChangeset)]
#[diesel(table_name = members)]
#[expect(missing_docs, reason = "the columns are described in docs/API.md")]
pub struct MemberChanges {
    pub member_no: Option<String>,
    pub nickname: Option<Option<String>>,
    pub wechat: Option<Option<String>>,
    pub phone: Option<Option<String>>,
    pub gender: Option<Option<String>>,
    pub birth_year: Option<Option<i32>>,
    pub height: Option<Option<i32>>,
    pub weight: Option<Option<i32>>,
    pub province: Option<Option<String>>,
    pub city: Option<Option<String>>,
    pub district: Option<Option<String>>,
    pub education: Option<Option<String>>,
    pub occupation: Option<Option<String>>,
    pub income: Option<Option<String>>,
    pub marital_status: Option<Option<String>>,
    pub self_introduction: Option<Option<String>>,
    pub partner_requirements: Option<Option<String>>,
    pub status: Option<MemberStatus>,
}

impl MemberChanges {
    /// Leaves alone what is so already; answers the names of what is left, for the operation log.
    fn reduce(&mut self, member: &Member) -> Vec<&'static str> {
        let mut names = Vec::new();
        macro_rules! reduce {
            ($($field:ident),+) => { $(
                if self.$field.as_ref() == Some(&member.$field) {
                    self.$field = None;
                } else if self.$field.is_some() {
                    names.push(stringify!($field));
                }
            )+ };
        }
        reduce!(
            member_no,
            nickname,
            wechat,
            phone,
            gender,
            birth_year,
            height,
            weight,
            province,
            city,
            district,
            education,
            occupation,
            income,
            marital_status,
            self_introduction,
            partner_requirements,
            status
        );
        names
    }

    /// The contacts that somebody else may have.
    fn contacts(&self) -> Vec<Contact<'_>> {
        let phone = self
            .phone
            .iter()
            .flatten()
            .map(|phone| Contact::Phone(phone));
        let wechat = self.wechat.iter().flatten();
        phone
            .chain(wechat.map(|wechat| Contact::Wechat(wechat)))
            .collect()
    }
}

/// Changes a member. What is so already is left alone; if that is everything, nothing is written and
/// nobody is told.
///
/// # Errors
/// [`MemberError`]: a revoked membership is given back only by those who may revoke.
pub fn change(
    transaction: &mut WriteTransaction<'_>,
    id: &MemberId,
    mut changes: MemberChanges,
    actor: &CurrentUser,
    request_id: &RequestId,
    now: UtcTimestamp,
) -> Result<Member, MemberError> {
    dialect::lock_member(transaction.connection(), id)?;
    let before = find(transaction.connection(), id)?.ok_or(MemberError::NotFound)?;
    let names = changes.reduce(&before);
    if names.is_empty() {
        return Ok(before);
    }
    let comes_back = before.status == MemberStatus::Revoked && changes.status.is_some();
    if comes_back && !actor.may(Act::RevokeMembers) {
        return Err(MemberError::Revoked);
    }
    let mut contacts = changes.contacts();
    if comes_back {
        // Somebody else may have taken them over meanwhile.
        let phone = before.phone.iter().filter(|_| changes.phone.is_none());
        let wechat = before.wechat.iter().filter(|_| changes.wechat.is_none());
        contacts.extend(phone.map(|phone| Contact::Phone(phone)));
        contacts.extend(wechat.map(|wechat| Contact::Wechat(wechat)));
    }
    check_free(transaction, &contacts, Some(id))?;
    diesel::update(members::table.find(id))
        .set((
            &changes,
            members::request_id.eq(request_id),
            members::updated_at.eq(now),
        ))
        .execute(transaction.connection())?;
    let revoked = changes.status == Some(MemberStatus::Revoked);
    let operation = Operation {
        action: if revoked {
            "member.revoke"
        } else {
            "member.update"
        },
        entity: "member",
        entity_id: id.as_str().to_owned(),
        // The names alone: the values are people's own affairs.
        detail: json!({ "changed": names, "status": changes.status }),
        request_id: Some(request_id.clone()),
    };
    let actor = Actor::User(actor.id.clone());
    operation_log::record(transaction, &actor, vec![operation], now)?;
    let after = find(transaction.connection(), id)?.ok_or(MemberError::NotFound)?;
    tell(transaction, Some(&before), &after, now)?;
    Ok(after)
}

/// Ends a membership. One that has ended stays as it is.
///
/// # Errors
/// [`MemberError::NotFound`], or what the database says.
pub fn revoke(
    transaction: &mut WriteTransaction<'_>,
    id: &MemberId,
    actor: &CurrentUser,
    request_id: &RequestId,
    now: UtcTimestamp,
) -> Result<Member, MemberError> {
    let changes = MemberChanges {
        status: Some(MemberStatus::Revoked),
        ..MemberChanges::default()
    };
    change(transaction, id, changes, actor, request_id, now)
}
