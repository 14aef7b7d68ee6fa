use actix_web::HttpResponse;
use serde::Serialize;
use shared::db::DbError;
use shared::domain::UtcTimestamp;
use utoipa::ToSchema;

use crate::envelope::{self, Envelope};
use crate::error::ApiError;
use crate::schedule::{ScheduleState, SlotState, state_of};
use crate::state::State;

/// Something that is done at fixed times, and how it stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScheduleView {
    /// What it is called.
    name: &'static str,
    /// When it is done, in the configured zone: `每周一 09:00`.
    timetable: String,
    /// How the latest slot stands: `done`, `running`, `waiting` (it has come and no process is at it),
    /// `new` (it begins with its next slot).
    #[schema(value_type = String)]
    state: SlotState,
    /// The last slot that is done.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_slot: Option<UtcTimestamp>,
    /// When it was done; while the next one is under way, when it got further last.
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<UtcTimestamp>,
    /// When it is done next.
    #[schema(value_type = String, format = DateTime)]
    next_slot: UtcTimestamp,
}

/// What is done at fixed times.
#[utoipa::path(get, path = "/api/schedules", tag = "operations",
    responses((status = 200, body = Envelope<Vec<ScheduleView>>)))]
pub(crate) async fn list(state: State) -> Result<HttpResponse, ApiError> {
    let (schedules, zone, now) = (
        state.schedules.clone(),
        state.telling.time_zone,
        state.now(),
    );
    let views = state
        .database
        .run(move |connection| {
            let views = schedules.iter().map(|schedule| {
                let ScheduleState {
                    state,
                    last_slot,
                    updated_at,
                    next_slot,
                } = state_of(connection, schedule, now, zone)?;
                Ok(ScheduleView {
                    name: schedule.name,
                    timetable: schedule.timetable.to_string(),
                    state,
                    last_slot,
                    updated_at,
                    next_slot,
                })
            });
            views.collect::<Result<Vec<_>, DbError>>()
        })
        .await?;
    Ok(envelope::ok("获取成功", views))
}
