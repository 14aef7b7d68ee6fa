use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use actix_ws::{
    AggregatedMessage, AggregatedMessageStream, CloseReason, MessageStream, ProtocolError, Session,
};
use shared::db::DbError;
use shared::domain::NotificationId;
use shared::notification::{self, Notification};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::hub::text_of;
use super::mailbox::{Ending, Waiting};
use super::message::{ClientMessage, RefreshReason, ServerMessage};
use super::roster::Seat;
use crate::auth::session;
use crate::auth::token::Claims;
use crate::state::State;

/// The largest message of a client, in bytes. What it may say has less than a hundred.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// How many entries are sent of what was missed; more become a `refresh`.
const MISSED_MAX: usize = 200;

/// How many entries a socket remembers to have sent, so that it does not send them twice.
const REMEMBERED_MAX: usize = 512;

/// After so many messages that made no sense the socket is closed.
const NONSENSE_MAX: u32 = 5;

/// How many messages a client may send between two pings.
const MESSAGES_PER_PING_MAX: u32 = 120;

/// How long the last word of a socket may take.
const CLOSING_WAIT_MAX: Duration = Duration::from_secs(1);

/// The same, for a client that has yet to read what was said before.
const SLOW_READER_WAIT_MAX: Duration = Duration::from_secs(60);

/// How patient a socket is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How often the client is pinged. One that was not heard of for two and a half times as long is
    /// gone.
    pub(crate) ping_every: Duration,
    /// How long a message may wait to be taken.
    pub(crate) send_wait_max: Duration,
}

/// One open socket.
pub(crate) struct Socket {
    state: State,
    claims: Claims,
    session: Session,
    stream: AggregatedMessageStream,
    limits: Limits,
    sent: Sent,
    heard_at: Instant,
    nonsense: u32,
    /// Messages of the client since the last ping.
    messages: u32,
}

/// Why a socket came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The server ends it.
    Ours(Ending),
    /// The client has ended it, or is gone.
    Theirs,
}

impl From<Ending> for End {
    fn from(ending: Ending) -> Self {
        Self::Ours(ending)
    }
}

impl Socket {
    pub(crate) fn new(
        state: State,
        claims: Claims,
        session: Session,
        stream: MessageStream,
        limits: Limits,
    ) -> Self {
        let stream = stream
            .max_frame_size(MESSAGE_BYTES_MAX)
            .aggregate_continuations()
            .max_continuation_size(MESSAGE_BYTES_MAX);
        Self {
            state,
            claims,
            session,
            stream,
            limits,
            sent: Sent::default(),
            heard_at: Instant::now(),
            nonsense: 0,
            messages: 0,
        }
    }

    /// Serves the socket to its end.
    pub(crate) async fn serve(mut self) {
        let end = self.serve_until_end().await;
        if let End::Ours(ending) = end {
            let (code, reason) = ending.code_and_reason();
            log::debug!(code; "closing a socket with {code}: {ending:?}");
            let reason = CloseReason {
                code: code.into(),
                description: Some(reason.to_owned()),
            };
            // A slow reader hears it when it has read what is under way, or the system gives it up.
            let wait_max = match ending {
                Ending::SlowReader => SLOW_READER_WAIT_MAX,
                _ => CLOSING_WAIT_MAX,
            };
            let _ = timeout(wait_max, self.session.close(Some(reason))).await;
        }
    }

    async fn serve_until_end(&mut self) -> End {
        let roster = &self.state.roster;
        let seat = match roster.join(&self.claims.sub, self.claims.epoch) {
            Ok(seat) => seat,
            Err(ending) => return ending.into(),
        };
        match self.converse(&seat).await {
            Ok(()) => End::Theirs,
            Err(end) => end,
        }
    }

    async fn converse(&mut self, seat: &Seat) -> Result<(), End> {
        self.welcome().await?;
        let token_ends = sleep(self.claims.ends_at().since(self.state.now()));
        tokio::pin!(token_ends);
        let mut pings = interval(self.limits.ping_every);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once.
        pings.tick().await;
        loop {
            tokio::select! {
                message = self.stream.recv() => self.hear(message).await?,
                () = seat.mailbox.filled() => self.deliver(seat.mailbox.take()).await?,
                _ = pings.tick() => self.ping().await?,
                () = &mut token_ends => return Err(Ending::LoggedOut.into()),
            }
        }
    }

    /// The seat is taken; what was committed before is asked for now. The user is looked up once more:
    /// they may have been deactivated between the request and here.
    async fn welcome(&mut self) -> Result<(), End> {
        let claims = self.claims.clone();
        let count = self
            .ask(
                move |connection| match session::user_of(connection, &claims)? {
                    Some(user) => notification::unread_count(connection, &user.id).map(Some),
                    None => Ok(None),
                },
            )
            .await?
            .ok_or(Ending::LoggedOut)?;
        self.say(&ServerMessage::UnreadCount { count }).await
    }

    async fn hear(
        &mut self,
        message: Option<Result<AggregatedMessage, ProtocolError>>,
    ) -> Result<(), End> {
        self.heard_at = Instant::now();
        match message {
            Some(Ok(AggregatedMessage::Text(text))) => self.answer(&text).await,
            Some(Ok(AggregatedMessage::Binary(_))) => Err(Ending::NotText.into()),
            Some(Ok(AggregatedMessage::Ping(payload))) => {
                let mut session = self.session.clone();
                self.in_time(async move { session.pong(&payload).await })
                    .await
            }
            Some(Ok(AggregatedMessage::Pong(_))) => Ok(()),
            Some(Ok(AggregatedMessage::Close(reason))) => {
                // The protocol wants an answer to it.
                let closing = self.session.clone().close(reason);
                let _ = timeout(CLOSING_WAIT_MAX, closing).await;
                Err(End::Theirs)
            }
            Some(Err(error)) => Err(ending_of(&error).into()),
            None => Err(End::Theirs),
        }
    }

    async fn answer(&mut self, text: &str) -> Result<(), End> {
        self.messages += 1;
        if self.messages > MESSAGES_PER_PING_MAX {
            return self.complain("tooManyMessages", "消息过于频繁").await;
        }
        match serde_json::from_str(text) {
            Ok(ClientMessage::GetUnreadCount {}) => self.tell_unread_count().await,
            Ok(ClientMessage::Since { id }) => self.tell_what_was_missed(id).await,
            Err(_) => self.complain("unreadable", "无法识别的消息").await,
        }
    }

    async fn tell_unread_count(&mut self) -> Result<(), End> {
        let user = self.claims.sub.clone();
        let count = self
            .ask(move |connection| notification::unread_count(connection, &user))
            .await?;
        self.say(&ServerMessage::UnreadCount { count }).await
    }

    async fn tell_what_was_missed(&mut self, seen: NotificationId) -> Result<(), End> {
        let Some(seen_at) = seen.made_at() else {
            return self.complain("unknownId", "通知编号不正确").await;
        };
        let user = self.claims.sub.clone();
        let limit = i64::try_from(MISSED_MAX).unwrap_or(i64::MAX) + 1;
        let missed: Vec<Notification> = self
            .ask(move |connection| {
                notification::entries_since(connection, &user, &seen, seen_at, limit)
            })
            .await?;
        if missed.len() > MISSED_MAX {
            let reason = RefreshReason::TooMany;
            self.say(&ServerMessage::Refresh { reason }).await?;
        } else {
            for entry in missed {
                let id = entry.id.clone();
                self.say_entry(id, text_of(entry)).await?;
            }
        }
        self.tell_unread_count().await
    }

    async fn deliver(&mut self, waiting: Waiting) -> Result<(), End> {
        if let Some(ending) = waiting.ending {
            return Err(ending.into());
        }
        for (id, text) in waiting.entries {
            self.say_entry(id, text.to_string()).await?;
        }
        if let Some(reason) = waiting.refresh {
            self.say(&ServerMessage::Refresh { reason }).await?;
        }
        if let Some(count) = waiting.unread {
            self.say(&ServerMessage::UnreadCount { count }).await?;
        }
        Ok(())
    }

    async fn ping(&mut self) -> Result<(), End> {
        if self.heard_at.elapsed() > self.limits.ping_every.mul_f64(2.5) {
            return Err(Ending::Silent.into());
        }
        self.messages = 0;
        let mut session = self.session.clone();
        self.in_time(async move { session.ping(b"").await }).await
    }

    /// Something that makes no sense is answered, but not for ever.
    async fn complain(&mut self, code: &'static str, message: &'static str) -> Result<(), End> {
        self.nonsense += 1;
        if self.nonsense >= NONSENSE_MAX {
            return Err(Ending::Nonsense.into());
        }
        self.say(&ServerMessage::Error { code, message }).await
    }

    async fn say_entry(&mut self, id: NotificationId, text: String) -> Result<(), End> {
        if self.sent.remember(id) == Memory::Known {
            return Ok(());
        }
        self.say_text(text).await
    }

    async fn say(&mut self, message: &ServerMessage) -> Result<(), End> {
        self.say_text(message.to_text()).await
    }

    async fn say_text(&mut self, text: String) -> Result<(), End> {
        let mut session = self.session.clone();
        self.in_time(async move { session.text(text).await }).await
    }

    /// Only a few messages wait for a client that does not read; the next one is not waited for
    /// long.
    async fn in_time(
        &self,
        sending: impl Future<Output = Result<(), actix_ws::Closed>>,
    ) -> Result<(), End> {
        match timeout(self.limits.send_wait_max, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_closed)) => Err(End::Theirs),
            Err(_) => Err(Ending::SlowReader.into()),
        }
    }

    /// Asks the database. If it does not answer, the client comes back later and says what it has.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut shared::db::DbConnection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, End> {
        let answer = self.state.database.run(question).await;
        answer.map_err(|error| {
            log::debug!("a socket is closed because the database does not answer: {error}");
            Ending::Unavailable.into()
        })
    }
}

fn ending_of(error: &ProtocolError) -> Ending {
    match error {
        ProtocolError::Overflow => Ending::TooLarge,
        ProtocolError::Io(error) if error.kind() == ErrorKind::InvalidData => Ending::BadFrame,
        // Many small frames that make up a large message.
        ProtocolError::Io(_) => Ending::TooLarge,
        _ => Ending::BadFrame,
    }
}

/// The entries that a socket has sent last.
#[derive(Debug, Default)]
struct Sent {
    order: VecDeque<NotificationId>,
    known: HashSet<NotificationId>,
}

/// Whether an entry was sent before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Memory {
    New,
    Known,
}

impl Sent {
    fn remember(&mut self, id: NotificationId) -> Memory {
        if !self.known.insert(id.clone()) {
            return Memory::Known;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        Memory::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_entries_are_remembered_and_no_more() {
        let mut sent = Sent::default();
        let first = NotificationId::generate();
        assert_eq!(sent.remember(first.clone()), Memory::New);
        assert_eq!(sent.remember(first.clone()), Memory::Known);
        for _ in 0..REMEMBERED_MAX {
            sent.remember(NotificationId::generate());
        }
        assert_eq!(sent.remember(first), Memory::New);
        assert_eq!(sent.order.len(), REMEMBERED_MAX);
        assert_eq!(sent.known.len(), REMEMBERED_MAX);
    }
}
