//! A request to a platform, read without any demand on its Content-Type.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::web::{Bytes, Query};
use serde_json::{Map, Value};

use crate::api::Api;
use crate::clock::Timestamp;
use crate::fault::Subject;
use crate::in_flight::Recipient;
use crate::refusal::Refusal;
use crate::trace::Trace;

/// One call of an endpoint.
pub(crate) struct Call {
    pub(crate) api: Api,
    pub(crate) method: Method,
    pub(crate) address: IpAddr,
    query: HashMap<String, String>,
    body: Bytes,
    content: Content,
    recipient: Option<Arc<str>>,
    template_id: Option<String>,
}

enum Content {
    Empty,
    Malformed,
    Json(Value),
}

impl Call {
    /// Reads a request; `None` when its path is no endpoint.
    pub(crate) fn read(request: &HttpRequest, body: Bytes) -> Option<Self> {
        let api = Api::of_path(request.path())?;
        let mut query = pairs(request.query_string());
        if api == Api::Token && request.method() == Method::POST {
            for (key, value) in pairs(std::str::from_utf8(&body).unwrap_or_default()) {
                query.entry(key).or_insert(value);
            }
        }
        let content = if body.is_empty() {
            Content::Empty
        } else {
            serde_json::from_slice(&body).map_or(Content::Malformed, Content::Json)
        };
        let address = address_of(request);
        let mut call = Self {
            api,
            method: request.method().clone(),
            address,
            query,
            body,
            content,
            recipient: None,
            template_id: None,
        };
        call.recipient = call.find_recipient();
        call.template_id = call.text_field("template_id").map(str::to_owned);
        Some(call)
    }

    /// A query parameter that is there and not empty.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// A non-empty text in the JSON object of the body.
    pub(crate) fn text_field(&self, name: &str) -> Option<&str> {
        let Content::Json(body) = &self.content else {
            return None;
        };
        body.get(name)
            .and_then(Value::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<&Value, Refusal> {
        match &self.content {
            Content::Empty => Err(Refusal::new(44002)),
            Content::Malformed => Err(Refusal::new(47001)),
            Content::Json(body) => Ok(body),
        }
    }

    /// The body as a JSON object.
    pub(crate) fn object(&self) -> Result<&Map<String, Value>, Refusal> {
        self.json()?.as_object().ok_or_else(|| Refusal::new(47001))
    }

    /// The JSON object of the body, if it is one.
    pub(crate) fn fields(&self) -> Option<&Map<String, Value>> {
        match &self.content {
            Content::Json(body) => body.as_object(),
            Content::Empty | Content::Malformed => None,
        }
    }

    /// The body as it came.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Moves the body out, once nobody needs it here any more.
    pub(crate) fn take_json(&mut self) -> Value {
        match std::mem::replace(&mut self.content, Content::Empty) {
            Content::Json(body) => body,
            Content::Empty | Content::Malformed => Value::Null,
        }
    }

    /// The recipient the request names.
    pub(crate) fn recipient(&self) -> Option<Recipient> {
        self.recipient
            .as_ref()
            .map(|recipient| (self.api, Arc::clone(recipient)))
    }

    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            api: self.api,
            recipient: self.recipient.as_deref(),
            template_id: self.template_id.as_deref(),
            body: &self.body,
        }
    }

    pub(crate) fn trace(&self, now: Timestamp) -> Trace {
        Trace {
            platform: self.api.platform(),
            address: self.address,
            now,
        }
    }

    fn find_recipient(&self) -> Option<Arc<str>> {
        match self.api {
            Api::SubscribeSend | Api::WecomSend => self.text_field("touser").map(Arc::from),
            Api::CloudFunction => {
                let Content::Json(body) = &self.content else {
                    return None;
                };
                body.pointer("/notificationData/openid")
                    .and_then(Value::as_str)
                    .map(Arc::from)
            }
            // A robot's group is known by the robot's key alone.
            Api::WecomRobot | Api::WecomUpload => self.parameter("key").map(Arc::from),
            Api::Token
            | Api::StableToken
            | Api::CodeToSession
            | Api::GetTemplate
            | Api::QuotaGet
            | Api::ClearQuota
            | Api::WecomToken
            | Api::WecomAgent
            | Api::WecomUser
            | Api::WecomAddresses => None,
        }
    }
}

/// The address a request came from.
pub(crate) fn address_of(request: &HttpRequest) -> IpAddr {
    request
        .peer_addr()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}

fn pairs(text: &str) -> HashMap<String, String> {
    Query::<HashMap<String, String>>::from_query(text)
        .map(Query::into_inner)
        .unwrap_or_default()
}
