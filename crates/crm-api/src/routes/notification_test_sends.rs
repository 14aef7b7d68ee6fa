use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::db::DbConnection;
use shared::domain::{Channel, OutboxMessageId, UserId, UtcTimestamp};
use shared::notification::Kind;
use shared::operation_log::{self, Operation};
use shared::outbox::{self, Status, TEST_SEND};
use tokio::time::sleep;
use utoipa::{IntoParams, ToSchema};

use super::cause_text::{CauseText, cause_text};
use super::message_data::message_data;
use super::notification_previews::channel_in_path;
use super::notification_templates::kind_in_path;
use crate::change::Answer;
use crate::envelope::{self, Envelope};
use crate::error::ApiError;
use crate::extract::{Caller, OptionalJsonBody, QueryOf, id_in_path};
use crate::state::{AppState, State};
use crate::test_send::{self, Checked, Step, StepName, StepState, TestOrder, Verdict};

/// Whom to send a test.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TestSendBody {
    /// A user; the caller, if left out.
    user_id: Option<String>,
    /// Placeholder → value, in place of the example's.
    #[schema(value_type = Option<Object>)]
    data: Option<Map<String, Value>>,
}

/// How a test goes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TestSendView {
    /// `passed`, `failed`, `waiting`.
    verdict: Verdict,
    /// The step that failed.
    failed_step: Option<StepName>,
    /// `config`, `token`, `template`, `recipient`, `send`, in this order.
    steps: Vec<Step>,
    /// The message, if one was enqueued.
    #[schema(value_type = Option<String>)]
    message_id: Option<OutboxMessageId>,
    /// Where the rest is to be seen.
    url: Option<String>,
    #[schema(value_type = Option<String>)]
    status: Option<Status>,
}

/// How long to wait for the outcome.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TestSendQuery {
    /// Answers as soon as the outcome is known, and after so many seconds at the latest: 0 to 10, 0 if
    /// left out.
    wait_seconds: Option<u32>,
}

/// Sends somebody a message that is marked as a test, as far as everything that can be checked before
/// is right; answers `202`, or `200` where a step has failed already and nothing was sent.
#[utoipa::path(post, path = "/api/notification-templates/{kind}/{channel}/test-send",
    tag = "notification templates",
    params(("kind" = String, Path), ("channel" = String, Path)), request_body = TestSendBody,
    responses((status = 200, body = Envelope<TestSendView>),
        (status = 202, body = Envelope<TestSendView>), (status = 404), (status = 422)))]
pub(crate) async fn send(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    OptionalJsonBody(body): OptionalJsonBody<TestSendBody>,
) -> Result<HttpResponse, ApiError> {
    let (kind, channel) = path.into_inner();
    let (kind, channel) = (kind_in_path(&kind)?, channel_in_path(&channel)?);
    let user = match &body.user_id {
        Some(text) => text
            .parse()
            .map_err(|_| ApiError::invalid("userId", "用户不存在"))?,
        None => caller.user.id.clone(),
    };
    let order = TestOrder {
        kind,
        channel,
        user,
        data: message_data(kind, body.data)?,
    };
    let (now, outward, configured) = (state.now(), state.outward.clone(), state.telling.channels);
    let (actor, request_id) = (caller.actor(), caller.request_id.clone());
    state
        .change(&caller, move |transaction| {
            let connection = transaction.connection();
            let Checked { steps, recipient } =
                test_send::check(connection, &order, configured, &outward, now)?;
            let Some(recipient) = recipient else {
                return stopped(steps);
            };
            let id = OutboxMessageId::generate();
            let operation = logged(kind, channel, &order.user, &id, request_id.clone());
            let message = outbox::NewMessage {
                request_id: Some(request_id),
                ..test_send::message(order, recipient, now)
            };
            outbox::enqueue_as(transaction, vec![(id.clone(), message)], now)?;
            operation_log::record(transaction, &actor, vec![operation], now)?;
            let view = TestSendView::new(all_of(steps), Some((id, Status::Pending)));
            Answer::accepted("测试消息已进入发送队列", view)
        })
        .await
}

/// How a test that was sent goes: step by step, with what to do where one has failed.
#[utoipa::path(get, path = "/api/notification-test-sends/{id}", tag = "notification templates",
    params(("id" = String, Path), TestSendQuery),
    responses((status = 200, body = Envelope<TestSendView>), (status = 404)))]
pub(crate) async fn show(
    state: State,
    id: web::Path<String>,
    QueryOf(query): QueryOf<TestSendQuery>,
) -> Result<HttpResponse, ApiError> {
    const WAIT_SECONDS_MAX: u32 = 10;
    /// A relay needs some milliseconds at best; a person does not notice this.
    const LOOK_EVERY: Duration = Duration::from_millis(100);
    let id: OutboxMessageId = id_in_path(&id, NO_SUCH_TEST)?;
    let wait_seconds = query.wait_seconds.unwrap_or(0);
    if wait_seconds > WAIT_SECONDS_MAX {
        let message = format!("waitSeconds 必须在 0 到 {WAIT_SECONDS_MAX} 之间");
        return Err(ApiError::invalid("waitSeconds", message));
    }
    let patience = Duration::from_secs(wait_seconds.into());
    let asked_at = Instant::now();
    loop {
        let view = state.test_send(id.clone()).await?;
        if view.verdict != Verdict::Waiting || asked_at.elapsed() >= patience {
            let said = match view.verdict {
                Verdict::Passed => "测试通过".to_owned(),
                Verdict::Waiting => "测试消息等待发送".to_owned(),
                Verdict::Failed => failure(&view),
            };
            return Ok(envelope::ok(said, view));
        }
        sleep(LOOK_EVERY).await;
    }
}

const NO_SUCH_TEST: &str = "测试消息不存在";

impl AppState {
    async fn test_send(&self, id: OutboxMessageId) -> Result<TestSendView, ApiError> {
        let (now, telling) = (self.now(), self.telling);
        self.database
            .run(move |connection| {
                let zone = telling.time_zone;
                read(
                    connection,
                    &id,
                    now,
                    |cause| cause_text(cause, zone),
                    |at| telling.time_text(at),
                )
            })
            .await
    }
}

fn read(
    connection: &mut DbConnection,
    id: &OutboxMessageId,
    now: UtcTimestamp,
    words: impl Fn(&outbox::Cause) -> CauseText,
    time_text: impl Fn(UtcTimestamp) -> String,
) -> Result<TestSendView, ApiError> {
    let missing = || ApiError::NotFound(NO_SUCH_TEST.to_owned());
    let message = outbox::find(connection, id)?
        .filter(|message| message.subject.as_deref() == Some(TEST_SEND))
        .ok_or_else(missing)?;
    let explanation = outbox::explain(connection, id, now)?.ok_or_else(missing)?;
    let attempts = outbox::attempts_of(connection, id)?;
    let CauseText { text, fix } = words(&explanation.cause);
    let words = test_send::Words { text, fix };
    let steps = test_send::progress(&message, &explanation.cause, words, &attempts, time_text);
    Ok(TestSendView::new(steps, Some((message.id, message.status))))
}

impl TestSendView {
    fn new(steps: Vec<Step>, enqueued: Option<(OutboxMessageId, Status)>) -> Self {
        let failed = steps.iter().find(|step| step.state == StepState::Failed);
        let (message_id, status) = enqueued.unzip();
        Self {
            verdict: Verdict::of(&steps),
            failed_step: failed.map(|step| step.step),
            url: message_id
                .as_ref()
                .map(|id| format!("/api/notification-test-sends/{id}")),
            steps,
            message_id,
            status,
        }
    }
}

/// A step has failed before anything was sent.
fn stopped(steps: Vec<Step>) -> Result<Answer, ApiError> {
    let view = TestSendView::new(all_of(steps), None);
    Answer::ok(failure(&view), view)
}

fn failure(view: &TestSendView) -> String {
    let failed = view
        .steps
        .iter()
        .find(|step| step.state == StepState::Failed);
    match failed {
        Some(Step { step, text, .. }) => format!("测试未通过（{}）：{text}", step.title()),
        None => "测试未通过".to_owned(),
    }
}

/// All steps in their order, those that were not made included.
fn all_of(made: Vec<Step>) -> Vec<Step> {
    let failed = made.iter().any(|step| step.state == StepState::Failed);
    let mut made: Vec<Option<Step>> = made.into_iter().map(Some).collect();
    StepName::ALL
        .into_iter()
        .map(|name| {
            let found = made
                .iter_mut()
                .find(|step| step.as_ref().is_some_and(|step| step.step == name));
            match found.and_then(Option::take) {
                Some(step) => step,
                None if failed => Step::not_reached(name),
                None => Step::waiting(name, "等待发送程序"),
            }
        })
        .collect()
}

fn logged(
    kind: Kind,
    channel: Channel,
    user: &UserId,
    message: &OutboxMessageId,
    request_id: shared::domain::RequestId,
) -> Operation {
    Operation {
        action: "notification.test_send",
        entity: "outbox_message",
        entity_id: message.to_string(),
        detail: json!({ "test": true, "kind": kind, "channel": channel, "userId": user }),
        request_id: Some(request_id),
    }
}
