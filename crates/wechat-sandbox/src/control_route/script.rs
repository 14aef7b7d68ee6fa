//! What happens: time, slowness, faults, and the way back to the start.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data, Path};
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Listed, answer, done, read};
use crate::control::SandboxControl;
use crate::fault::Fault;
use crate::fault_request::FaultRequest;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClockRequest {
    advance_seconds: u64,
}

pub(super) async fn advance_clock(body: Bytes, control: Data<SandboxControl>) -> Answer {
    let request: ClockRequest = read(&body)?;
    let now = control.advance_clock(Duration::from_secs(request.advance_seconds));
    answer(json!({ "now": now }))
}

pub(super) async fn clock(control: Data<SandboxControl>) -> Answer {
    answer(json!({ "now": control.now().millis() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LatencyRequest {
    millis: u64,
}

pub(super) async fn set_latency(body: Bytes, control: Data<SandboxControl>) -> Answer {
    let request: LatencyRequest = read(&body)?;
    control.set_latency(Duration::from_millis(request.millis));
    done()
}

pub(super) async fn add_faults(body: Bytes, control: Data<SandboxControl>) -> Answer {
    let requests = read::<Listed>(&body)?.into_items::<FaultRequest>()?;
    let faults: Vec<Fault> = requests
        .into_iter()
        .map(Fault::try_from)
        .collect::<Result<_, String>>()?;
    let ids: Vec<u64> = faults
        .into_iter()
        .map(|fault| control.add_fault(fault))
        .collect();
    answer(json!({ "ids": ids }))
}

pub(super) async fn faults(control: Data<SandboxControl>) -> Answer {
    answer(json!({ "faults": control.faults() }))
}

pub(super) async fn clear_faults(control: Data<SandboxControl>) -> Answer {
    control.clear_faults();
    done()
}

pub(super) async fn remove_fault(id: Path<u64>, control: Data<SandboxControl>) -> Answer {
    if control.remove_fault(*id) {
        return done();
    }
    Ok(HttpResponse::NotFound().json(json!({ "error": "this fault is not waiting" })))
}

pub(super) async fn reset(control: Data<SandboxControl>) -> Answer {
    control.reset()?;
    done()
}
