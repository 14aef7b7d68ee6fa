use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rendering::PreparedRequest;
use shared::db::DbError;
use shared::domain::Channel;
use shared::outbox::{
    AttemptReport, HoldCause, HoldOrder, Priority, RetryPolicy, Settlement, Verdict, hold_channel,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wechat::CallError;
use wechat::errcode::{Api, RuleOrigin, Rules};

use crate::channel::{Address, AddressedMessage, named, prepare};
use crate::claimer::MessageInHand;
use crate::context::Context;
use crate::recipient_pace::Admission;
use crate::slots::{Capacity, Unsettled};
use crate::verdict::{Circumstances, Judgement, SendOutcome, judge};

/// A settlement on its way to the database.
pub(crate) struct FinishedMessage {
    pub(crate) settlement: Settlement,
    pub(crate) unsettled: Unsettled,
}

/// Delivers the claimed messages of one channel side by side. Ends when the claimer has ended and
/// everything in hand is finished.
pub(crate) async fn dispatch_messages(
    context: Arc<Context>,
    channel: Channel,
    mut claimed: mpsc::UnboundedReceiver<Vec<MessageInHand>>,
    finished: mpsc::UnboundedSender<FinishedMessage>,
) {
    let in_hand = context
        .metrics
        .in_hand
        .with_label_values(&[channel.as_str()]);
    let mut waiting = Waiting::default();
    let mut under_way = JoinSet::new();
    let mut claimer_runs = true;
    loop {
        // What is not sent any more needs no slot to be given back.
        let capacity = if context.stopping.is_cancelled() {
            Capacity::UNLIMITED
        } else {
            context.capacity(channel)
        };
        while let Some(message) = waiting.next(under_way.len(), capacity) {
            // In a box: it has some thousand bytes, which would be copied on their way into the task.
            under_way.spawn(Box::pin(finish(Arc::clone(&context), message)));
        }
        if !claimer_runs && under_way.is_empty() {
            return;
        }
        tokio::select! {
            batch = claimed.recv(), if claimer_runs => match batch {
                Some(batch) => {
                    in_hand.add(i64::try_from(batch.len()).unwrap_or(0));
                    // A claim is answered only where the channel is not held.
                    context.set_held(channel, false);
                    waiting.add(batch);
                }
                None => claimer_runs = false,
            },
            Some(ended) = under_way.join_next(), if !under_way.is_empty() => {
                in_hand.dec();
                match ended {
                    Ok(message) => {
                        // The settler ends after the dispatcher, never before.
                        if finished.send(message).is_err() {
                            log::error!("a settlement was lost; its lease will run out");
                        }
                    }
                    Err(error) => log::error!("a delivery panicked, its lease will run out: {error}"),
                }
            }
        }
    }
}

/// Messages that were claimed ahead and wait for a free slot.
#[derive(Default)]
struct Waiting {
    urgent: VecDeque<MessageInHand>,
    others: VecDeque<MessageInHand>,
}

impl Waiting {
    fn add(&mut self, batch: Vec<MessageInHand>) {
        for message in batch {
            match message.addressed.message.priority {
                Priority::High => self.urgent.push_back(message),
                Priority::Medium | Priority::Low => self.others.push_back(message),
            }
        }
    }

    /// The next that may start beside so many requests under way.
    fn next(&mut self, under_way: usize, capacity: Capacity) -> Option<MessageInHand> {
        if under_way >= capacity.requests.max(1) {
            return None;
        }
        let urgent = self.urgent.pop_front();
        if urgent.is_some() {
            return urgent;
        }
        let room = capacity.requests - capacity.kept_for_high().min(capacity.requests);
        if under_way >= room.max(1) {
            return None;
        }
        self.others.pop_front()
    }
}

async fn finish(context: Arc<Context>, message: MessageInHand) -> FinishedMessage {
    let MessageInHand {
        addressed,
        claimed_at,
        admission,
        slot,
        unsettled,
    } = message;
    let settlement = deliver(&context, addressed, claimed_at, admission).await;
    drop(slot);
    FinishedMessage {
        settlement,
        unsettled,
    }
}

/// One attempt, from the claimed message to what is to become of it.
async fn deliver(
    context: &Context,
    addressed: AddressedMessage,
    claimed_at: Instant,
    admission: Admission,
) -> Settlement {
    let message = &addressed.message;
    let started_at = context.clock.now();
    let started = Instant::now();
    let controls = context.controls();
    let reason_not_to_send = || reason_not_to_send(context, &addressed, claimed_at, &admission);
    let outcome = match prepare(&addressed, context.config.crm_url.as_ref()) {
        Ok(request) => match reason_not_to_send() {
            None => {
                let rules = controls.rules();
                send(
                    context,
                    message.channel,
                    &request,
                    rules,
                    reason_not_to_send,
                )
                .await
            }
            Some(reason) => SendOutcome::NotTried(reason),
        },
        Err(outcome) => outcome,
    };
    let duration = started.elapsed();
    if let Admission::Turn(turn) = admission
        && outcome.was_written()
    {
        turn.used(context.clock.now());
    }
    let judgement = judge(
        &outcome,
        &Circumstances {
            message,
            recipients: shown_recipients(&addressed).as_deref(),
            hold: addressed.hold.as_ref(),
            policy: &RetryPolicy::default(),
            unknown_outcome: controls.unknown_outcome(message.channel),
            rules: controls.rules(),
            probe_interval: context.config.probe_interval,
            relay: context.name.as_str(),
            jitter: rand::random(),
            now: context.clock.now(),
        },
    );
    observe(context, &addressed, &judgement, duration.as_secs_f64());
    if let Some(pause) = context.record_transport(message.channel, outcome.transport()) {
        open_breaker(context, message.channel, pause, judgement.error.as_deref()).await;
    }
    Settlement {
        message: addressed.message,
        verdict: judgement.verdict,
        report: AttemptReport {
            started_at,
            duration,
            rule: judgement.rule,
            http_status: judgement.http_status,
            errcode: judgement.errcode,
            error: judgement.error,
        },
        refused_recipients: judgement.refused_recipients,
        falls_back: judgement.falls_back,
    }
}

/// The recipients as the platform knows them. An openid is not for anybody's eyes; a WeCom user id is
/// what an administrator looks for.
fn shown_recipients(addressed: &AddressedMessage) -> Option<String> {
    match (addressed.message.channel, &addressed.address) {
        (Channel::WecomApp, Address::Known(user_ids)) => Some(named(user_ids.split('|'))),
        _ => None,
    }
}

/// Looked at immediately before sending: time has passed since the claim.
fn reason_not_to_send(
    context: &Context,
    addressed: &AddressedMessage,
    claimed_at: Instant,
    admission: &Admission,
) -> Option<&'static str> {
    // A token, the message, a new token, the message again.
    let end_at_the_latest = context
        .clock
        .now()
        .after(context.config.request_timeout * 4);
    if context.stopping.is_cancelled() {
        Some("the relay is stopping")
    } else if !context.liveness.may_send(claimed_at) {
        Some("the relay could not renew its heartbeat")
    } else if context.is_held(addressed.message.channel) {
        Some("the channel is held")
    } else if matches!(admission, Admission::TurnedAway) {
        Some("the recipient has had as many messages as the platform shows")
    } else if addressed
        .message
        .lease_expires_at
        .is_none_or(|end| end < end_at_the_latest)
    {
        Some("the lease is about to end")
    } else {
        None
    }
}

/// Sends, unless the grace period ends first; then nobody knows whether it arrived.
async fn send(
    context: &Context,
    channel: Channel,
    request: &PreparedRequest,
    rules: &Rules,
    reason_not_to_send: impl Fn() -> Option<&'static str>,
) -> SendOutcome {
    tokio::select! {
        outcome = context.platforms.send(request, rules, reason_not_to_send) => outcome,
        () = context.grace_over.cancelled() => {
            let reason = "the relay was stopped before the answer came".to_owned();
            let error = CallError::NoAnswer { reason, http_status: None };
            SendOutcome::Failed { api: api_of(channel), error }
        }
    }
}

/// The platform cannot be reached: the channel is held for all relays, and probed.
async fn open_breaker(context: &Context, channel: Channel, pause: Duration, error: Option<&str>) {
    let reason = format!(
        "the platform cannot be reached: {}; it is tried again with one message at a time",
        error.unwrap_or("no answer")
    );
    let now = context.clock.now();
    let order = HoldOrder {
        channel,
        cause: HoldCause::Breaker,
        reason: reason.clone(),
        errcode: None,
        probe_at: Some(now.after(pause)),
        held_by: context.name.to_string(),
    };
    if !context.set_held(channel, true) {
        log::error!(channel:%; "channel {channel} is held: {reason}");
    }
    let written = context
        .database
        .write(move |transaction| hold_channel(transaction, order, now));
    let written: Result<(), DbError> = written.await;
    if let Err(error) = written {
        context.health.database_failed(&error);
        // The next failure opens it again.
        context.set_held(channel, false);
    }
}

fn api_of(channel: Channel) -> Api {
    match channel {
        Channel::WechatSubscribe => Api::SubscribeSend,
        Channel::WechatCloud => Api::CloudFunction,
        Channel::WecomApp => Api::WecomSend,
        Channel::WecomRobot => Api::WecomRobot,
    }
}

fn observe(context: &Context, addressed: &AddressedMessage, judgement: &Judgement, seconds: f64) {
    let message = &addressed.message;
    let channel = message.channel.as_str();
    let verdict = judgement.verdict.as_str();
    let metrics = &context.metrics;
    metrics
        .attempts
        .with_label_values(&[channel, verdict])
        .inc();
    metrics
        .request_seconds
        .with_label_values(&[channel])
        .observe(seconds);
    if let Some(errcode) = judgement.errcode {
        metrics
            .errcodes
            .with_label_values(&[channel, &errcode.to_string()])
            .inc();
    }
    if judgement.origin == RuleOrigin::UnknownCode {
        metrics.unknown_errcodes.inc();
        log::warn!(outbox_id:% = message.id, channel, rule = judgement.rule.as_str(); "the platform answered with a code that no rule was written for: {}", judgement.rule);
    }
    if let Verdict::Accepted { .. } = judgement.verdict {
        let waited = context.clock.now().since(message.created_at);
        metrics
            .delivery_seconds
            .with_label_values(&[channel])
            .observe(waited.as_secs_f64());
    }
    if judgement.refused_recipients.is_some() {
        log::warn!(outbox_id:% = message.id, channel; "the platform left out recipients of message {}: a failed message of their own stands for them", message.id);
    }
    if let Verdict::Released { hold: Some(hold) } = &judgement.verdict
        && !context.set_held(message.channel, true)
    {
        log::error!(channel, errcode = hold.errcode; "channel {channel} is held: {}", hold.reason);
    }
    log::debug!(
        outbox_id:% = message.id, channel, attempt = message.attempt, verdict, rule = judgement.rule.as_str(),
        duration_ms = seconds * 1_000.0, request_id = message.request_id.as_ref().map(ToString::to_string);
        "message {} on {channel}, attempt {}: {verdict} ({})", message.id, message.attempt, judgement.rule
    );
}
