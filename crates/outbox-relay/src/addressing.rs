use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::DateTime;
use chrono_tz::Tz;
use shared::bindings;
use shared::db::{DbConnection, DbError};
use shared::domain::{App, Channel, OutboxMessageId, RecipientId, UserId};
use shared::notification::{
    Audience, Kind, Preferences, RouteSettings, Template, Wish, digest_data, edited_templates,
    routes_on,
};
use shared::outbox::{AfterQuiet, ClaimedMessage, DIGEST, Hold, MembersTold, QuietMessage, holds};

use crate::Config;
use crate::channel::{Address, AddressedMessage};

/// How the recipients of a channel are known to its platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Addressing {
    /// They are users, with an identity in this app.
    Users(App),
    /// The same, except where what a message is about concerns nobody in particular: then it names its
    /// recipients as the platform knows them.
    UsersOrNames(App),
    /// Every message names its recipient as the platform, or nobody but a reader, knows them.
    Names,
}

impl Addressing {
    pub(crate) fn of(channel: Channel, config: &Config) -> Self {
        match channel {
            Channel::WechatSubscribe | Channel::WechatCloud => {
                Self::Users(config.mini_program_app())
            }
            Channel::WecomApp => Self::UsersOrNames(config.wecom_app()),
            Channel::WecomRobot => Self::Names,
        }
    }

    /// The app in which users have an identity, if the channel needs one.
    pub(crate) fn app(&self) -> Option<&App> {
        match self {
            Self::Users(app) | Self::UsersOrNames(app) => Some(app),
            Self::Names => None,
        }
    }

    /// Whether messages of this kind go to users.
    pub(crate) fn goes_to_users(&self, kind: &str) -> bool {
        match self {
            Self::Users(_) => true,
            Self::UsersOrNames(_) => !kind
                .parse()
                .is_ok_and(|kind: Kind| kind.audience() == Audience::RouteRecipients),
            Self::Names => false,
        }
    }

    /// Whether messages of this channel have the words of the kind's template; the mini program's say
    /// what the fields of the platform's own template say.
    fn shows_templates(&self) -> bool {
        match self {
            Self::Users(_) => false,
            Self::UsersOrNames(_) | Self::Names => true,
        }
    }

    /// Looks up what a delivery needs to know of these messages' recipients and routes on a channel, in as
    /// many queries for all as for one; and of the hold that a probe is to try. Those that are digests get
    /// as their payload what they tell.
    pub(crate) fn address(
        &self,
        connection: &mut DbConnection,
        channel: Channel,
        mut messages: Vec<ClaimedMessage>,
        told: &HashMap<OutboxMessageId, MembersTold>,
        moment: &DateTime<Tz>,
    ) -> Result<Vec<AddressedMessage>, DbError> {
        let recipients: Vec<(&RecipientId, &str)> = messages
            .iter()
            .map(|message| (&message.recipient_id, message.kind.as_str()))
            .collect();
        let recipients = self.look_up(connection, &recipients)?;
        let routes: HashMap<Kind, Arc<RouteSettings>> = routes_on(connection, channel)?
            .into_iter()
            .map(|route| (route.kind, Arc::new(route.settings)))
            .collect();
        let edited: HashMap<Kind, Template> = if self.shows_templates() || !told.is_empty() {
            edited_templates(connection)?
        } else {
            HashMap::new()
        };
        for message in &mut messages {
            if let Some(told) = told.get(&message.id) {
                let made_at = message.created_at.to_datetime();
                let time = made_at.with_timezone(&moment.timezone());
                let time = time.format("%Y年%m月%d日 %H:%M").to_string();
                message.payload = serde_json::json!(digest_data(told, &edited, &time)).to_string();
            }
        }
        let edited = edited.into_iter();
        let templates: HashMap<Kind, Arc<Template>> = edited
            .map(|(kind, edited)| (kind, Arc::new(edited)))
            .collect();
        let held: Vec<Hold> = if messages.iter().any(|message| message.is_probe) {
            holds(connection)?
        } else {
            Vec::new()
        };
        let addressed = messages.into_iter().zip(recipients);
        Ok(addressed
            .map(|(message, (address, preferences))| {
                let kind: Option<Kind> = message.kind.parse().ok();
                let route = kind.and_then(|kind| routes.get(&kind).cloned());
                let hold = held.iter().find(|hold| hold.channel == message.channel);
                let template = kind.and_then(|kind| templates.get(&kind).cloned());
                let wish = match (kind, preferences) {
                    (Some(kind), Some(said)) => {
                        said.wish(kind, message.channel, message.priority, moment)
                    }
                    (None, _) | (_, None) => Wish::Now,
                };
                AddressedMessage {
                    address,
                    wish,
                    route,
                    template,
                    hold: hold.cloned(),
                    message,
                }
            })
            .collect())
    }

    /// What becomes of these messages of a channel, whose recipients may be disturbed again: in their
    /// order. Where digests cannot go out on the channel, each goes out by itself.
    pub(crate) fn after_quiet(
        &self,
        connection: &mut DbConnection,
        channel: Channel,
        quiet: &[QuietMessage],
        route: DigestRoute,
        moment: &DateTime<Tz>,
    ) -> Result<Vec<AfterQuiet>, DbError> {
        let recipients: Vec<(&RecipientId, &str)> = quiet
            .iter()
            .map(|message| (&message.recipient_id, message.kind.as_str()))
            .collect();
        let recipients = self.look_up(connection, &recipients)?;
        let after = |(message, (address, preferences)): (&QuietMessage, (Address, _))| {
            let kind: Option<Kind> = message.kind.parse().ok();
            let wish = match (kind, preferences) {
                (Some(kind), Some(said)) => {
                    Preferences::wish(&said, kind, channel, message.priority, moment)
                }
                (None, _) | (_, None) => Wish::Now,
            };
            let is_reached = matches!(address, Address::Known(_));
            let is_gathered = route == DigestRoute::Usable
                && is_reached
                && message.kind != DIGEST
                // Sent again, it must be what it was.
                && !message.outcome_unknown;
            match wish {
                Wish::Later { until } => AfterQuiet::Waits { until },
                Wish::Now if is_gathered => AfterQuiet::Gathered,
                // What was muted meanwhile is skipped with the reason.
                Wish::Now | Wish::Elsewhere | Wish::Never => AfterQuiet::Alone,
            }
        };
        Ok(quiet.iter().zip(recipients).map(after).collect())
    }

    /// The addresses of these recipients of messages of these kinds, in their order: in one query for
    /// all of them.
    pub(crate) fn addresses(
        &self,
        connection: &mut DbConnection,
        recipients: &[(&RecipientId, &str)],
    ) -> Result<Vec<Address>, DbError> {
        let found = self.look_up(connection, recipients)?;
        Ok(found.into_iter().map(|(address, _)| address).collect())
    }

    /// The same with what they want to be told, and when.
    fn look_up(
        &self,
        connection: &mut DbConnection,
        recipients: &[(&RecipientId, &str)],
    ) -> Result<Vec<(Address, Option<Preferences>)>, DbError> {
        let users: HashSet<UserId> = recipients
            .iter()
            .filter(|(_, kind)| self.goes_to_users(kind))
            .filter_map(|(recipient, _)| recipient.as_str().parse().ok())
            .collect();
        let (known, nobody_is_bound) = match self.app() {
            Some(app) if !users.is_empty() => {
                let known = bindings::recipients(connection, app, users)?;
                let is_bound = |one: &bindings::Recipient| one.external_id.is_some();
                let nobody = !known.values().any(is_bound) && !bindings::exist(connection, app)?;
                (known, nobody)
            }
            _ => Default::default(),
        };
        let address = |(recipient, kind): &(&RecipientId, &str)| {
            if !self.goes_to_users(kind) {
                return (Address::Known(recipient.to_string()), None);
            }
            let known = known.get(recipient.as_str());
            let address = match known.and_then(|one| one.external_id.clone()) {
                Some(external_id) => Address::Known(external_id),
                None if nobody_is_bound => Address::NobodyIsBound,
                None => Address::NoBinding,
            };
            (address, known.and_then(|one| one.preferences.clone()))
        };
        Ok(recipients.iter().map(address).collect())
    }
}

/// Whether digests can go out on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DigestRoute {
    /// They can.
    Usable,
    /// There is no route for them, it is switched off, or it has no template of the platform's where
    /// one is needed.
    Missing,
}

impl DigestRoute {
    /// That of a channel now.
    pub(crate) fn of(connection: &mut DbConnection, channel: Channel) -> Result<Self, DbError> {
        let mut routes = routes_on(connection, channel)?.into_iter();
        let route = routes
            .find(|route| route.kind == Kind::SystemDigest)
            .filter(|route| route.settings.enabled);
        let Some(route) = route else {
            return Ok(Self::Missing);
        };
        let template = route.settings.template_id;
        let has_template = template.is_some_and(|id| !id.is_empty());
        Ok(if has_template || channel != Channel::WechatSubscribe {
            Self::Usable
        } else {
            Self::Missing
        })
    }
}
