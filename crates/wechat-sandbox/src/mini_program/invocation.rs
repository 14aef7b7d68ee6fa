//! `tcb/invokecloudfunction`.

use serde_json::{Value, json};

use crate::api::Api;
use crate::call::Call;
use crate::message::{Delivery, Envelope, KeptBack, Repetition, raw};
use crate::mini_program::MiniProgram;
use crate::mini_program::cloud_function::{Invocation, Missing, Notification};
use crate::refusal::Refusal;
use crate::world::Handling;

impl MiniProgram {
    pub(crate) fn cloud_function(
        &mut self,
        call: &mut Call,
        handling: &mut Handling<'_>,
    ) -> Result<String, Refusal> {
        let appid = self.authorised_app(call, handling.now)?;
        let (env, name, event) = invocation_of(call)?;
        let returned = match self.functions.invoke(&env, &name, event) {
            Err(Missing::Environment) => {
                return Err(Refusal::with_text(-501_000, "[100003] env not exists"));
            }
            Err(Missing::Function) => {
                let text = "FunctionName parameter could not be found";
                return Err(Refusal::with_text(-501_000, text));
            }
            Ok(Invocation::Threw) => return Err(Refusal::new(-504_002)),
            Ok(Invocation::TimedOut(after)) => {
                handling.took = after;
                return Err(Refusal::new(-504_003));
            }
            Ok(Invocation::Returned(text)) => text,
            Ok(Invocation::Notify(notification)) => self.notify(appid, notification, handling),
        };
        Ok(json!({ "errcode": 0, "errmsg": "ok", "resp_data": returned }).to_string())
    }

    /// What the demo function does: the answer is its own, not the platform's.
    fn notify(
        &mut self,
        appid: String,
        notification: Notification,
        handling: &mut Handling<'_>,
    ) -> String {
        let Notification {
            openid,
            message_id,
            data,
        } = notification;
        let Some(openid) = openid.filter(|openid| self.belongs(openid, &appid)) else {
            return json!({ "success": false, "message": "用户未绑定微信" }).to_string();
        };
        let (repeat, kept_back) = if self.functions.sent_before(message_id.as_deref()) {
            (Repetition::Repeat, Some(KeptBack::Repeat))
        } else {
            (Repetition::First, None)
        };
        let answer = json!({ "success": true, "messageId": message_id }).to_string();
        let delivery = Delivery {
            api: Api::CloudFunction,
            envelope: Envelope::MiniProgram {
                appid,
                openid,
                template_id: None,
                page: None,
                msgid: None,
                message_id,
            },
            data: raw(&data),
            repeat,
            kept_back,
        };
        handling.journal.deliver(delivery, handling.now);
        answer
    }
}

/// Environment, function and event; either from the query with the event as the body, as most
/// clients do it, or all three from the body with the event as JSON text.
fn invocation_of(call: &mut Call) -> Result<(String, String, Value), Refusal> {
    call.json()?;
    if let (Some(env), Some(name)) = (call.parameter("env"), call.parameter("name")) {
        let (env, name) = (env.to_owned(), name.to_owned());
        return Ok((env, name, call.take_json()));
    }
    let missing = || Refusal::new(40101);
    let env = call.text_field("env").ok_or_else(missing)?.to_owned();
    let name = call.text_field("name").ok_or_else(missing)?.to_owned();
    let event = call.text_field("req_data").unwrap_or("null");
    let event = serde_json::from_str(event).map_err(|_| Refusal::new(47001))?;
    Ok((env, name, event))
}
