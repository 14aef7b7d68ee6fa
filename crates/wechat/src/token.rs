//! The access token of one app: fetched once for all callers, kept until it is about to end.
//!
//! ```text
//!  fetched                                        renew from        unusable
//!     |------------------ held ----------------------|--- renewable ---|
//!                                                     5 min - jitter     10 s before the end
//! ```
//!
//! While *held*, every caller gets the token at once. While *renewable*, one caller fetches the
//! next one and all others go on with the old one; when that fails the old one is still good.

mod source;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use crate::call_error::CallError;
use crate::client::ApiClient;
use crate::errcode::Api;

use source::TokenGrant;
pub use source::TokenSource;

/// The platforms hand out the next token only in the last 5 minutes of the current one; asking
/// earlier returns the same token again. Both are valid during these minutes.
const RENEWAL_WINDOW: Duration = Duration::from_secs(300);

/// Processes that share an app spread their renewals over the first minute of the window.
const RENEWAL_JITTER_MAX: Duration = Duration::from_secs(60);

/// A token is not used in its last seconds: the request has to arrive while it is valid.
const SAFETY_MARGIN: Duration = Duration::from_secs(10);

/// A fetch is not repeated sooner than this while there is a token that may still work, whatever
/// the platform says about its remaining time.
const FETCH_PAUSE: Duration = Duration::from_secs(30);

/// No platform grants more; a larger figure would be a mistake.
const LIFETIME_MAX: Duration = Duration::from_secs(7200);

/// An access token, as it was fetched by one [`TokenSlot`]. Cheap to clone; never shown by `Debug`.
#[derive(Clone)]
pub struct AccessToken {
    text: Arc<SecretString>,
    generation: u64,
}

impl AccessToken {
    fn new(text: SecretString) -> Self {
        static FETCHED: AtomicU64 = AtomicU64::new(1);
        Self {
            text: Arc::new(text),
            generation: FETCHED.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Which fetch of this process brought the token: unique over all slots.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    #[cfg(test)]
    pub(crate) fn for_test(text: &str) -> Self {
        Self::new(SecretString::from(text))
    }

    pub(crate) fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AccessToken")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The platform refused to give one. Judge the code with
    /// [`errcode::rule`](crate::errcode::rule)`(api, errcode)`: most mean that the configuration is
    /// wrong, none means that a message is.
    #[error("no access token, errcode {errcode}: {errmsg}")]
    Rejected {
        /// The call for a token.
        api: Api,
        /// The platform's code.
        errcode: i64,
        /// The platform's text, redacted.
        errmsg: String,
    },
    /// The platform could not be reached or did not answer usably. A repeat is always safe.
    #[error("no access token: {reason}")]
    Unreachable {
        /// What went wrong, for a person.
        reason: String,
        /// The HTTP status, when one was received.
        http_status: Option<u16>,
    },
}

impl TokenError {
    fn of(error: CallError, api: Api) -> Self {
        match error {
            CallError::NotSent { reason } => Self::Unreachable {
                reason,
                http_status: None,
            },
            CallError::NoAnswer {
                reason,
                http_status,
            } => Self::Unreachable {
                reason,
                http_status,
            },
            CallError::Refused {
                errcode, errmsg, ..
            } => Self::Rejected {
                api,
                errcode,
                errmsg,
            },
        }
    }
}

/// What [`TokenSlot::expire_if_current`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// The token was the current one and is gone; the next [`TokenSlot::get`] fetches.
    Expired,
    /// Another caller had it replaced already: [`TokenSlot::get`] returns the newer one.
    AlreadyReplaced,
    /// The platform refused this token before, gave the very same one again less than 30 s ago,
    /// and refuses it still. It stays, because fetching in a loop burns the daily quota: try the
    /// message later and tell a person.
    ReissuedJustNow,
}

/// The token of one app at one platform, such as one Mini Program, or one application of one WeCom
/// corporation. Share one slot among all callers of a process; keep
/// different apps and platforms in different slots.
///
/// - Callers that need a token at the same time share one fetch, and its error if it fails. An
///   error is not remembered: the next caller tries again.
/// - A caller may drop its future at any point: the next one that waits takes over.
/// - `force_refresh` is never used; the platform allows it 20 times a day, for leaked tokens.
pub struct TokenSlot {
    client: ApiClient,
    source: TokenSource,
    state: Mutex<State>,
    /// Held while fetching. Separate from `state`, so that holders of a token never wait for it.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    held: Option<HeldToken>,
    /// The text that was expired last, to recognise it when the platform issues it again.
    expired: Option<AccessToken>,
    failed_fetches: u64,
    last_failure: Option<TokenError>,
}

struct HeldToken {
    token: AccessToken,
    fetched_at: Instant,
    renew_from: Instant,
    usable_until: Instant,
    reissued: bool,
}

enum Lookup {
    Held(AccessToken),
    Renewable(AccessToken),
    Missing { failed_fetches: u64 },
}

impl TokenSlot {
    /// An empty slot; the first [`TokenSlot::get`] fetches.
    #[must_use]
    pub fn new(client: ApiClient, source: TokenSource) -> Self {
        Self {
            client,
            source,
            state: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// The current token, fetched or renewed when needed.
    ///
    /// # Errors
    /// [`TokenError`] when there is no usable token and none could be fetched. All callers that
    /// waited for that fetch get the same error.
    pub async fn get(&self) -> Result<AccessToken, TokenError> {
        let failures_seen = match self.look_up() {
            Lookup::Held(token) => return Ok(token),
            Lookup::Renewable(token) => return Ok(self.renew_or_keep(token).await),
            Lookup::Missing { failed_fetches } => failed_fetches,
        };
        let _turn = self.fetching.lock().await;
        match self.look_up() {
            Lookup::Held(token) | Lookup::Renewable(token) => return Ok(token),
            Lookup::Missing { failed_fetches } if failed_fetches != failures_seen => {
                if let Some(error) = self.state().last_failure.clone() {
                    return Err(error);
                }
            }
            Lookup::Missing { .. } => {}
        }
        self.fetch().await
    }

    /// Forgets the token that the platform has just refused, unless it was replaced meanwhile
    /// (compare and expire): ten calls refused with the same token lead to one new fetch.
    pub fn expire_if_current(&self, refused: &AccessToken) -> Expiry {
        let mut state = self.state();
        match &state.held {
            Some(held) if held.token.generation == refused.generation => {
                if held.reissued && held.fetched_at.elapsed() < FETCH_PAUSE {
                    return Expiry::ReissuedJustNow;
                }
            }
            _ => return Expiry::AlreadyReplaced,
        }
        state.expired = state.held.take().map(|held| held.token);
        Expiry::Expired
    }

    async fn renew_or_keep(&self, current: AccessToken) -> AccessToken {
        let Ok(_turn) = self.fetching.try_lock() else {
            return current;
        };
        match self.look_up() {
            Lookup::Renewable(_) => {}
            Lookup::Held(renewed) => return renewed,
            Lookup::Missing { .. } => return current,
        }
        self.postpone_renewal();
        match self.fetch().await {
            Ok(renewed) => renewed,
            Err(error) => {
                log::warn!("access token not renewed, going on with the current one: {error}");
                current
            }
        }
    }

    /// Before the attempt, so that neither a failure nor a dropped caller makes the next one ask
    /// again at once.
    fn postpone_renewal(&self) {
        if let Some(held) = &mut self.state().held {
            held.renew_from = Instant::now() + FETCH_PAUSE;
        }
    }

    /// Only with the `fetching` lock held.
    async fn fetch(&self) -> Result<AccessToken, TokenError> {
        // The lifetime counts from before the request: at worst the token is held too short.
        let asked_at = Instant::now();
        let outcome = self.source.fetch(&self.client).await;
        let mut state = self.state();
        match outcome {
            Ok(grant) => {
                let reissued = state
                    .expired
                    .take()
                    .is_some_and(|expired| expired.expose() == grant.token.expose_secret());
                let held = HeldToken::new(grant, asked_at, random_jitter(), reissued);
                let token = held.token.clone();
                state.held = Some(held);
                Ok(token)
            }
            Err(error) => {
                let error = TokenError::of(error, self.source.api());
                state.failed_fetches += 1;
                state.last_failure = Some(error.clone());
                Err(error)
            }
        }
    }

    fn look_up(&self) -> Lookup {
        let now = Instant::now();
        let state = self.state();
        match &state.held {
            Some(held) if now < held.renew_from.min(held.usable_until) => {
                Lookup::Held(held.token.clone())
            }
            Some(held) if now < held.usable_until => Lookup::Renewable(held.token.clone()),
            _ => Lookup::Missing {
                failed_fetches: state.failed_fetches,
            },
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is a plain assignment, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TokenSlot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TokenSlot")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl HeldToken {
    fn new(grant: TokenGrant, asked_at: Instant, jitter: Duration, reissued: bool) -> Self {
        let times = HoldingTimes::of(grant.lifetime, jitter);
        Self {
            token: AccessToken::new(grant.token),
            fetched_at: asked_at,
            renew_from: asked_at + times.renew_after,
            usable_until: asked_at + times.usable_for,
            reissued,
        }
    }
}

/// How long a token is held and used, counted from its fetch.
#[derive(Debug, PartialEq, Eq)]
struct HoldingTimes {
    renew_after: Duration,
    usable_for: Duration,
}

impl HoldingTimes {
    fn of(lifetime: Duration, jitter: Duration) -> Self {
        let lifetime = lifetime.min(LIFETIME_MAX);
        let usable_for = lifetime.saturating_sub(SAFETY_MARGIN).max(lifetime / 2);
        // A few seconds inside the window, so that the platform surely sees it the same way.
        let start = lifetime.saturating_sub(RENEWAL_WINDOW) + SAFETY_MARGIN / 2 + jitter;
        let renew_after = start.max(FETCH_PAUSE).min(usable_for);
        Self {
            renew_after,
            usable_for,
        }
    }
}

/// Between zero and [`RENEWAL_JITTER_MAX`]. The standard library seeds its hash maps at random;
/// spreading renewals needs nothing better.
fn random_jitter() -> Duration {
    let random = RandomState::new().hash_one(0_u8);
    Duration::from_millis(random % (RENEWAL_JITTER_MAX.as_millis() as u64))
}

#[cfg(test)]
mod tests;
