//! How a message looks on its channel: words and data in, the platform's request out.
//!
//! It is pure: no database, no network, no clock. The relay sends what is made here, and the API
//! shows it; so what an administrator sees beforehand is what a recipient gets.
//!
//! | file | what it holds |
//! |---|---|
//! | `draft` | [`Draft`]: a message and everything that its looks depend on |
//! | `preview` | [`Preview`]: the body of a request, and what of the texts is not in it |
//! | `wording` | [`Wording`]: what a WeCom message says, before it is fitted into a form |
//! | `wechat_subscribe` | [`SubscribeRequest`]: the fields of a subscribe message, each cut to its type |
//! | `wechat_cloud` | [`CloudRequest`]: the event for the cloud function |
//! | `wecom_app` | [`AppRequest`]: text, card or markdown of a WeCom application |
//! | `wecom_robot` | [`RobotRequest`]: text or markdown of a WeCom group robot |
//! | `unrenderable` | [`Unrenderable`]: why there is nothing to send |
//! | `warning` | [`Warning`]: what a recipient will not see as it was meant |

mod draft;
mod preview;
mod unrenderable;
mod warning;
mod wechat_cloud;
mod wechat_subscribe;
mod wecom_app;
mod wecom_robot;
mod wording;

use std::collections::BTreeMap;

pub use draft::{Draft, PreparedRequest};
pub use preview::{Preview, Sender};
pub use unrenderable::Unrenderable;
pub use warning::Warning;
pub use wechat_cloud::CloudRequest;
pub use wechat_subscribe::SubscribeRequest;
pub use wecom_app::AppRequest;
pub use wecom_robot::RobotRequest;
pub use wording::{WECOM_FIELDS, Wording};

/// What a test message begins with, so that nobody takes it for news.
const TEST_MARK: &str = "【测试】";

/// Template field → text, both as the route says or as the channel's default says.
type Fields = BTreeMap<String, String>;
