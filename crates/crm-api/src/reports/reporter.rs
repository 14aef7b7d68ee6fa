use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use chrono::Weekday;
use diesel::prelude::*;
use shared::clock::Clock;
use shared::db::schema::users;
use shared::db::{Database, DbConnection, DbError, WriteTransaction};
use shared::domain::{RequestId, Role, UserId, UtcTimestamp};
use shared::notification::{Kind, Notice, notify_all};

use super::figures::{TeamFigures, figures};
use super::period::{Period, Span};
use super::ranking::Ranking;
use super::told::Told;
use crate::assignment::Telling;
use crate::customers::managers;
use crate::schedule::{Job, JobError, Schedule, Timetable, Turn, time_of_day};

/// How many people are told of their own figures in one transaction.
pub const PEOPLE_AT_ONCE: usize = 250;

/// What is reported at fixed times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// 今日工作日报: to each person, what they did today.
    DailyPersonal,
    /// 团队日报: to admins and managers, what the team did today.
    DailyTeam,
    /// 本周工作周报: to each person, what they did last week; to admins and managers, what the team did.
    Weekly,
    /// 本月工作月报: the same of the last month.
    Monthly,
}

impl Report {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::DailyPersonal,
        Self::DailyTeam,
        Self::Weekly,
        Self::Monthly,
    ];

    /// As what it is told; its schedule is called the same.
    pub fn kind(self) -> Kind {
        match self {
            Self::DailyPersonal => Kind::ReportDailyPersonal,
            Self::DailyTeam => Kind::ReportDailyTeam,
            Self::Weekly => Kind::ReportWeekly,
            Self::Monthly => Kind::ReportMonthly,
        }
    }

    /// When it is made.
    pub fn timetable(self) -> Timetable {
        const EVENING: chrono::NaiveTime = time_of_day(18, 0);
        const MORNING: chrono::NaiveTime = time_of_day(9, 0);
        match self {
            Self::DailyPersonal | Self::DailyTeam => Timetable::Daily { at: EVENING },
            Self::Weekly => Timetable::Weekly {
                weekday: Weekday::Mon,
                at: MORNING,
            },
            Self::Monthly => Timetable::Monthly {
                day: 1,
                at: MORNING,
            },
        }
    }

    /// What time it is about.
    pub fn span(self) -> Span {
        match self {
            Self::DailyPersonal | Self::DailyTeam => Span::Day,
            Self::Weekly => Span::Week,
            Self::Monthly => Span::Month,
        }
    }

    fn is_of_team(self) -> bool {
        matches!(self, Self::DailyTeam | Self::Weekly | Self::Monthly)
    }

    fn is_of_people(self) -> bool {
        matches!(self, Self::DailyPersonal | Self::Weekly | Self::Monthly)
    }
}

/// Makes reports.
#[derive(Clone)]
pub struct Reporter {
    database: Database,
    clock: Arc<dyn Clock>,
    telling: Telling,
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter")
            .field("telling", &self.telling)
            .finish_non_exhaustive()
    }
}

impl Reporter {
    /// On this database, by this clock.
    pub fn new(database: Database, clock: Arc<dyn Clock>, telling: Telling) -> Self {
        Self {
            database,
            clock,
            telling,
        }
    }

    /// The schedule of a report.
    pub fn schedule(&self, report: Report) -> Schedule {
        let reporter = self.clone();
        let job: Job = Arc::new(move |turn| {
            let reporter = reporter.clone();
            Box::pin(async move { reporter.report(report, &turn).await })
        });
        Schedule {
            name: report.kind().as_str(),
            timetable: report.timetable(),
            job,
        }
    }

    /// Tells everybody, in batches. The progress of the turn is the last person told, so that whoever
    /// takes over tells the others and nobody twice.
    async fn report(&self, report: Report, turn: &Turn) -> Result<(), JobError> {
        let period = report.span().period(turn.slot, self.telling.time_zone);
        let content = self
            .database
            .run(move |connection| Content::gather(connection, period))
            .await?;
        let content = Arc::new(content);
        let request_id = RequestId::generate();
        let mut told = turn.progress.clone();
        loop {
            let batch = Batch {
                report,
                turn: turn.clone(),
                told_last: told.take().and_then(|id| id.parse().ok()),
                content: Arc::clone(&content),
                request_id: request_id.clone(),
                telling: self.telling,
            };
            let clock = Arc::clone(&self.clock);
            let last = self
                .database
                .write(move |transaction| batch.tell(transaction, clock.now()))
                .await?;
            match last {
                Some(last) => told = Some(last.to_string()),
                None => return Ok(()),
            }
        }
    }
}

/// What a report says.
#[derive(Debug)]
struct Content {
    period: Period,
    team: TeamFigures,
    ranking: Ranking,
}

impl Content {
    fn gather(connection: &mut DbConnection, period: Period) -> Result<Self, DbError> {
        let team = figures(connection, &period)?;
        let names: Vec<(UserId, String)> = users::table
            .select((users::id, users::name))
            .load(connection)?;
        let names: HashMap<UserId, String> = names.into_iter().collect();
        let ranking = Ranking::of(&team, &names);
        Ok(Self {
            period,
            team,
            ranking,
        })
    }
}

/// Some of the people, who are told in one transaction.
struct Batch {
    report: Report,
    turn: Turn,
    told_last: Option<UserId>,
    content: Arc<Content>,
    request_id: RequestId,
    telling: Telling,
}

impl Batch {
    /// Tells them; answers the last of them, or nothing if that was all.
    fn tell(
        &self,
        transaction: &mut WriteTransaction<'_>,
        now: UtcTimestamp,
    ) -> Result<Option<UserId>, JobError> {
        self.turn.confirm(transaction, now)?;
        let time = self.telling.time_text(now);
        let mut notices = Vec::new();
        if self.report.is_of_team() && self.told_last.is_none() {
            notices.push(self.of_team(managers(transaction)?, &time));
        }
        let people = if self.report.is_of_people() {
            self.people(transaction.connection())?
        } else {
            Vec::new()
        };
        notices.extend(people.iter().filter_map(|person| self.of(person, &time)));
        notify_all(transaction, &notices, self.telling.channels, now)?;
        match people.last() {
            Some((last, _)) if people.len() == PEOPLE_AT_ONCE => {
                self.turn.advance(transaction, last.as_str(), now)?;
                Ok(Some(last.clone()))
            }
            Some(_) | None => {
                self.turn.complete(transaction, now)?;
                Ok(None)
            }
        }
    }

    /// The next of those at work.
    fn people(&self, connection: &mut DbConnection) -> Result<Vec<(UserId, Role)>, DbError> {
        let mut query = users::table.filter(users::active).into_boxed();
        if let Some(told_last) = &self.told_last {
            query = query.filter(users::id.gt(told_last.clone()));
        }
        let limit = i64::try_from(PEOPLE_AT_ONCE).unwrap_or(i64::MAX);
        Ok(query
            .order(users::id)
            .limit(limit)
            .select((users::id, users::role))
            .load(connection)?)
    }

    /// Of what somebody did. Staff get it also if that is nothing, so that they see that it was counted;
    /// those who lead get the team's, and their own only if there is something in it.
    fn of(&self, (user, role): &(UserId, Role), time: &str) -> Option<Notice> {
        let figures = self.content.team.of(user);
        if matches!(role, Role::Admin | Role::Manager) && figures.is_nothing() {
            return None;
        }
        let ranking = self.content.ranking.place_of(user);
        let told = Told {
            kind: self.report.kind(),
            scope: "个人",
            period: &self.content.period.text,
            figures,
            ranking,
            time,
            recipients: vec![user.clone()],
            request_id: &self.request_id,
        };
        Some(told.notice())
    }

    fn of_team(&self, leading: Vec<UserId>, time: &str) -> Notice {
        let told = Told {
            kind: self.report.kind(),
            scope: "团队",
            period: &self.content.period.text,
            figures: self.content.team.total,
            ranking: self.content.ranking.list(),
            time,
            recipients: leading,
            request_id: &self.request_id,
        };
        told.notice()
    }
}
