use diesel::prelude::*;
use serde_json::json;
use shared::db::WriteTransaction;
use shared::db::schema::members;
use shared::domain::{MemberId, Phone, RequestId, UtcTimestamp};
use shared::members::{Member, MemberStatus, find, tell};
use shared::operation_log::{self, Actor, Operation};

use super::contact::{Contact, check_free};
use super::error::MemberError;
use crate::auth::session::CurrentUser;

/// A member to be.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = members, treat_none_as_default_value = false)]
pub struct NewMember {
    /// The number people use; nobody else has it.
    pub member_no: String,
    /// What they want to be called.
    pub nickname: Option<String>,
    /// Their WeChat account.
    pub wechat: String,
    /// Their phone number.
    pub phone: Phone,
    /// A code or a word.
    pub gender: Option<String>,
    /// When they were born.
    pub birth_year: Option<i32>,
    /// In centimetres.
    pub height: Option<i32>,
    /// In kilograms.
    pub weight: Option<i32>,
    /// Where they live.
    pub province: Option<String>,
    /// Where there.
    pub city: Option<String>,
    /// And where there.
    pub district: Option<String>,
    /// A code or a word.
    pub education: Option<String>,
    /// A code or a word.
    pub occupation: Option<String>,
    /// What they earn.
    pub income: Option<String>,
    /// Whether they are or were married.
    pub marital_status: Option<String>,
    /// What they say of themselves.
    pub self_introduction: Option<String>,
    /// Whom they look for.
    pub partner_requirements: Option<String>,
    /// Whether they are a member from now on.
    pub status: MemberStatus,
}

/// Enters a member, who is told of if they are active.
///
/// # Errors
/// [`MemberError`]; of two entries of one number at the same moment one gets
/// [`MemberError::NumberTaken`].
pub fn create(
    transaction: &mut WriteTransaction<'_>,
    new: &NewMember,
    actor: &CurrentUser,
    request_id: &RequestId,
    now: UtcTimestamp,
) -> Result<Member, MemberError> {
    let contacts = [
        Contact::Phone(new.phone.unmasked()),
        Contact::Wechat(&new.wechat),
    ];
    check_free(transaction, &contacts, None)?;
    let id = MemberId::generate();
    diesel::insert_into(members::table)
        .values((
            new,
            members::id.eq(&id),
            members::request_id.eq(request_id),
            members::created_at.eq(now),
            members::updated_at.eq(now),
        ))
        .execute(transaction.connection())?;
    let operation = Operation {
        action: "member.create",
        entity: "member",
        entity_id: id.as_str().to_owned(),
        detail: json!({ "memberNo": new.member_no, "status": new.status }),
        request_id: Some(request_id.clone()),
    };
    let actor = Actor::User(actor.id.clone());
    operation_log::record(transaction, &actor, vec![operation], now)?;
    let member = find(transaction.connection(), &id)?.ok_or(MemberError::NotFound)?;
    tell(transaction, None, &member, now)?;
    Ok(member)
}
