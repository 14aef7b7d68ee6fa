//! Daily quotas of an app and what the mini-program platform lets its operators do with them.

use std::collections::BTreeMap;

use serde_json::json;

use crate::api::Api;
use crate::clock::Timestamp;
use crate::platform::Platform;
use crate::refusal::Refusal;

/// `clear_quota` calls per month and account.
const CLEARS_PER_MONTH: u32 = 10;
/// A month is counted as thirty days here.
const DAYS_PER_MONTH: u64 = 30;

/// Daily quotas that differ from the published ones.
pub(crate) type DailyLimits = BTreeMap<Api, u64>;

/// What one app has used today.
#[derive(Debug, Default)]
pub(crate) struct DailyUse {
    day: u64,
    calls: BTreeMap<Api, u64>,
    month: u64,
    clears: u32,
}

impl DailyUse {
    /// Counts one call; over the limit it is 45009, until midnight in China.
    pub(crate) fn count(
        &mut self,
        limits: &DailyLimits,
        api: Api,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.count_many(limits, api, 1, now)
    }

    /// Counts what weighs more than one: all of it, or nothing and 45009.
    pub(crate) fn count_many(
        &mut self,
        limits: &DailyLimits,
        api: Api,
        weight: u64,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.turn_day(now);
        let used = self.calls.entry(api).or_default();
        if limit(limits, api).is_some_and(|limit| *used + weight > limit) {
            return Err(Refusal::new(45009));
        }
        *used += weight;
        Ok(())
    }

    /// Answer of `quota/get` for one path; a figure of 0 means that none is published.
    pub(crate) fn report(
        &mut self,
        limits: &DailyLimits,
        path: &str,
        now: Timestamp,
    ) -> Result<String, Refusal> {
        self.turn_day(now);
        let api = Api::of_path(path)
            .filter(|api| api.platform() == Platform::MiniProgram)
            .ok_or_else(|| Refusal::new(76021))?;
        let used = self.calls.get(&api).copied().unwrap_or_default();
        let daily_limit = limit(limits, api).unwrap_or_default();
        let per_minute = if api == Api::StableToken { 10_000 } else { 0 };
        let window = if per_minute > 0 { 60 } else { 0 };
        Ok(json!({
            "errcode": 0,
            "errmsg": "ok",
            "quota": {
                "daily_limit": daily_limit,
                "used": used,
                "remain": daily_limit.saturating_sub(used),
            },
            "rate_limit": { "call_count": per_minute, "refresh_second": window },
            "component_rate_limit": { "call_count": 0, "refresh_second": 0 },
        })
        .to_string())
    }

    /// Starts today's counts again.
    pub(crate) fn clear(&mut self, now: Timestamp) -> Result<(), Refusal> {
        let month = now.beijing_day() / DAYS_PER_MONTH;
        if self.month != month {
            self.month = month;
            self.clears = 0;
        }
        if self.clears >= CLEARS_PER_MONTH {
            return Err(Refusal::new(48006));
        }
        self.clears += 1;
        self.calls.clear();
        Ok(())
    }

    fn turn_day(&mut self, now: Timestamp) {
        if self.day != now.beijing_day() {
            self.day = now.beijing_day();
            self.calls.clear();
        }
    }
}

fn limit(limits: &DailyLimits, api: Api) -> Option<u64> {
    limits.get(&api).copied().or_else(|| api.daily_limit())
}
