//! An honest imitation of the WeChat Mini Program platform on the wire.
//!
//! For the quick start and for tests: it answers like `api.weixin.qq.com`, shows what was
//! delivered on a drawn phone at `/`, and does on request what the platform does on bad days. It
//! shares no code with the services that talk to it.
//!
//! # Endpoints
//!
//! `GET|POST /cgi-bin/token`, `POST /cgi-bin/stable_token`,
//! `POST /cgi-bin/message/subscribe/send`, `POST /tcb/invokecloudfunction`,
//! `GET /sns/jscode2session`, `GET /wxaapi/newtmpl/gettemplate`,
//! `POST /cgi-bin/openapi/quota/get`, `POST /cgi-bin/clear_quota`. HTTP 200 always; a path that is
//! no endpoint answers 40066. The wrong method answers 43002 where POST is required and 43001
//! where GET is.
//!
//! Where the platform's behaviour is not published, this is what was chosen: the order of the
//! checks of a send is method, token, JSON, recipient, template, data, page, concurrency,
//! sensitive words, subscription; the secret is checked before the address; a forced refresh that
//! is refused answers the current token; a token that looks like one but is not known is 40001,
//! any other text 40014.
//!
//! # Control API
//!
//! JSON under `/control`, the same verbs as [`SandboxControl`]; `GET /control` lists them. Bad
//! requests get HTTP 400 with `{"error": sentence}`. Where one thing can be posted, so can a list.
//!
//! | request | body or query |
//! |---|---|
//! | `POST /control/apps` | `{appid, secret, name?, quota?: "ledger"\|"unlimited", msgid?: "included"\|"omitted", wrongSecret?: "invalidAppsecret"\|"invalidCredential", openids?: "wellFormed"\|"registered", pages?, ipAllowList?, sensitiveWords?, dailyLimits?}`; what is left out gets its default |
//! | `POST /control/users` | `{openid, name?, appid?, unionid?}` |
//! | `POST /control/templates` | `{templateId, title, fields: [{key, name, values?}], type?: 2\|3, appid?}` |
//! | `POST /control/cloud-functions` | `{env, name, behaviour: "assignNotify" \| "echo" \| "throws" \| {"returns": text} \| {"timesOut": {"afterMillis": n}}}` |
//! | `POST /control/subscriptions` | `{openid, templateId, accept: n}` or `{openid, templateId, reject: true}` |
//! | `GET /control/subscriptions` | `?openid=&templateId=` → `{remaining, longTerm, rejected}` |
//! | `POST /control/codes` | `{openid, appid?}` → `{code}` |
//! | `POST /control/ip-allow-list` | `{addresses: [ip] \| null, appid?}` |
//! | `POST /control/clock` | `{advanceSeconds}` → `{now}`; time only moves forward |
//! | `POST /control/latency` | `{millis}`, added to every answer |
//! | `POST /control/faults` | see below → `{ids}` |
//! | `GET /control/faults`, `DELETE /control/faults[/{id}]` | those still to strike |
//! | `GET /control/messages` | `?since=&openid=&templateId=&api=` → `{messages, dropped}` |
//! | `GET /control/requests` | `?since=` → `{requests, dropped}` |
//! | `GET /control/stats` | `{accepted, refused, duplicates, requests, byErrcode, inFlight, …}` |
//! | `GET /control/wait` | `?accepted=&requests=&inFlight=&millis=` → stats once they are reached, else 408 |
//! | `POST /control/reset` | back to the configuration it started with |
//!
//! A fault is `{api, match?, times?, skip?, action}`. `api` is `token`, `stable_token`,
//! `subscribe_send`, `cloud_function`, `jscode2session`, `get_template`, `quota_get`,
//! `clear_quota` or `any`; `match` is `{openid?, templateId?, textContains?}`; `times` a number (1)
//! or `"always"`; `skip` lets that many fitting requests pass first. `action` is one of
//! `{errcode, errmsg?}`, `{delayMs}`, `{hang: true}`, `{resetBeforeAnswer: true}`,
//! `{resetMidBody: true}`, `{httpStatus, body?}`, `{rawBody}`, `{longBody: bytes}`,
//! `{redirect}`, `{expireTokens: true}`, with `processed: true|false` beside it: whether the
//! request takes effect although its answer is broken. It does by default for `delayMs`,
//! `resetMidBody`, `longBody` and `expireTokens`.

mod api;
mod call;
mod clock;
mod cloud_function;
mod config;
mod connection;
mod control;
mod control_route;
mod credential;
mod errmsg;
mod fault;
mod fault_request;
mod field;
mod in_flight;
mod invocation;
mod ledger;
mod page;
mod platform;
mod quota;
mod record;
mod server;
mod session_code;
mod subscribe;
mod template;
mod token;
mod world;

pub use api::Api;
pub use cloud_function::{Behaviour, CloudFunction};
pub use config::{
    App, DEMO_APPID, DEMO_ENVIRONMENT, DEMO_FUNCTION, DEMO_SECRET, DEMO_TEMPLATE_ID, MsgidMode,
    OpenidMode, QuotaMode, SandboxConfig, User, WrongSecret,
};
pub use control::SandboxControl;
pub use fault::{Fault, FaultAction};
pub use ledger::Subscription;
pub use record::{Message, MessageFilter, Request, Stats};
pub use server::{Sandbox, start};
pub use template::{SubscriptionKind, Template, TemplateField};
