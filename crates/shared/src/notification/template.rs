use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use diesel::prelude::*;

use super::catalogue::catalogue_entry;
use super::inbox::NotificationPriority;
use super::kind::Kind;
use crate::db::schema::{notification_routes, notification_templates};
use crate::db::{DbConnection, DbError, WriteTransaction, dialect};
use crate::domain::{Channel, ChannelSet, UserId, UtcTimestamp};
use crate::outbox::fallback_chains;

/// The words for a kind as they are now: edited, or as the catalogue has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The headline, with `{{placeholders}}`.
    pub title: Cow<'static, str>,
    /// The text, with placeholders.
    pub content: Cow<'static, str>,
    /// How urgent.
    pub priority: NotificationPriority,
    /// Where a click leads, with placeholders.
    pub link: Cow<'static, str>,
    /// The words of the button that leads there.
    pub button: Cow<'static, str>,
}

/// What somebody wants otherwise than the catalogue has it. What is not edited changes with the
/// catalogue of a later release.
#[derive(Debug, Clone, PartialEq, Eq, Default, Queryable, AsChangeset)]
#[diesel(table_name = notification_templates, treat_none_as_null = true)]
pub struct TemplateEdits {
    /// The headline.
    pub title: Option<String>,
    /// The text.
    pub content: Option<String>,
    /// How urgent.
    pub priority: Option<NotificationPriority>,
    /// Where a click leads.
    pub link: Option<String>,
    /// The words of the button.
    pub button: Option<String>,
}

/// A template and who made it so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTemplate {
    /// Of what.
    pub kind: Kind,
    /// What is not as in the catalogue.
    pub edits: TemplateEdits,
    /// How often it was edited.
    pub version: i32,
    /// Who edited it last.
    pub updated_by: Option<UserId>,
    /// When.
    pub updated_at: Option<UtcTimestamp>,
}

impl Template {
    /// The words of the catalogue.
    pub fn of_catalogue(kind: Kind) -> Self {
        Self::new(kind, TemplateEdits::default())
    }

    /// The words of the catalogue with these edits.
    pub fn new(kind: Kind, edits: TemplateEdits) -> Self {
        let entry = catalogue_entry(kind);
        let edited = |text: Option<String>, default: &'static str| {
            text.map_or(Cow::Borrowed(default), Cow::Owned)
        };
        Self {
            title: edited(edits.title, entry.title),
            content: edited(edits.content, entry.content),
            priority: edits.priority.unwrap_or(entry.priority),
            link: edited(edits.link, entry.link),
            button: edited(edits.button, entry.button),
        }
    }
}

/// How something is told: in which words, and on which channels.
#[derive(Debug, Default)]
pub(super) struct Telling {
    edited: HashMap<Kind, Template>,
    chains: HashMap<Kind, Vec<Vec<Channel>>>,
}

impl Telling {
    /// The words for a kind.
    pub(super) fn template(&self, kind: Kind) -> Cow<'_, Template> {
        match self.edited.get(&kind) {
            Some(template) => Cow::Borrowed(template),
            None => Cow::Owned(Template::of_catalogue(kind)),
        }
    }

    /// The channels on which a kind goes out, each with those that take over, one after the other, from
    /// the one before.
    pub(super) fn channels(&self, kind: Kind) -> impl Iterator<Item = (Channel, &[Channel])> {
        let chains = self.chains.get(&kind).into_iter().flatten();
        chains.filter_map(|chain| chain.split_first().map(|(first, rest)| (*first, rest)))
    }
}

/// How things of these kinds are told now: routes that are enabled, on channels that are configured, and
/// the templates that somebody has edited. What is neither is passed over in a chain of fallbacks. One
/// query: it is asked at every change of the business.
pub(super) fn telling(
    connection: &mut DbConnection,
    kinds: impl Iterator<Item = Kind>,
    configured: ChannelSet,
) -> Result<Telling, DbError> {
    type Link = (Channel, bool, Option<Channel>);
    type Row = (Kind, i32, TemplateEdits, Option<Link>);
    let route_of_kind = notification_routes::kind
        .eq(notification_templates::kind)
        .and(
            notification_routes::enabled
                .eq(true)
                .or(notification_routes::fallback.is_not_null()),
        );
    let kinds: HashSet<&str> = kinds.map(Kind::as_str).collect();
    let of_kinds = dialect::among(connection, notification_templates::kind, kinds);
    let rows: Vec<Row> = notification_templates::table
        .left_join(notification_routes::table.on(route_of_kind))
        .filter(of_kinds)
        .filter(
            notification_templates::version
                .gt(0)
                .or(notification_routes::channel.is_not_null()),
        )
        .order((notification_templates::kind, notification_routes::channel))
        .select((
            notification_templates::kind,
            notification_templates::version,
            EDITS,
            (
                notification_routes::channel,
                notification_routes::enabled,
                notification_routes::fallback,
            )
                .nullable(),
        ))
        .load(connection)?;
    let mut telling = Telling::default();
    let mut links: HashMap<Kind, Vec<Link>> = HashMap::new();
    for (kind, version, edits, link) in rows {
        if version > 0 {
            telling.edited.insert(kind, Template::new(kind, edits));
        }
        if let Some(link) = link {
            links.entry(kind).or_default().push(link);
        }
    }
    for (kind, links) in links {
        telling
            .chains
            .insert(kind, usable_chains(&links, configured));
    }
    Ok(telling)
}

/// The chains of these routes without what cannot be used.
fn usable_chains(
    links: &[(Channel, bool, Option<Channel>)],
    configured: ChannelSet,
) -> Vec<Vec<Channel>> {
    let usable: ChannelSet = links
        .iter()
        .filter(|(channel, enabled, _)| *enabled && configured.contains(*channel))
        .map(|(channel, ..)| *channel)
        .collect();
    let fallbacks: BTreeMap<Channel, Option<Channel>> = links
        .iter()
        .map(|(channel, _, fallback)| (*channel, *fallback))
        .collect();
    let mut chains = fallback_chains(&fallbacks);
    for chain in &mut chains {
        chain.retain(|channel| usable.contains(*channel));
    }
    chains
}

type Edits = (
    notification_templates::title,
    notification_templates::content,
    notification_templates::priority,
    notification_templates::link,
    notification_templates::button,
);
const EDITS: Edits = (
    notification_templates::title,
    notification_templates::content,
    notification_templates::priority,
    notification_templates::link,
    notification_templates::button,
);

/// The templates that somebody has edited, as they are now.
///
/// # Errors
/// What the database says.
pub fn edited_templates(connection: &mut DbConnection) -> Result<HashMap<Kind, Template>, DbError> {
    let rows: Vec<(Kind, TemplateEdits)> = notification_templates::table
        .filter(notification_templates::version.gt(0))
        .select((notification_templates::kind, EDITS))
        .load(connection)?;
    let edited = rows
        .into_iter()
        .map(|(kind, edits)| (kind, Template::new(kind, edits)));
    Ok(edited.collect())
}

/// The template of one kind, or those of all.
///
/// # Errors
/// What the database says.
pub fn stored_templates(
    connection: &mut DbConnection,
    kind: Option<Kind>,
) -> Result<Vec<StoredTemplate>, DbError> {
    type Row = (
        String,
        TemplateEdits,
        i32,
        Option<UserId>,
        Option<UtcTimestamp>,
    );
    let mut query = notification_templates::table.into_boxed();
    if let Some(kind) = kind {
        query = query.filter(notification_templates::kind.eq(kind));
    }
    let rows: Vec<Row> = query
        .order(notification_templates::kind)
        .select((
            notification_templates::kind,
            EDITS,
            notification_templates::version,
            notification_templates::updated_by,
            notification_templates::updated_at,
        ))
        .load(connection)?;
    let stored = rows
        .into_iter()
        .filter_map(|(kind, edits, version, updated_by, updated_at)| {
            Some(StoredTemplate {
                // A newer release may know more kinds.
                kind: kind.parse().ok()?,
                edits,
                version,
                updated_by,
                updated_at,
            })
        });
    Ok(stored.collect())
}

/// Edits a template: from the end of the transaction on it is what everybody is told in, by every
/// process. Answers the new version.
///
/// # Errors
/// What the database says.
pub fn edit_template(
    transaction: &mut WriteTransaction<'_>,
    kind: Kind,
    edits: &TemplateEdits,
    by: &UserId,
    now: UtcTimestamp,
) -> Result<i32, DbError> {
    Ok(diesel::update(notification_templates::table.find(kind))
        .set((
            edits,
            notification_templates::version.eq(notification_templates::version + 1),
            notification_templates::updated_by.eq(by),
            notification_templates::updated_at.eq(now),
        ))
        .returning(notification_templates::version)
        .get_result(transaction.connection())?)
}
