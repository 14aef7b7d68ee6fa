use super::kind::{Audience, Kind};
use super::route::{Route, routes};
use crate::db::{DbError, WriteTransaction, dialect};
use crate::domain::Channel;

/// Why a route cannot have the fallback it should have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FallbackProblem {
    /// It is the route's own channel.
    #[error("a channel cannot take over from itself")]
    Itself,
    /// What is about nobody in particular names its recipients as one channel knows them.
    #[error("{0} names its recipients as its channel knows them")]
    NamedRecipients(Kind),
    /// A robot writes to a group and not to one recipient.
    #[error("{0} does not write to one recipient")]
    Group(Channel),
    /// The cloud function is one for assignments.
    #[error("wechat_cloud tells of assignments, and {0} is none")]
    NoAssignment(Kind),
    /// The channel has no route for the kind.
    #[error("{0} has no route for this kind")]
    NoRoute(Channel),
    /// It takes over from another channel already.
    #[error("it takes over from {0} already")]
    TakenBy(Channel),
    /// One after the other they come back to the route's own channel: those on the way.
    #[error("the fallbacks go round in a circle")]
    Circle(Vec<Channel>),
}

/// Whether a route can have its fallback, beside the other routes of its kind; nobody changes these until
/// the transaction ends.
///
/// # Errors
/// What the database says; else the first problem found, within `Ok`.
pub fn check_fallback(
    transaction: &mut WriteTransaction<'_>,
    route: &Route,
) -> Result<Result<(), FallbackProblem>, DbError> {
    let Some(fallback) = route.settings.fallback else {
        return Ok(Ok(()));
    };
    let connection = transaction.connection();
    dialect::lock_routes(connection, route.kind.as_str())?;
    let mut others = routes(connection)?;
    others.retain(|other| other.kind == route.kind && other.channel != route.channel);
    Ok(check(route, fallback, &others))
}

fn check(route: &Route, fallback: Channel, others: &[Route]) -> Result<(), FallbackProblem> {
    if fallback == route.channel {
        return Err(FallbackProblem::Itself);
    }
    if route.kind.audience() == Audience::RouteRecipients {
        return Err(FallbackProblem::NamedRecipients(route.kind));
    }
    for channel in [route.channel, fallback] {
        if channel == Channel::WecomRobot {
            return Err(FallbackProblem::Group(channel));
        }
    }
    if fallback == Channel::WechatCloud && !is_assignment(route.kind) {
        return Err(FallbackProblem::NoAssignment(route.kind));
    }
    let of = |channel: Channel| others.iter().find(move |other| other.channel == channel);
    if of(fallback).is_none() {
        return Err(FallbackProblem::NoRoute(fallback));
    }
    let taken_by = |other: &&Route| other.settings.fallback == Some(fallback);
    if let Some(other) = others.iter().find(taken_by) {
        return Err(FallbackProblem::TakenBy(other.channel));
    }
    let mut way = vec![route.channel];
    let mut next = Some(fallback);
    while let Some(channel) = next {
        way.push(channel);
        if channel == route.channel {
            return Err(FallbackProblem::Circle(way));
        }
        if way.len() > Channel::ALL.len() {
            // A circle beside this route, made by hand.
            return Err(FallbackProblem::Circle(way));
        }
        next = of(channel).and_then(|other| other.settings.fallback);
    }
    Ok(())
}

/// Whether the cloud function knows what to say of it.
fn is_assignment(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::CustomerAssigned | Kind::CustomerBatchAssigned | Kind::CustomerAssignedFromPool
    )
}

#[cfg(test)]
mod tests {
    use super::super::RouteSettings;
    use super::Channel::{WechatCloud, WechatSubscribe, WecomApp, WecomRobot};
    use super::*;

    fn route(kind: Kind, channel: Channel, fallback: Option<Channel>) -> Route {
        Route {
            kind,
            channel,
            settings: RouteSettings {
                enabled: true,
                fallback,
                ..RouteSettings::default()
            },
        }
    }

    fn problem(
        kind: Kind,
        channel: Channel,
        fallback: Channel,
        others: &[(Channel, Option<Channel>)],
    ) -> Option<FallbackProblem> {
        let others: Vec<Route> = others
            .iter()
            .map(|(channel, fallback)| route(kind, *channel, *fallback))
            .collect();
        let wanted = route(kind, channel, Some(fallback));
        check(&wanted, fallback, &others).err()
    }

    #[test]
    fn a_fallback_is_a_route_of_a_user_that_nobody_else_has() {
        use FallbackProblem::{
            Circle, Group, Itself, NamedRecipients, NoAssignment, NoRoute, TakenBy,
        };
        let assigned = Kind::CustomerAssigned;
        let both = [(WechatCloud, None), (WecomApp, None)];
        for (kind, channel, fallback, others, expected) in [
            (assigned, WechatSubscribe, WecomApp, &both[..], None),
            (assigned, WechatSubscribe, WechatCloud, &both[..], None),
            (
                assigned,
                WechatSubscribe,
                WechatSubscribe,
                &both[..],
                Some(Itself),
            ),
            (
                assigned,
                WechatSubscribe,
                WecomRobot,
                &both[..],
                Some(Group(WecomRobot)),
            ),
            (
                assigned,
                WecomRobot,
                WecomApp,
                &both[..],
                Some(Group(WecomRobot)),
            ),
            (
                Kind::ReportWeekly,
                WechatSubscribe,
                WechatCloud,
                &both[..],
                Some(NoAssignment(Kind::ReportWeekly)),
            ),
            (
                Kind::MemberUpdated,
                WecomApp,
                WechatSubscribe,
                &[],
                Some(NamedRecipients(Kind::MemberUpdated)),
            ),
            (
                assigned,
                WechatSubscribe,
                WecomApp,
                &[(WechatCloud, None)],
                Some(NoRoute(WecomApp)),
            ),
            (
                assigned,
                WechatSubscribe,
                WecomApp,
                &[(WechatCloud, Some(WecomApp)), (WecomApp, None)],
                Some(TakenBy(WechatCloud)),
            ),
            (
                assigned,
                WechatSubscribe,
                WecomApp,
                &[(WecomApp, Some(WechatSubscribe))],
                Some(Circle(vec![WechatSubscribe, WecomApp, WechatSubscribe])),
            ),
            (
                assigned,
                WechatSubscribe,
                WecomApp,
                &[
                    (WecomApp, Some(WechatCloud)),
                    (WechatCloud, Some(WechatSubscribe)),
                ],
                Some(Circle(vec![
                    WechatSubscribe,
                    WecomApp,
                    WechatCloud,
                    WechatSubscribe,
                ])),
            ),
        ] {
            assert_eq!(
                problem(kind, channel, fallback, others),
                expected,
                "{kind} {channel} {fallback}"
            );
        }
    }
}
