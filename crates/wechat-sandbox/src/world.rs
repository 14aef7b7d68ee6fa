//! All state of the sandbox behind one lock, and how one call changes it.
//!
//! Nothing waits while the lock is held: reading the request and writing the answer happen
//! outside.

use std::time::Duration;

use crate::api::Api;
use crate::call::Call;
use crate::clock::{Clock, Timestamp};
use crate::config::SandboxConfig;
use crate::fault::{FaultAction, FaultScript, Processing, Strike};
use crate::in_flight::{InFlight, Recipient};
use crate::mini_program::MiniProgram;
use crate::record::{Journal, Request};
use crate::refusal::Refusal;
use crate::trace::Trace;
use crate::wecom::Wecom;

/// Everything the sandbox knows.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) mini_program: MiniProgram,
    pub(crate) wecom: Wecom,
    pub(crate) faults: FaultScript,
    pub(crate) journal: Journal,
    pub(crate) in_flight: InFlight,
    /// Added to every answer.
    pub(crate) latency: Duration,
}

/// A call being decided: what it touches beside the state of its own platform.
pub(crate) struct Handling<'world> {
    pub(crate) now: Timestamp,
    pub(crate) journal: &'world mut Journal,
    pub(crate) in_flight: &'world mut InFlight,
    pub(crate) place: Place,
    /// How long the platform itself takes.
    pub(crate) took: Duration,
}

/// What the platform has decided.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) errcode: i64,
    pub(crate) body: String,
    /// How long the platform itself took.
    pub(crate) took: Duration,
}

/// A request that has been taken in; its answer is still to be sent.
#[derive(Debug)]
pub(crate) struct Received {
    /// What the platform decided, unless a fault kept it from deciding.
    pub(crate) reply: Option<Reply>,
    pub(crate) fault: Option<FaultAction>,
    pub(crate) latency: Duration,
    pub(crate) trace: Trace,
    pub(crate) recipient: Option<Recipient>,
    pub(crate) place: Place,
}

/// Whether a request has its recipient's one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Taken,
    NotTaken,
}

impl World {
    pub(crate) fn new(config: &SandboxConfig) -> Result<Self, String> {
        Ok(Self {
            clock: Clock::default(),
            mini_program: MiniProgram::new(config)?,
            wecom: Wecom::new(config)?,
            faults: FaultScript::default(),
            journal: Journal::new(config.message_history, config.request_history),
            in_flight: InFlight::default(),
            latency: Duration::ZERO,
        })
    }

    /// Takes one request in: lets a scripted fault strike, processes, and records.
    pub(crate) fn receive(&mut self, mut call: Call) -> Received {
        let now = self.clock.now();
        let recipient = call.recipient();
        let in_flight_same_recipient = self.in_flight.enter(recipient.as_ref());
        let strike = self.faults.strike(&call.subject());
        if let Some(Strike {
            action: FaultAction::ExpireTokens,
            ..
        }) = &strike
        {
            self.expire_tokens(now);
        }
        let skipped = strike
            .as_ref()
            .is_some_and(|s| s.processing == Processing::Skipped);
        let api = call.api;
        let trace = call.trace(now);
        let mut place = Place::NotTaken;
        let reply = if skipped {
            // A hanging send keeps its recipient busy, as one the platform is working on would.
            if let Some(recipient) = &recipient
                && api == Api::SubscribeSend
                && self.in_flight.occupy(recipient)
            {
                place = Place::Taken;
            }
            None
        } else {
            let (reply, taken) = self.process(&mut call, &trace);
            place = taken;
            Some(reply)
        };
        let fault = strike.map(|strike| strike.action);
        let errcode = match &fault {
            Some(FaultAction::Errcode { errcode, .. }) => Some(*errcode),
            _ => reply.as_ref().map(|reply| reply.errcode),
        };
        self.journal.note(Request {
            seq: 0,
            api,
            recipient: recipient.as_ref().map(|(_, recipient)| recipient.clone()),
            errcode,
            at: now.millis(),
            in_flight_same_recipient,
            fault: fault.as_ref().map(FaultAction::name),
        });
        Received {
            reply,
            fault,
            latency: self.latency,
            trace,
            recipient,
            place,
        }
    }

    /// The answer has been sent, or nobody waits for it any more.
    pub(crate) fn release(&mut self, recipient: Option<&Recipient>, place: Place) {
        if let Some(recipient) = recipient
            && place == Place::Taken
        {
            self.in_flight.vacate(recipient);
        }
        self.in_flight.leave(recipient);
    }

    /// Makes every token that was issued so far, by either platform, expire now.
    pub(crate) fn expire_tokens(&mut self, now: Timestamp) {
        self.mini_program.tokens.expire_all(now);
        self.wecom.tokens.expire_all(now);
    }

    fn process(&mut self, call: &mut Call, trace: &Trace) -> (Reply, Place) {
        let now = trace.now;
        let mut handling = Handling {
            now,
            journal: &mut self.journal,
            in_flight: &mut self.in_flight,
            place: Place::NotTaken,
            took: Duration::ZERO,
        };
        let (mini_program, wecom) = (&mut self.mini_program, &mut self.wecom);
        let decided = match call.api.refused_method(&call.method) {
            Some(errcode) => Err(Refusal::new(errcode)),
            None => match call.api {
                Api::Token => mini_program.token(call, now),
                Api::StableToken => mini_program.stable_token(call, now),
                Api::SubscribeSend => mini_program.subscribe_send(call, &mut handling),
                Api::CloudFunction => mini_program.cloud_function(call, &mut handling),
                Api::CodeToSession => mini_program.code_to_session(call, now),
                Api::GetTemplate => mini_program.get_template(call, now),
                Api::QuotaGet => mini_program.quota_get(call, now),
                Api::ClearQuota => mini_program.clear_quota(call, now),
                Api::WecomToken => wecom.token(call, now),
                Api::WecomSend => wecom.send(call, &mut handling),
                Api::WecomRobot => wecom.robot_send(call, &mut handling),
                Api::WecomUpload => wecom.upload(call, now),
                Api::WecomAgent => wecom.agent(call, now),
                Api::WecomUser => wecom.user(call, now),
                Api::WecomAddresses => wecom.addresses(call, now),
            },
        };
        let (errcode, body) = match decided {
            Ok(body) => (0, body),
            Err(refusal) => (refusal.errcode, trace.body(&refusal)),
        };
        let reply = Reply {
            errcode,
            body,
            took: handling.took,
        };
        (reply, handling.place)
    }
}

/// The answer of a call that has nothing else to say.
pub(crate) fn ok() -> String {
    r#"{"errcode":0,"errmsg":"ok"}"#.to_owned()
}
