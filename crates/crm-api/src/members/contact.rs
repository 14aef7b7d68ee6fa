use diesel::prelude::*;
use shared::db::schema::members;
use shared::db::{WriteTransaction, dialect};
use shared::domain::MemberId;
use shared::members::MemberStatus;

use super::error::MemberError;

/// How somebody can be reached: nobody else has it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Contact<'a> {
    Phone(&'a str),
    Wechat(&'a str),
}

/// Refuses what another member has. One who was revoked or deleted may come back under a new
/// number.
///
/// # Errors
/// [`MemberError::PhoneTaken`], [`MemberError::WechatTaken`], or what the database says.
pub(super) fn check_free(
    transaction: &mut WriteTransaction<'_>,
    contacts: &[Contact<'_>],
    except: Option<&MemberId>,
) -> Result<(), MemberError> {
    if contacts.is_empty() {
        return Ok(());
    }
    dialect::lock_member_contacts(transaction.connection())?;
    for contact in contacts {
        let others = members::table
            .filter(members::deleted.eq(false))
            .filter(members::status.ne(MemberStatus::Revoked))
            .select(members::id);
        // Two are enough to tell: one of them may be the member who is changed.
        let (others, taken): (Vec<MemberId>, _) = match contact {
            Contact::Phone(phone) => (
                others
                    .filter(members::phone.eq(*phone))
                    .limit(2)
                    .load(transaction.connection())?,
                MemberError::PhoneTaken,
            ),
            Contact::Wechat(wechat) => (
                others
                    .filter(members::wechat.eq(*wechat))
                    .limit(2)
                    .load(transaction.connection())?,
                MemberError::WechatTaken,
            ),
        };
        if others.iter().any(|other| Some(other) != except) {
            return Err(taken);
        }
    }
    Ok(())
}
