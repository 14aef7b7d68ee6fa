use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::prelude::*;
use shared::db::schema::{customers, users};
use shared::db::{DbConnection, DbError};
use shared::domain::{CustomerId, UserId};

use super::order::NamedRecipients;
use super::receipt::{NotServed, NotServedReason};

/// How many ids one statement looks for.
const AT_ONCE: usize = 1_000;

/// Who is told, each once and in the order of their ids, and who was named and is not.
pub(super) struct Found {
    pub(super) served: Vec<UserId>,
    pub(super) not_served: Vec<NotServed>,
}

pub(super) fn find(
    connection: &mut DbConnection,
    named: &NamedRecipients,
) -> Result<Found, DbError> {
    let mut found = Found {
        served: Vec::new(),
        not_served: Vec::new(),
    };
    let ids = parsed(&named.user_ids, |text| {
        let unknown = NotServed::user(text, NotServedReason::UnknownUser);
        found.not_served.push(unknown);
    });
    let owned = owners(connection, &named.owner_of)?;
    let asked: BTreeSet<&UserId> = ids
        .iter()
        .chain(owned.values().filter_map(Owner::user))
        .collect();
    let active = activity(connection, &asked)?;
    let mut served = BTreeSet::new();
    for id in &ids {
        match active.get(id) {
            Some(true) => drop(served.insert(id.clone())),
            Some(false) => {
                let inactive = NotServed::user(id.as_str(), NotServedReason::InactiveUser);
                found.not_served.push(inactive);
            }
            None => {
                let unknown = NotServed::user(id.as_str(), NotServedReason::UnknownUser);
                found.not_served.push(unknown);
            }
        }
    }
    for (customer, owner) in &owned {
        let (user, reason) = match owner {
            Owner::NoCustomer => (None, NotServedReason::UnknownCustomer),
            Owner::Nobody => (None, NotServedReason::NoOwner),
            Owner::User(id) if active.get(id) == Some(&true) => {
                served.insert(id.clone());
                continue;
            }
            Owner::User(id) => (Some(id), NotServedReason::InactiveUser),
        };
        let not_served = NotServed::customer(customer.as_str(), user, reason);
        found.not_served.push(not_served);
    }
    if !named.roles.is_empty() {
        let of_roles: Vec<UserId> = users::table
            .filter(users::role.eq_any(&named.roles))
            .filter(users::active.eq(true))
            .select(users::id)
            .load(connection)?;
        served.extend(of_roles);
    }
    found.served = served.into_iter().collect();
    Ok(found)
}

/// The ids in these texts, each once; what is none is handed to `refuse`, once as well.
fn parsed(texts: &[String], mut refuse: impl FnMut(String)) -> BTreeSet<UserId> {
    let mut ids = BTreeSet::new();
    let mut refused = BTreeSet::new();
    for text in texts {
        match text.parse() {
            Ok(id) => drop(ids.insert(id)),
            Err(_) if refused.insert(text) => refuse(shown(text)),
            Err(_) => {}
        }
    }
    ids
}

/// A text that is no id, as it is repeated.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

enum Owner {
    NoCustomer,
    Nobody,
    User(UserId),
}

impl Owner {
    fn user(&self) -> Option<&UserId> {
        match self {
            Self::NoCustomer | Self::Nobody => None,
            Self::User(id) => Some(id),
        }
    }
}

/// Whose each customer is, by the text that names it: an id, or a number for people.
fn owners(
    connection: &mut DbConnection,
    named: &[String],
) -> Result<BTreeMap<String, Owner>, DbError> {
    let named: BTreeSet<String> = named.iter().map(|text| shown(text)).collect();
    let named: Vec<String> = named.into_iter().collect();
    let mut owners = BTreeMap::new();
    for chunk in named.chunks(AT_ONCE) {
        let ids: Vec<CustomerId> = chunk.iter().filter_map(|text| text.parse().ok()).collect();
        let rows: Vec<(CustomerId, String, Option<UserId>)> = customers::table
            .filter(
                customers::id
                    .eq_any(ids)
                    .or(customers::number.eq_any(chunk)),
            )
            .select((customers::id, customers::number, customers::assigned_to))
            .load(connection)?;
        let mut by_name: HashMap<String, Option<UserId>> = HashMap::new();
        for (id, number, owner) in rows {
            by_name.insert(id.as_str().to_owned(), owner.clone());
            by_name.insert(number, owner);
        }
        for text in chunk {
            let id = text.parse::<CustomerId>();
            let name = id.map_or_else(|_| text.clone(), |id| id.as_str().to_owned());
            let owner = match by_name.get(&name) {
                None => Owner::NoCustomer,
                Some(None) => Owner::Nobody,
                Some(Some(owner)) => Owner::User(owner.clone()),
            };
            owners.insert(text.clone(), owner);
        }
    }
    Ok(owners)
}

/// Which of these users are active; who is missing does not exist.
fn activity(
    connection: &mut DbConnection,
    asked: &BTreeSet<&UserId>,
) -> Result<HashMap<UserId, bool>, DbError> {
    let asked: Vec<&UserId> = asked.iter().copied().collect();
    let mut activity = HashMap::new();
    for chunk in asked.chunks(AT_ONCE) {
        let rows: Vec<(UserId, bool)> = users::table
            .filter(users::id.eq_any(chunk.iter().copied()))
            .select((users::id, users::active))
            .load(connection)?;
        activity.extend(rows);
    }
    Ok(activity)
}
