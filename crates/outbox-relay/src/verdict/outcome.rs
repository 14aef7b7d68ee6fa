use shared::domain::UtcTimestamp;
use shared::outbox::{FallbackCause, RefusedRecipients};
use wechat::errcode::{Api, Class, Rules};
use wechat::{CallError, CloudFunctionAnswer, TokenError};

/// How an attempt ended, before anybody has judged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The platform took the message.
    Accepted {
        /// Its id there, if it told one.
        provider_message_id: Option<String>,
    },
    /// The platform took the message for some of its recipients, and said so as if for all.
    AcceptedForSome {
        /// Its id there, if it told one.
        provider_message_id: Option<String>,
        /// For whom it did not.
        refused: RefusedRecipients,
    },
    /// The platform said that it took the message, and named every recipient as one it does not have.
    AcceptedForNobody {
        /// All of them.
        refused: RefusedRecipients,
    },
    /// The call failed.
    Failed {
        /// Which call.
        api: Api,
        /// How.
        error: CallError,
    },
    /// There was no token to call with; nothing was sent.
    NoToken(TokenError),
    /// The cloud function ran and answered this.
    FunctionAnswered(CloudFunctionAnswer),
    /// Nothing can be sent for this recipient.
    NoRecipient(NoRecipient),
    /// The recipient does not want to be disturbed; nothing was sent.
    DoNotDisturb {
        /// Until then.
        until: UtcTimestamp,
    },
    /// No user at all has an identity in the app: the configuration is wrong, not the recipient.
    NobodyIsBound,
    /// The message cannot be put into the channel's form; what is wrong with it.
    Unpreparable(String),
    /// Not tried, for a reason that is not the message's.
    NotTried(&'static str),
}

/// Why nothing can be sent for a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRecipient {
    /// The route was switched off or removed.
    RouteOff,
    /// They do not want to be told of this.
    KindMuted,
    /// They do not want to be told on this channel.
    ChannelMuted,
    /// They have no identity in the channel's app.
    NoBinding,
    /// So much has been taken out of a digest that a single message goes out by itself.
    DigestOfOne,
}

impl NoRecipient {
    /// The reason, for a person.
    pub fn reason(self) -> &'static str {
        match self {
            Self::RouteOff => "the route is switched off",
            Self::KindMuted => "the recipient has muted this",
            Self::ChannelMuted => "the recipient has muted this channel",
            Self::NoBinding => "the recipient has no binding for this app",
            Self::DigestOfOne => "fewer than two messages are left in the digest",
        }
    }

    /// Why they are told on the next channel, if they are.
    pub fn falls_back(self) -> Option<FallbackCause> {
        match self {
            Self::RouteOff => Some(FallbackCause::RouteOff),
            Self::ChannelMuted => Some(FallbackCause::ChannelMuted),
            Self::NoBinding => Some(FallbackCause::NoBinding),
            Self::KindMuted | Self::DigestOfOne => None,
        }
    }
}

/// What an outcome says about the way to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// The platform answered.
    Works,
    /// It could not be reached, or did not answer.
    Failed,
    /// Nothing was sent.
    NotTried,
}

impl SendOutcome {
    /// What it says about the way to the platform.
    pub fn transport(&self) -> Transport {
        match self {
            Self::Accepted { .. }
            | Self::AcceptedForSome { .. }
            | Self::AcceptedForNobody { .. }
            | Self::FunctionAnswered(_)
            | Self::Failed {
                error: CallError::Refused { .. },
                ..
            }
            | Self::NoToken(TokenError::Rejected { .. }) => Transport::Works,
            Self::Failed {
                error: CallError::NotSent { .. } | CallError::NoAnswer { .. },
                ..
            }
            | Self::NoToken(TokenError::Unreachable { .. }) => Transport::Failed,
            Self::NoRecipient(_)
            | Self::DoNotDisturb { .. }
            | Self::NobodyIsBound
            | Self::Unpreparable(_)
            | Self::NotTried(_) => Transport::NotTried,
        }
    }

    /// Whether the message was written to the platform, so that it may have reached somebody.
    pub fn was_written(&self) -> bool {
        match self {
            Self::Accepted { .. }
            | Self::AcceptedForSome { .. }
            | Self::AcceptedForNobody { .. }
            | Self::FunctionAnswered(_)
            | Self::Failed {
                error: CallError::NoAnswer { .. } | CallError::Refused { .. },
                ..
            } => true,
            Self::Failed {
                error: CallError::NotSent { .. },
                ..
            }
            | Self::NoToken(_)
            | Self::NoRecipient(_)
            | Self::DoNotDisturb { .. }
            | Self::NobodyIsBound
            | Self::Unpreparable(_)
            | Self::NotTried(_) => false,
        }
    }
}

/// Whether the outcome asks for a new token and a second try.
pub fn asks_for_a_new_token(outcome: &SendOutcome, rules: &Rules) -> bool {
    match outcome {
        SendOutcome::Failed {
            api,
            error: CallError::Refused { errcode, .. },
        } => rules.rule(*api, *errcode).class == Class::Token,
        SendOutcome::Failed { .. }
        | SendOutcome::Accepted { .. }
        | SendOutcome::AcceptedForSome { .. }
        | SendOutcome::AcceptedForNobody { .. }
        | SendOutcome::NoToken(_)
        | SendOutcome::FunctionAnswered(_)
        | SendOutcome::NoRecipient(_)
        | SendOutcome::DoNotDisturb { .. }
        | SendOutcome::NobodyIsBound
        | SendOutcome::Unpreparable(_)
        | SendOutcome::NotTried(_) => false,
    }
}
