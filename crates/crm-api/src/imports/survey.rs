use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use diesel::prelude::*;
use shared::db::schema::{customers, users};
use shared::db::{DbConnection, DbError};
use shared::domain::{Phone, UserId};

use super::column::Column;
use super::row::{Row, RowFault, fault};
use crate::assignment::AssignError;
use crate::customers::CreateError;

/// A row that can be entered, and whose the customer will be.
#[derive(Debug, Clone)]
pub(super) struct OwnedRow {
    pub(super) row: Row,
    pub(super) owner: UserId,
}

/// How many values one question asks for: a statement takes 32,766 at most.
const ASKED_AT_ONCE: usize = 5_000;

/// Checks rows against the database and against each other: those that can be entered, and what is
/// wrong with the others. A row without an owner is `importer`'s.
///
/// # Errors
/// What the database says.
pub(super) fn survey(
    connection: &mut DbConnection,
    rows: Vec<Row>,
    importer: &UserId,
) -> Result<(Vec<OwnedRow>, Vec<RowFault>), DbError> {
    let owners = Owners::load(connection, &rows)?;
    let known = Known::load(connection, &rows)?;
    let mut seen = Seen::default();
    let (mut good, mut faults) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows {
        let before = faults.len();
        let owner = match &row.owner {
            None => Some(importer.clone()),
            Some(username) => owners.find(username, row.line, &mut faults),
        };
        known.refuse(&row, &mut faults);
        // Only a row that will be entered makes a later one its repetition.
        if faults.len() == before {
            seen.refuse(&row, &mut faults);
        }
        match owner {
            Some(owner) if faults.len() == before => good.push(OwnedRow { row, owner }),
            Some(_) | None => {}
        }
    }
    Ok((good, faults))
}

/// The users that rows name, and whether they may be given customers.
struct Owners(HashMap<String, (UserId, bool)>);

impl Owners {
    fn load(connection: &mut DbConnection, rows: &[Row]) -> Result<Self, DbError> {
        let named: HashSet<&String> = rows.iter().filter_map(|row| row.owner.as_ref()).collect();
        let named: Vec<&String> = named.into_iter().collect();
        let mut found = HashMap::new();
        for names in named.chunks(ASKED_AT_ONCE) {
            let users: Vec<(String, UserId, bool)> = users::table
                .filter(users::username.eq_any(names.iter().copied()))
                .select((users::username, users::id, users::active))
                .load(connection)?;
            found.extend(
                users
                    .into_iter()
                    .map(|(name, id, active)| (name, (id, active))),
            );
        }
        Ok(Self(found))
    }

    fn find(&self, username: &str, line: u64, faults: &mut Vec<RowFault>) -> Option<UserId> {
        let refused = match self.0.get(username) {
            Some((id, true)) => return Some(id.clone()),
            Some((_, false)) => AssignError::TargetInactive,
            None => AssignError::TargetMissing,
        };
        faults.push(fault(line, Some(Column::Owner), refused.to_string()));
        None
    }
}

/// The contacts of rows that customers have already.
struct Known {
    phones: HashSet<Phone>,
    wechat_ids: HashSet<String>,
}

impl Known {
    fn load(connection: &mut DbConnection, rows: &[Row]) -> Result<Self, DbError> {
        let phones: Vec<&Phone> = rows.iter().filter_map(|row| row.phone.as_ref()).collect();
        let wechat_ids: Vec<&String> = rows
            .iter()
            .filter_map(|row| row.wechat_id.as_ref())
            .collect();
        let mut known = Self {
            phones: HashSet::new(),
            wechat_ids: HashSet::new(),
        };
        for asked in phones.chunks(ASKED_AT_ONCE) {
            let found: Vec<Phone> = customers::table
                .filter(customers::phone.eq_any(asked.iter().copied()))
                .select(customers::phone.assume_not_null())
                .load(connection)?;
            known.phones.extend(found);
        }
        for asked in wechat_ids.chunks(ASKED_AT_ONCE) {
            let found: Vec<String> = customers::table
                .filter(customers::wechat_id.eq_any(asked.iter().copied()))
                .select(customers::wechat_id.assume_not_null())
                .load(connection)?;
            known.wechat_ids.extend(found);
        }
        Ok(known)
    }

    fn refuse(&self, row: &Row, faults: &mut Vec<RowFault>) {
        if row.phone.as_ref().is_some_and(|p| self.phones.contains(p)) {
            let message = CreateError::PhoneTaken.to_string();
            faults.push(fault(row.line, Some(Column::Phone), message));
        }
        let wechat_id = row.wechat_id.as_ref();
        if wechat_id.is_some_and(|id| self.wechat_ids.contains(id)) {
            let message = CreateError::WechatIdTaken.to_string();
            faults.push(fault(row.line, Some(Column::WechatId), message));
        }
    }
}

/// The contacts of the rows so far, and on which line each was.
#[derive(Default)]
struct Seen {
    phones: HashMap<Phone, u64>,
    wechat_ids: HashMap<String, u64>,
}

impl Seen {
    fn refuse(&mut self, row: &Row, faults: &mut Vec<RowFault>) {
        if let Some(phone) = &row.phone
            && let Some(line) = earlier(&mut self.phones, phone, row.line)
        {
            let message = format!("与第 {line} 行的手机号重复");
            faults.push(fault(row.line, Some(Column::Phone), message));
        }
        if let Some(wechat_id) = &row.wechat_id
            && let Some(line) = earlier(&mut self.wechat_ids, wechat_id, row.line)
        {
            let message = format!("与第 {line} 行的微信号重复");
            faults.push(fault(row.line, Some(Column::WechatId), message));
        }
    }
}

/// The line on which a value was seen before; else it is remembered.
fn earlier<T: Clone + Eq + Hash>(seen: &mut HashMap<T, u64>, value: &T, line: u64) -> Option<u64> {
    match seen.entry(value.clone()) {
        Entry::Occupied(before) => Some(*before.get()),
        Entry::Vacant(place) => {
            place.insert(line);
            None
        }
    }
}
