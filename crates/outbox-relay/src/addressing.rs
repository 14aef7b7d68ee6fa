use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use shared::bindings;
use shared::db::{DbConnection, DbError};
use shared::domain::{App, Channel, RecipientId, UserId};
use shared::notification::{Audience, Kind, RouteSettings, routes};
use shared::outbox::{ClaimedMessage, Hold, holds};

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

    /// Looks up what a delivery needs to know of these messages' recipients and routes, in as many queries
    /// for all as for one; and of the hold that a probe is to try.
    pub(crate) fn address(
        &self,
        connection: &mut DbConnection,
        messages: Vec<ClaimedMessage>,
    ) -> Result<Vec<AddressedMessage>, DbError> {
        let recipients: Vec<(&RecipientId, &str)> = messages
            .iter()
            .map(|message| (&message.recipient_id, message.kind.as_str()))
            .collect();
        let addresses = self.addresses(connection, &recipients)?;
        let routes: HashMap<(Kind, Channel), Arc<RouteSettings>> = routes(connection)?
            .into_iter()
            .map(|route| ((route.kind, route.channel), Arc::new(route.settings)))
            .collect();
        let held: Vec<Hold> = if messages.iter().any(|message| message.is_probe) {
            holds(connection)?
        } else {
            Vec::new()
        };
        let addressed = messages.into_iter().zip(addresses);
        Ok(addressed
            .map(|(message, address)| {
                let kind: Option<Kind> = message.kind.parse().ok();
                let route = kind.and_then(|kind| routes.get(&(kind, message.channel)).cloned());
                let hold = held.iter().find(|hold| hold.channel == message.channel);
                AddressedMessage {
                    address,
                    route,
                    hold: hold.cloned(),
                    message,
                }
            })
            .collect())
    }

    /// The addresses of these recipients of messages of these kinds, in their order: in one query for
    /// all of them.
    pub(crate) fn addresses(
        &self,
        connection: &mut DbConnection,
        recipients: &[(&RecipientId, &str)],
    ) -> Result<Vec<Address>, DbError> {
        let users: HashSet<UserId> = recipients
            .iter()
            .filter(|(_, kind)| self.goes_to_users(kind))
            .filter_map(|(recipient, _)| recipient.as_str().parse().ok())
            .collect();
        let (external_ids, nobody_is_bound) = match self.app() {
            Some(app) if !users.is_empty() => {
                let external_ids = bindings::external_ids(connection, app, users)?;
                let nobody = external_ids.is_empty() && !bindings::exist(connection, app)?;
                (external_ids, nobody)
            }
            _ => Default::default(),
        };
        let address = |(recipient, kind): &(&RecipientId, &str)| {
            if !self.goes_to_users(kind) {
                return Address::Known(recipient.to_string());
            }
            match external_ids.get(recipient.as_str()) {
                Some(external_id) => Address::Known(external_id.clone()),
                None if nobody_is_bound => Address::NobodyIsBound,
                None => Address::NoBinding,
            }
        };
        Ok(recipients.iter().map(address).collect())
    }
}
