//! An honest imitation of the WeChat Mini Program platform and of WeCom on the wire.
//!
//! For the quick start and for tests: it answers like `api.weixin.qq.com` and `qyapi.weixin.qq.com`
//! (on one address; no path belongs to both), shows what was delivered on a drawn phone at `/`, and
//! does on request what the platforms do on bad days. It shares no code with the services that talk
//! to it.
//!
//! # Endpoints
//!
//! `GET|POST /cgi-bin/token`, `POST /cgi-bin/stable_token`,
//! `POST /cgi-bin/message/subscribe/send`, `POST /tcb/invokecloudfunction`,
//! `GET /sns/jscode2session`, `GET /wxaapi/newtmpl/gettemplate`,
//! `POST /cgi-bin/openapi/quota/get`, `POST /cgi-bin/clear_quota`.
//!
//! WeCom: `GET /cgi-bin/gettoken`, `POST /cgi-bin/message/send`, `POST /cgi-bin/webhook/send`,
//! `POST /cgi-bin/webhook/upload_media`, `GET /cgi-bin/agent/get`, `GET /cgi-bin/user/get`, `GET /cgi-bin/get_api_domain_ip`.
//!
//! HTTP 200 always, and no demands on the Content-Type; a path that is no endpoint answers 40066.
//! The wrong method answers 43002 where POST is required and 43001 where GET is.
//!
//! Where the platform's behaviour is not published, this is what was chosen: the order of the
//! checks of a send is method, token, JSON, recipient, template, data, page, concurrency,
//! sensitive words, subscription; the secret is checked before the address; a forced refresh that
//! is refused answers the current token; a token that looks like one but is not known is 40001,
//! any other text 40014.
//!
//! And for WeCom: the order of the checks of a send is method, token, address, type, app,
//! recipients, content, daily quota, duplicate check; a recipient that the app may not write to is
//! as invalid as one that does not exist; no recipient given is 82001, a `touser` that names nobody
//! 40003; `@all` reports nobody; a message to unlicensed members only is accepted; a longer
//! `duplicate_check_interval` than four hours counts as four hours; robots count what they sent in
//! the last 60 seconds; robots can upload files and apps cannot, so every `media_id` of an app is
//! invalid (40007).
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
//! | `POST /control/ip-allow-list` | `{addresses: [ip] \| null, appid? \| agentid?}` |
//! | `POST /control/wecom/agents` | `{agentid, secret, corpid?, name?, visibleTo?: [userid], ipAllowList?, dailyLimits?}` |
//! | `POST /control/wecom/members` | `{userid, name?, corpid?, licence?: "valid"\|"missing", departments?: [n], tags?: [n]}` |
//! | `POST /control/wecom/robots` | `{key, name}` |
//! | `POST /control/clock` | `{advanceSeconds}` → `{now}`; time only moves forward |
//! | `POST /control/latency` | `{millis}`, added to every answer |
//! | `POST /control/faults` | see below → `{ids}` |
//! | `GET /control/faults`, `DELETE /control/faults[/{id}]` | those still to strike |
//! | `GET /control/messages` | `?since=&recipient=&templateId=&api=` → `{messages, dropped}` |
//! | `GET /control/requests` | `?since=` → `{requests, dropped}` |
//! | `GET /control/stats` | `{accepted, refused, duplicates, keptBack, requests, byErrcode, inFlight, …}` |
//! | `GET /control/wait` | `?accepted=&requests=&inFlight=&millis=` → stats once they are reached, else 408 |
//! | `POST /control/reset` | back to the configuration it started with |
//!
//! A fault is `{api, match?, times?, skip?, action}`. `api` is `token`, `stable_token`,
//! `subscribe_send`, `cloud_function`, `jscode2session`, `get_template`, `quota_get`,
//! `clear_quota`, `wecom_token`, `wecom_send`, `wecom_robot`, `wecom_upload`, `wecom_agent`,
//! `wecom_user`, `wecom_addresses` or `any`; `match` is `{recipient?, templateId?, textContains?}`,
//! where a recipient is an openid, a userid (alone or among others) or the key of a robot
//! (`openid` and `userid` are other names for it); `times` a number (1)
//! or `"always"`; `skip` lets that many fitting requests pass first. `action` is one of
//! `{errcode, errmsg?}`, `{delayMs}`, `{hang: true}`, `{resetBeforeAnswer: true}`,
//! `{resetMidBody: true}`, `{httpStatus, body?}`, `{rawBody}`, `{longBody: bytes}`,
//! `{redirect}`, `{expireTokens: true}`, with `processed: true|false` beside it: whether the
//! request takes effect although its answer is broken. It does by default for `delayMs`,
//! `resetMidBody`, `longBody` and `expireTokens`.

mod answer;
mod api;
mod call;
mod clock;
mod config;
mod connection;
mod control;
mod control_route;
mod fault;
mod fault_request;
mod in_flight;
mod message;
mod mini_program;
mod page;
mod platform;
mod quota;
mod record;
mod refusal;
mod server;
mod trace;
mod wecom;
mod world;

pub use api::Api;
pub use config::{
    DEMO_AGENT_SECRET, DEMO_AGENTID, DEMO_APPID, DEMO_CORPID, DEMO_ENVIRONMENT, DEMO_FUNCTION,
    DEMO_ROBOT_KEY, DEMO_SECRET, DEMO_TEMPLATE_ID, SandboxConfig,
};
pub use control::SandboxControl;
pub use fault::{Fault, FaultAction};
pub use message::{Envelope, KeptBack, Message, MessageFilter};
pub use mini_program::{
    App, Behaviour, CloudFunction, MsgidMode, OpenidMode, QuotaMode, Subscription,
    SubscriptionKind, Template, TemplateField, User, WrongSecret,
};
pub use record::{Request, Stats};
pub use server::{Sandbox, start};
pub use wecom::{Agent, Licence, Member, Robot};
