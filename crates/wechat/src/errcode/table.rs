//! The rules. The meanings of the codes are the platforms' (the Mini Program's error tables for tokens,
//! subscribe messages, login and cloud development; WeCom's global error table and its pages about
//! application messages and group robots); the classes are ours.

use std::time::Duration;

use super::{AlsoBroken, Class, Outcome, RetryPace, Rule, RuleOrigin, WaitFor};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

const RETRY: Class = Class::Retry(RetryPace::Normal);
const RETRY_SOON: Class = Class::Retry(RetryPace::Soon);
const RETRY_SLOW: Class = Class::Retry(RetryPace::Slow);

const fn wait_seconds(seconds: u64) -> Class {
    Class::Wait(WaitFor::Duration(Duration::from_secs(seconds)))
}

const fn on(errcode: i64, class: Class, meaning: &'static str, advice: &'static str) -> Rule {
    Rule {
        errcode,
        class,
        outcome: Outcome::Known,
        also_broken: AlsoBroken::Nothing,
        meaning,
        advice,
        origin: RuleOrigin::Table,
    }
}

impl Rule {
    const fn ambiguous(self) -> Self {
        Self {
            outcome: Outcome::Ambiguous,
            ..self
        }
    }

    const fn breaks(self, also_broken: AlsoBroken) -> Self {
        Self {
            also_broken,
            ..self
        }
    }
}

/// Said by any API about the account, its limits and its permissions.
#[rustfmt::skip]
pub(super) const ACCOUNT: &[Rule] = &[
    on(0, Class::Ok, "ok", ""),
    on(40013, Class::Halt, "invalid appid", "check the configured appid"),
    on(40125, Class::Halt, "invalid AppSecret", "copy the AppSecret of this appid from the platform's console again; it changes when somebody resets it"),
    on(40164, Class::Halt, "this host's IP address is not on the allow-list", "add the IP address named in the error text to the API allow-list in the platform's console"),
    on(40243, Class::Halt, "the AppSecret is frozen", "unfreeze it in the platform's console; that takes 10 minutes to work"),
    on(41002, Class::Halt, "appid missing", "configure the appid"),
    on(41004, Class::Halt, "AppSecret missing", "configure the AppSecret"),
    on(45009, Class::Wait(WaitFor::NextBeijingMidnight), "the daily quota of this API is used up", "find out what calls so often; clear_quota resets it, 10 times a month"),
    on(45011, wait_seconds(MINUTE), "the quota of this minute is used up", "lower the channel's rate limit if this comes often"),
    on(48001, Class::Halt, "the account has no permission for this API", "open the ability in the platform's console and check that the appid is a Mini Program's"),
    on(48004, Class::Halt, "the API is banned for breach of rules", "see the notices in the platform's console"),
    on(50002, Class::Halt, "the account is restricted", "see the notices in the platform's console"),
    on(50004, Class::Halt, "the account may not use the token API", "see the notices in the platform's console"),
    on(50007, Class::Halt, "the account is frozen", "see the notices in the platform's console"),
    on(61004, Class::Halt, "this host's IP address is not registered", "register the IP address with the platform that manages this account"),
    on(89503, wait_seconds(10 * MINUTE), "the call waits for an administrator's confirmation", "ask the account's administrator to confirm the IP address in WeChat"),
    on(89506, wait_seconds(24 * HOUR), "the administrator refused this IP address; again possible after 24 hours", "ask the account's administrator to allow the IP address"),
    on(89507, wait_seconds(HOUR), "the administrator refused this IP address; again possible after 1 hour", "ask the account's administrator to allow the IP address"),
];

/// Calls that carry the AppSecret.
#[rustfmt::skip]
pub(super) const WITH_SECRET: &[Rule] = &[
    on(40001, Class::Halt, "wrong AppSecret", "copy the AppSecret of this appid from the platform's console again"),
];

/// Calls that carry an access token. 40001 is the one for a token that somebody else replaced.
#[rustfmt::skip]
pub(super) const WITH_TOKEN: &[Rule] = &[
    on(40001, Class::Token, "the access token is invalid or not the latest", ""),
    on(40014, Class::Token, "invalid access token", ""),
    on(42001, Class::Token, "the access token has expired", ""),
    on(42007, Class::Token, "the access token died with a password change", ""),
];

/// A request that is wrong in itself, and would be again.
#[rustfmt::skip]
pub(super) const MALFORMED_REQUEST: &[Rule] = &[
    on(40002, Class::Halt, "invalid grant type: a fault of this program", "report it with the error text"),
    on(43002, Class::Dead, "wrong HTTP method: a fault of this program", "report it with the error text"),
    on(44002, Class::Dead, "empty body: a fault of this program", "report it with the error text"),
    on(47001, Class::Dead, "the body is not the expected JSON", "report it with the error text"),
];

/// No rule here blames a message: without a token no message can go, and each of them would be
/// given up for a fault that is not its own.
#[rustfmt::skip]
pub(super) const TOKEN: &[Rule] = &[
    on(-1, RETRY, "the platform is busy", ""),
    on(40002, Class::Halt, "invalid grant type: a fault of this program", "report it with the error text"),
    on(43002, Class::Halt, "wrong HTTP method: a fault of this program", "report it with the error text"),
    on(44002, Class::Halt, "empty body: a fault of this program", "report it with the error text"),
    on(47001, Class::Halt, "the body is not the expected JSON: a fault of this program", "report it with the error text"),
];

#[rustfmt::skip]
pub(super) const SUBSCRIBE_SEND: &[Rule] = &[
    on(-1, RETRY, "the platform is busy", "").ambiguous(),
    on(20001, RETRY, "system error", "").ambiguous(),
    on(40003, Class::Dead, "the openid is not one of this app", "the recipient has to bind WeChat again").breaks(AlsoBroken::Binding),
    on(40037, Class::Dead, "unknown template", "the template was deleted or belongs to another account: choose another one for the route").breaks(AlsoBroken::Template),
    on(41001, Class::Dead, "access token missing: a fault of this program", "report it with the error text"),
    on(41030, Class::Dead, "the page is not in the released version", "release the page or correct it in the route").breaks(AlsoBroken::Page),
    on(43101, Class::Resubscribe, "the recipient has no subscription to this template (never, used up, or withdrawn)", "the recipient has to subscribe again in the Mini Program"),
    on(43107, Class::Halt, "subscribe messages are banned for the account or this template", "see the notices in the platform's console; choose another template if only this one is banned").breaks(AlsoBroken::Template),
    on(43108, RETRY_SOON, "another message to the same openid is under way", ""),
    on(45168, Class::Dead, "the content has a sensitive word", "reword the template text or correct the customer's data"),
    on(47003, Class::Dead, "a field's value is empty or does not fit its type", "the error text names the field: compare the route's fields with the template"),
];

#[rustfmt::skip]
pub(super) const CLOUD_FUNCTION: &[Rule] = &[
    on(-1, RETRY, "the platform is busy", "").ambiguous(),
    on(-1000, RETRY, "system error", "").ambiguous(),
    on(40101, Class::Dead, "parameter missing", "check the environment and the function name of the channel"),
    on(41001, Class::Token, "access token missing", ""),
    on(85088, Class::Halt, "the app has no cloud development", "open cloud development for this app in the platform's console"),
    on(-501000, Class::Halt, "the environment or the function does not exist", "check the environment id and the function name of the channel"),
    on(-501001, RETRY, "system error of the cloud", ""),
    on(-501002, RETRY, "the cloud did not answer in time", "").ambiguous(),
    // Quotas of an environment: the platform does not say when they are reset; an hourly try is
    // cheap.
    on(-501003, wait_seconds(HOUR), "the environment's request quota is used up", "buy a larger plan for the environment"),
    on(-501004, RETRY_SLOW, "the environment's concurrency limit is reached", "lower the channel's concurrency"),
    on(-501005, Class::Halt, "the environment is in an abnormal state", "see the environment in the cloud console; it may be unpaid"),
    on(-501007, Class::Dead, "invalid parameter", "report it with the error text"),
    on(-501009, Class::Halt, "a resource of the environment is missing", "deploy the function to this environment"),
    on(-501015, wait_seconds(HOUR), "the environment's read quota is used up", "buy a larger plan for the environment"),
    on(-501016, wait_seconds(HOUR), "the environment's write quota is used up", "buy a larger plan for the environment"),
    on(-501018, Class::Halt, "the environment is unavailable", "see the environment in the cloud console"),
    on(-501019, Class::Halt, "the environment is not authorised for this app", "share the environment with this app in the cloud console"),
    on(-501020, Class::Dead, "invalid parameter", "report it with the error text"),
    on(-504001, RETRY, "the function could not be run", ""),
    on(-504002, Class::Dead, "the function threw an error", "see the function's log in the cloud console"),
    on(-504003, RETRY, "the function took too long", "").ambiguous(),
    on(-601001, RETRY, "system error of the cloud", ""),
    on(-601003, RETRY, "network error in the cloud", ""),
    on(-604101, Class::Halt, "the function has no permission for the API it called", "grant the function the API in its config.json and deploy it again"),
    on(-604102, RETRY, "a call inside the cloud timed out", "").ambiguous(),
];

#[rustfmt::skip]
pub(super) const CODE_TO_SESSION: &[Rule] = &[
    on(-1, RETRY, "the platform is busy", ""),
    on(40029, Class::Dead, "the login code is invalid or older than 5 minutes", "the user has to log in again"),
    on(40163, Class::Dead, "the login code has been used", "the user has to log in again"),
    on(40226, Class::Dead, "the platform blocks this user as a risk", "the user has to ask WeChat's customer service"),
    on(41008, Class::Dead, "login code missing", "the user has to log in again"),
];

const BREACHED_WINDOW: Class = Class::Wait(WaitFor::BreachedWindow);

/// Said by any call of WeCom about the corporation, the application and their limits.
#[rustfmt::skip]
pub(super) const WECOM: &[Rule] = &[
    on(0, Class::Ok, "ok", ""),
    on(6000, RETRY, "somebody else changed the same data at the same moment", ""),
    on(45009, BREACHED_WINDOW, "called more often than allowed", "find out what calls so often; lower the channel's rate limit if this comes often"),
    on(45033, RETRY, "too many calls at once", "lower the channel's concurrency if this comes often"),
    on(60020, Class::Halt, "this host's address is not one that the application trusts", "add {address} to the application's trusted addresses (企业可信IP) in the admin console"),
];

/// No rule here blames a message, as in [`TOKEN`].
#[rustfmt::skip]
pub(super) const WECOM_TOKEN: &[Rule] = &[
    on(-1, RETRY, "the platform is busy", ""),
    on(40001, Class::Halt, "wrong secret", "copy the application's secret from the admin console again, into WECOM_SECRET"),
    on(40013, Class::Halt, "invalid corpid", "copy the corporation's id (我的企业, 企业ID) from the admin console again, into WECOM_CORPID"),
    on(40091, Class::Halt, "the secret belongs to another corporation", "check that WECOM_CORPID and WECOM_SECRET are of the same corporation"),
    on(41002, Class::Halt, "corpid missing", "set WECOM_CORPID"),
    on(41004, Class::Halt, "secret missing", "set WECOM_SECRET"),
];

/// Calls of WeCom that carry an access token.
#[rustfmt::skip]
pub(super) const WECOM_WITH_TOKEN: &[Rule] = &[
    on(40001, Class::Halt, "wrong secret", "copy the application's secret from the admin console again, into WECOM_SECRET"),
    on(40014, Class::Token, "invalid access token", ""),
    on(40056, Class::Halt, "invalid agentid", "check WECOM_AGENTID: the application's page in the admin console shows it"),
    on(41011, Class::Halt, "agentid missing", "set WECOM_AGENTID"),
    on(42001, Class::Token, "the access token has expired", ""),
    on(48002, Class::Halt, "the application has no permission for this API", "see the application's API permissions in the admin console"),
    on(48004, Class::Halt, "the application is no longer authorised", "authorise the application again in the admin console"),
    on(50003, Class::Halt, "the application is switched off", "switch it on (启用) in the admin console"),
    on(301002, Class::Halt, "the secret is that of another application", "check that WECOM_AGENTID and WECOM_SECRET are of the same application"),
];

#[rustfmt::skip]
pub(super) const WECOM_SEND: &[Rule] = &[
    on(-1, RETRY, "the platform is busy", "").ambiguous(),
    on(40003, Class::Dead, "invalid user id", "check the user id in the admin console's address book").breaks(AlsoBroken::Binding),
    on(40008, Class::Dead, "unknown kind of message: a fault of this program", "report it with the error text"),
    on(40031, Class::Dead, "an invalid user id in the list", "check the user ids in the admin console's address book").breaks(AlsoBroken::Binding),
    on(40032, Class::Dead, "too many user ids", "split the route's recipients: at most 1,000"),
    on(40035, Class::Dead, "invalid parameters", "report it with the error text"),
    on(40058, Class::Dead, "invalid parameters", "report it with the error text"),
    on(40063, Class::Dead, "a parameter is empty", "check the route's fields"),
    on(41001, Class::Dead, "access token missing: a fault of this program", "report it with the error text"),
    on(41016, Class::Dead, "title missing", "check the route's field title"),
    on(41033, Class::Dead, "description missing", "check the route's field description"),
    on(44004, Class::Dead, "the text is empty", "check the route's field content"),
    on(45002, Class::Dead, "the message is too long", "shorten the route's fields"),
    on(46004, Class::Dead, "no such user", "check the user id in the admin console's address book").breaks(AlsoBroken::Binding),
    on(60011, Class::Dead, "the application may not write to these users", "add them to the application's visible range (可见范围) in the admin console").breaks(AlsoBroken::Binding),
    on(60111, Class::Dead, "no such user id", "check the user id in the admin console's address book").breaks(AlsoBroken::Binding),
    on(81013, Class::Dead, "no recipient is one that the application can write to", "check the user ids, and the application's visible range (可见范围) in the admin console").breaks(AlsoBroken::Binding),
    on(82001, Class::Dead, "no recipient is one that the application can write to", "check the user ids, and the application's visible range (可见范围) in the admin console").breaks(AlsoBroken::Binding),
    on(82002, Class::Dead, "too many departments", "report it with the error text"),
    on(82003, Class::Dead, "too many tags", "report it with the error text"),
];

#[rustfmt::skip]
pub(super) const WECOM_AGENT: &[Rule] = &[
    on(-1, RETRY, "the platform is busy", ""),
    on(60011, Class::Halt, "the secret is not that of this application", "check that WECOM_AGENTID and WECOM_SECRET are of the same application"),
];

#[rustfmt::skip]
pub(super) const WECOM_ROBOT: &[Rule] = &[
    on(-1, RETRY, "the platform is busy", "").ambiguous(),
    on(40008, Class::Dead, "unknown kind of message: a fault of this program", "report it with the error text"),
    on(40035, Class::Dead, "invalid parameters", "report it with the error text"),
    on(40058, Class::Dead, "the text is too long, or otherwise invalid", "shorten the route's fields: a robot refuses what it does not take"),
    on(44004, Class::Dead, "the text is empty", "check the route's field content"),
    on(93000, Class::Halt, "no robot has this key", "the robot was removed or the key mistyped: copy the part after key= of its webhook's address into WECOM_ROBOT_KEY"),
    on(93004, Class::Halt, "the robot is switched off", "switch it on in its group"),
    on(93008, Class::Halt, "the robot is not in the group", "add it to the group again"),
];
