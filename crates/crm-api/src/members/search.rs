use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use shared::db::schema::members;
use shared::db::{DbConnection, DbError};
use shared::members::{Member, MemberStatus};

use crate::pattern::{lower, pattern_containing};

/// Which members to list; everything not given matches.
#[derive(Debug, Clone, Default)]
pub struct MemberFilter {
    /// A part of the number, the nickname, the WeChat account or the phone number.
    pub search: Option<String>,
    /// Whether they are members now.
    pub status: Option<MemberStatus>,
    /// As stored: a code or a word.
    pub gender: Option<String>,
    /// Where they live.
    pub province: Option<String>,
    /// Where there.
    pub city: Option<String>,
    /// As stored: a code or a word.
    pub education: Option<String>,
    /// As stored: a code or a word.
    pub occupation: Option<String>,
}

/// A page of the members who are not deleted, newest first, and how many match in all.
///
/// # Errors
/// What the database says.
pub fn search(
    connection: &mut DbConnection,
    filter: &MemberFilter,
    offset: i64,
    limit: i64,
) -> Result<(Vec<Member>, i64), DbError> {
    let matching = || {
        let mut query = members::table
            .filter(members::deleted.eq(false))
            .into_boxed();
        if let Some(part) = &filter.search {
            let pattern = || lower(pattern_containing(part).into_sql::<Nullable<Text>>());
            query = query.filter(
                lower(members::member_no.nullable())
                    .like(pattern())
                    .escape('\\')
                    .or(lower(members::nickname).like(pattern()).escape('\\'))
                    .or(lower(members::wechat).like(pattern()).escape('\\'))
                    .or(members::phone.like(pattern()).escape('\\')),
            );
        }
        if let Some(status) = filter.status {
            query = query.filter(members::status.eq(status));
        }
        if let Some(gender) = filter.gender.clone() {
            query = query.filter(members::gender.eq(gender));
        }
        if let Some(province) = filter.province.clone() {
            query = query.filter(members::province.eq(province));
        }
        if let Some(city) = filter.city.clone() {
            query = query.filter(members::city.eq(city));
        }
        if let Some(education) = filter.education.clone() {
            query = query.filter(members::education.eq(education));
        }
        if let Some(occupation) = filter.occupation.clone() {
            query = query.filter(members::occupation.eq(occupation));
        }
        query
    };
    let total = matching().count().get_result(connection)?;
    let page = matching()
        .order((members::created_at.desc(), members::id.desc()))
        .offset(offset)
        .limit(limit)
        .select(Member::as_select())
        .load(connection)?;
    Ok((page, total))
}
