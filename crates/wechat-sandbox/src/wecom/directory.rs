//! The members of companies, and whom a message's address means.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::agent::Agent;

/// Department that every member is in.
const ROOT_DEPARTMENT: u32 = 1;

/// Somebody in a company's directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Member {
    /// Identity within the company; upper and lower case are the same.
    pub userid: String,
    /// Company; that of the first app when left out.
    #[serde(default)]
    pub corpid: Option<String>,
    /// Shown on the page; the userid when left out.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether messages reach them.
    #[serde(default)]
    pub licence: Licence,
    /// Departments beside the root, which is 1.
    #[serde(default)]
    pub departments: Vec<u32>,
    /// Tags.
    #[serde(default)]
    pub tags: Vec<u32>,
}

/// Whether a member has a basic licence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Licence {
    /// Messages reach the member.
    #[default]
    Valid,
    /// The member is in the directory and gets nothing: `unlicenseduser`.
    Missing,
}

impl Member {
    /// A member with a licence.
    pub fn new(userid: &str, name: &str) -> Self {
        Self {
            userid: userid.to_owned(),
            corpid: None,
            name: Some(name.to_owned()),
            licence: Licence::default(),
            departments: Vec::new(),
            tags: Vec::new(),
        }
    }

    /// The root department first.
    pub(crate) fn all_departments(&self) -> Vec<u32> {
        let mut all = vec![ROOT_DEPARTMENT];
        all.extend(self.departments.iter().filter(|id| **id != ROOT_DEPARTMENT));
        all
    }
}

/// To whom a message is addressed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Everybody,
    /// Ids as they were sent.
    Listed {
        users: Vec<String>,
        parties: Vec<String>,
        tags: Vec<String>,
    },
}

/// Whom an address means.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Addressees {
    /// Userids as the directory writes them, each once.
    pub(crate) reached: Vec<String>,
    /// Ids in lower case, as the platform answers them.
    pub(crate) invalid_users: Vec<String>,
    pub(crate) invalid_parties: Vec<String>,
    pub(crate) invalid_tags: Vec<String>,
    pub(crate) unlicensed: Vec<String>,
}

/// Everybody, by company and lower-case userid.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    members: BTreeMap<(String, String), Member>,
}

impl Directory {
    pub(crate) fn put(&mut self, corpid: String, member: Member) {
        let userid = member.userid.to_lowercase();
        self.members.insert((corpid, userid), member);
    }

    pub(crate) fn get(&self, corpid: &str, userid: &str) -> Option<&Member> {
        self.members
            .get(&(corpid.to_owned(), userid.to_lowercase()))
    }

    /// Whom an app reaches with an address. Whoever it may not write to is as invalid as whoever
    /// does not exist.
    pub(crate) fn resolve(&self, agent: &Agent, address: &Address) -> Addressees {
        let mut found = Addressees::default();
        match address {
            Address::Everybody => {
                for member in self.visible(agent) {
                    // Nobody was named, so nobody is reported.
                    if member.licence == Licence::Valid {
                        found.reached.push(member.userid.clone());
                    }
                }
            }
            Address::Listed {
                users,
                parties,
                tags,
            } => {
                for userid in users {
                    match self.get(&agent.corpid, userid) {
                        Some(member) if agent.sees(&member.userid) => found.take(member),
                        Some(_) | None => found.invalid_users.push(userid.to_lowercase()),
                    }
                }
                for party in parties {
                    let id = party.parse().ok();
                    if !self.take_group(agent, &mut found, |member| {
                        id.is_some_and(|id| member.all_departments().contains(&id))
                    }) {
                        found.invalid_parties.push(party.to_lowercase());
                    }
                }
                for tag in tags {
                    let id = tag.parse().ok();
                    if !self.take_group(agent, &mut found, |member| {
                        id.is_some_and(|id| member.tags.contains(&id))
                    }) {
                        found.invalid_tags.push(tag.to_lowercase());
                    }
                }
            }
        }
        found
    }

    /// Adds those who belong to a group; `false` when nobody does.
    fn take_group(
        &self,
        agent: &Agent,
        found: &mut Addressees,
        belongs: impl Fn(&Member) -> bool,
    ) -> bool {
        let mut anybody = false;
        for member in self.visible(agent).filter(|member| belongs(member)) {
            anybody = true;
            found.take(member);
        }
        anybody
    }

    /// The members an app may write to, in the order of their userids.
    pub(crate) fn visible<'all>(
        &'all self,
        agent: &'all Agent,
    ) -> impl Iterator<Item = &'all Member> {
        self.members
            .iter()
            .filter(|((corpid, _), member)| *corpid == agent.corpid && agent.sees(&member.userid))
            .map(|(_, member)| member)
    }
}

impl Addressees {
    fn take(&mut self, member: &Member) {
        let (list, id) = match member.licence {
            Licence::Valid => (&mut self.reached, member.userid.clone()),
            Licence::Missing => (&mut self.unlicensed, member.userid.to_lowercase()),
        };
        if !list.contains(&id) {
            list.push(id);
        }
    }

    /// Whether the address means nobody at all.
    pub(crate) fn is_nobody(&self) -> bool {
        self.reached.is_empty() && self.unlicensed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> Directory {
        let mut directory = Directory::default();
        for member in [
            Member {
                departments: vec![2],
                ..Member::new("ZhangSan", "张三")
            },
            Member {
                tags: vec![7],
                ..Member::new("lisi", "李四")
            },
            Member {
                departments: vec![2],
                licence: Licence::Missing,
                ..Member::new("wangwu", "王五")
            },
        ] {
            directory.put("ww1".to_owned(), member);
        }
        directory.put("ww2".to_owned(), Member::new("other", "外人"));
        directory
    }

    fn listed(users: &[&str], parties: &[&str], tags: &[&str]) -> Address {
        let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        Address::Listed {
            users: owned(users),
            parties: owned(parties),
            tags: owned(tags),
        }
    }

    #[test]
    fn an_address_means_the_visible_members_of_its_company() {
        let agent = Agent::new("ww1", 1, "s");
        let found = directory().resolve(
            &agent,
            &listed(&["ZHANGSAN", "Other", "zhangsan", "wangwu"], &["9"], &["x"]),
        );
        assert_eq!(
            found,
            Addressees {
                reached: vec!["ZhangSan".to_owned()],
                invalid_users: vec!["other".to_owned()],
                invalid_parties: vec!["9".to_owned()],
                invalid_tags: vec!["x".to_owned()],
                unlicensed: vec!["wangwu".to_owned()],
            }
        );
        let narrow = Agent {
            visible_to: Some(vec!["LISI".to_owned()]),
            ..agent
        };
        let found = directory().resolve(&narrow, &listed(&["zhangsan", "lisi"], &[], &[]));
        assert_eq!(found.reached, ["lisi"]);
        assert_eq!(found.invalid_users, ["zhangsan"]);
    }

    #[test]
    fn groups_reach_each_member_once_and_everybody_names_nobody() {
        let agent = Agent::new("ww1", 1, "s");
        let found = directory().resolve(&agent, &listed(&["lisi"], &["1", "2"], &["7"]));
        assert_eq!(found.reached, ["lisi", "ZhangSan"]);
        assert_eq!(found.unlicensed, ["wangwu"]);
        let everybody = directory().resolve(&agent, &Address::Everybody);
        assert_eq!(everybody.reached, ["lisi", "ZhangSan"]);
        assert!(everybody.unlicensed.is_empty());
    }
}
