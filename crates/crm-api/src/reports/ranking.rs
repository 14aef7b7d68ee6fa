use std::cmp::Reverse;
use std::collections::HashMap;

use shared::domain::UserId;

use super::figures::TeamFigures;

/// How many people a list shows.
const LISTED_MAX: usize = 10;

/// What is read where nobody, or not the reader, has signed anything.
const NOTHING_SIGNED: &str = "暂无签约";

/// Who has signed how many contracts, most first. Whoever has signed as many has the same place, and the
/// next place is as far down as if they had not: 1, 1, 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranking {
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    place: usize,
    user: UserId,
    name: String,
    signed: i64,
}

impl Ranking {
    /// Of everybody who has signed something. `names` are those of the people.
    pub fn of(team: &TeamFigures, names: &HashMap<UserId, String>) -> Self {
        let signers = team.people.iter().filter(|(_, done)| done.signed > 0);
        let mut signers: Vec<(&UserId, &str, i64)> = signers
            .map(|(user, done)| {
                let name = names.get(user).map_or("-", String::as_str);
                (user, name, done.signed)
            })
            .collect();
        signers.sort_unstable_by_key(|(user, name, signed)| (Reverse(*signed), *name, *user));
        let mut lines: Vec<Line> = Vec::with_capacity(signers.len());
        for (position, (user, name, signed)) in signers.into_iter().enumerate() {
            let place = match lines.last() {
                Some(before) if before.signed == signed => before.place,
                Some(_) | None => position + 1,
            };
            lines.push(Line {
                place,
                user: user.clone(),
                name: name.to_owned(),
                signed,
            });
        }
        Self { lines }
    }

    /// The first of them, and how many there are if that is not all:
    /// `1. 李娜 3 个；1. 王五 3 个；3. 周派单 1 个`.
    pub fn list(&self) -> String {
        if self.lines.is_empty() {
            return NOTHING_SIGNED.to_owned();
        }
        let shown = self.lines.iter().take(LISTED_MAX);
        let shown: Vec<String> = shown
            .map(|line| format!("{}. {} {} 个", line.place, line.name, line.signed))
            .collect();
        let list = shown.join("；");
        if self.lines.len() > LISTED_MAX {
            format!("{list}…共 {} 人", self.lines.len())
        } else {
            list
        }
    }

    /// The place of one person: `第 2 名`.
    pub fn place_of(&self, user: &UserId) -> String {
        match self.lines.iter().find(|line| line.user == *user) {
            Some(line) => format!("第 {} 名", line.place),
            None => NOTHING_SIGNED.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::Figures;

    fn ranking(signed: &[(&str, i64)]) -> (Ranking, Vec<UserId>) {
        let mut team = TeamFigures::default();
        let mut names = HashMap::new();
        let mut people = Vec::new();
        for (name, signed) in signed {
            let user = UserId::generate();
            let done = Figures {
                follow_ups: 1,
                signed: *signed,
                ..Figures::default()
            };
            team.people.insert(user.clone(), done);
            names.insert(user.clone(), (*name).to_owned());
            people.push(user);
        }
        (Ranking::of(&team, &names), people)
    }

    #[test]
    fn whoever_has_signed_as_many_has_the_same_place() {
        let (ranking, people) = ranking(&[("赵", 1), ("李", 3), ("孙", 0), ("王", 3), ("周", 2)]);
        assert_eq!(
            ranking.list(),
            "1. 李 3 个；1. 王 3 个；3. 周 2 个；4. 赵 1 个"
        );
        let places: Vec<String> = people.iter().map(|user| ranking.place_of(user)).collect();
        assert_eq!(
            places,
            ["第 4 名", "第 1 名", "暂无签约", "第 1 名", "第 3 名"]
        );
    }

    #[test]
    fn a_long_list_says_how_long_it_is() {
        let names: Vec<String> = (0..12).map(|n| format!("员工{n:02}")).collect();
        let signed: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let (ranking, people) = ranking(&signed);
        let list = ranking.list();
        assert_eq!(list.matches("1. 员工").count(), 10, "{list}");
        assert!(list.ends_with("员工09 1 个…共 12 人"), "{list}");
        assert_eq!(ranking.place_of(&people[11]), "第 1 名");
    }

    #[test]
    fn nobody_is_nobody() {
        let (ranking, _) = ranking(&[("李", 0)]);
        assert_eq!(ranking.list(), "暂无签约");
    }
}
