use actix_web::HttpResponse;
use serde::Serialize;
use shared::domain::Channel;
use shared::outbox::{self, Backlog, Status};
use utoipa::ToSchema;

use crate::change::Answer;
use crate::envelope::Envelope;
use crate::error::ApiError;
use crate::extract::AnyCaller;
use crate::state::State;

/// How the queue stands at the moment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueueView {
    statistics: QueueStatistics,
}

/// The messages of the WeCom channels, by status. Finished ones are deleted after a while.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueueStatistics {
    pending: i64,
    sending: i64,
    sent: i64,
    failed: i64,
}

impl QueueStatistics {
    fn of(backlog: &Backlog) -> Self {
        let count = |status: Status| {
            let lines = backlog.lines.iter();
            lines
                .filter(|line| matches!(line.channel, Channel::WecomApp | Channel::WecomRobot))
                .filter(|line| line.status == status)
                .map(|line| line.count)
                .sum()
        };
        Self {
            pending: count(Status::Pending),
            sending: count(Status::Sending),
            sent: count(Status::Sent),
            failed: count(Status::Failed),
        }
    }
}

/// Makes the relays look for due messages at once, and tells how the WeCom queue stands.
#[utoipa::path(post, path = "/api/wecom/process-queue", tag = "wecom",
    security(("token" = []), ("serviceToken" = [])),
    responses((status = 200, body = Envelope<QueueView>)))]
pub(crate) async fn process_queue(
    state: State,
    caller: AnyCaller,
) -> Result<HttpResponse, ApiError> {
    let now = state.now();
    state
        .change(&caller, move |transaction| {
            transaction.wake_relays()?;
            let backlog = outbox::backlog(transaction.connection(), now)?;
            let statistics = QueueStatistics::of(&backlog);
            Answer::ok("已通知发送程序处理队列", QueueView { statistics })
        })
        .await
}
