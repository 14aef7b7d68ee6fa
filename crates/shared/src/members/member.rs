use diesel::prelude::*;

use crate::db::schema::members;
use crate::db::{DbConnection, DbError};
use crate::domain::{MemberId, RequestId, UtcTimestamp, text_enum};

text_enum! {
    /// Whether somebody is a member now.
    pub enum MemberStatus ("member status") {
        /// They are.
        Active => "ACTIVE",
        /// Not yet, or not at the moment.
        Inactive => "INACTIVE",
        /// Not any more.
        Revoked => "REVOKED",
    }
}

/// A member, as stored; perhaps by another program, so that texts may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = members)]
#[expect(missing_docs, reason = "the columns are described in docs/API.md")]
pub struct Member {
    pub id: MemberId,
    pub member_no: String,
    pub nickname: Option<String>,
    pub wechat: Option<String>,
    pub phone: Option<String>,
    pub gender: Option<String>,
    pub birth_year: Option<i32>,
    pub height: Option<i32>,
    pub weight: Option<i32>,
    pub province: Option<String>,
    pub city: Option<String>,
    pub district: Option<String>,
    pub education: Option<String>,
    pub occupation: Option<String>,
    pub income: Option<String>,
    pub marital_status: Option<String>,
    pub self_introduction: Option<String>,
    pub partner_requirements: Option<String>,
    pub status: MemberStatus,
    pub deleted: bool,
    pub request_id: Option<RequestId>,
    pub created_at: UtcTimestamp,
    pub updated_at: UtcTimestamp,
}

impl Member {
    /// Whether somebody is told of what is done to them.
    pub fn is_active(&self) -> bool {
        self.status == MemberStatus::Active && !self.deleted
    }
}

/// One member who is not deleted.
///
/// # Errors
/// What the database says.
pub fn find(connection: &mut DbConnection, id: &MemberId) -> Result<Option<Member>, DbError> {
    Ok(members::table
        .find(id)
        .filter(members::deleted.eq(false))
        .select(Member::as_select())
        .first(connection)
        .optional()?)
}
