//! Open pages: WebSockets as browsers have them.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Map, Value, json};
use shared::clock::{Clock, SystemClock};
use shared::domain::ChannelSet;
use shared::notification::{Kind, Notice, Reach, Terms, notify};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{Session, TestApi, TestDatabase};

/// How long a socket may be silent before the test calls it broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// One open page.
pub struct TestSocket {
    stream: WebSocketStream<TcpStream>,
}

/// What comes on a socket.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// A message.
    Message(Value),
    /// The server closed it with this code.
    Closed(u16),
}

impl TestApi {
    /// Opens a page of somebody; the count it is greeted with is in the answer.
    pub async fn page(&self, of: &Session) -> (TestSocket, i64) {
        let mut socket = self.socket(of).await;
        let count = socket.count().await;
        (socket, count)
    }

    /// Opens a socket of somebody, who has heard nothing yet.
    pub async fn socket(&self, of: &Session) -> TestSocket {
        let offer = format!("yizhan.jwt, {}", of.token);
        self.try_socket(&offer).await.unwrap()
    }

    /// The same, with these sub-protocols; the status if it is refused.
    pub async fn try_socket(&self, protocols: &str) -> Result<TestSocket, u16> {
        self.try_socket_at("/api/notifications/ws", protocols, 0)
            .await
    }

    /// The same, with so few bytes for what was not read yet; 0 for as many as usual.
    pub async fn try_socket_at(
        &self,
        path: &str,
        protocols: &str,
        buffer_bytes: u32,
    ) -> Result<TestSocket, u16> {
        let url = format!("{}{path}", self.url().replace("http://", "ws://"));
        let mut request = url.into_client_request().unwrap();
        if !protocols.is_empty() {
            request
                .headers_mut()
                .insert("sec-websocket-protocol", protocols.parse().unwrap());
        }
        let socket = TcpSocket::new_v4().unwrap();
        if buffer_bytes > 0 {
            socket.set_recv_buffer_size(buffer_bytes).unwrap();
        }
        let address = self.url().replace("http://", "").parse().unwrap();
        let connection = socket.connect(address).await.unwrap();
        match client_async(request, connection).await {
            Ok((stream, answer)) => {
                let taken = answer.headers().get("sec-websocket-protocol");
                let offered = protocols.split(',').next().unwrap_or_default();
                assert_eq!(
                    taken.map_or("", |name| name.to_str().unwrap()),
                    offered,
                    "the server takes the name, and never repeats the secret"
                );
                Ok(TestSocket { stream })
            }
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }
}

impl TestSocket {
    /// What comes next.
    pub async fn next(&mut self) -> Said {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.stream.next()).await;
            match next.expect("nothing comes") {
                Some(Ok(Message::Text(text))) => {
                    return Said::Message(serde_json::from_str(&text).unwrap());
                }
                Some(Ok(Message::Close(reason))) => {
                    return Said::Closed(reason.map_or(1005, |reason| reason.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => panic!("{error}"),
                None => return Said::Closed(1006),
            }
        }
    }

    /// The next message.
    pub async fn message(&mut self) -> Value {
        match self.next().await {
            Said::Message(message) => message,
            Said::Closed(code) => panic!("closed with {code}"),
        }
    }

    /// The next message, which must be a count.
    pub async fn count(&mut self) -> i64 {
        let message = self.message().await;
        assert_eq!(message["type"], "unreadCount", "{message}");
        message["count"].as_i64().unwrap()
    }

    /// The next word to load the list anew; what comes before it is passed over.
    pub async fn refresh(&mut self) -> Value {
        loop {
            let message = self.message().await;
            if message["type"] == "refresh" {
                return message;
            }
        }
    }

    /// The next entry; counts before it are passed over.
    pub async fn entry(&mut self) -> Value {
        loop {
            let message = self.message().await;
            match message["type"].as_str() {
                Some("notification") => return message,
                Some("unreadCount") => {}
                _ => panic!("{message}"),
            }
        }
    }

    /// The code it is closed with; messages before that are passed over.
    pub async fn closed(&mut self) -> u16 {
        loop {
            if let Said::Closed(code) = self.next().await {
                return code;
            }
        }
    }

    pub async fn say(&mut self, message: &Value) {
        self.send(Message::text(message.to_string())).await;
    }

    pub async fn send(&mut self, message: Message) {
        self.stream.send(message).await.unwrap();
    }

    /// Asks for what came after an entry.
    pub async fn since(&mut self, entry: &Value) {
        self.say(&json!({ "type": "since", "id": entry["id"] }))
            .await;
    }

    /// Sends while it listens; what comes of the sending does not matter.
    pub async fn send_and_listen_for_the_end(self, message: Message) -> u16 {
        let (mut sender, mut receiver) = self.stream.split();
        let sending = tokio::spawn(async move { drop(sender.send(message).await) });
        let mut code = 1006;
        while let Some(Ok(message)) = receiver.next().await {
            if let Message::Close(reason) = message {
                code = reason.map_or(1005, |reason| reason.code.into());
                break;
            }
        }
        sending.abort();
        code
    }
}

/// Something told to somebody, about a customer of this name.
pub fn notice(to: &Session, customer: &str) -> Notice {
    let mut data = Map::new();
    data.insert("customerName".to_owned(), json!(customer));
    Notice {
        kind: Kind::CustomerAssigned,
        recipients: vec![to.id.parse().unwrap()],
        data,
        subject: None,
        reach: Reach::InboxOnly,
        terms: Terms::default(),
        request_id: None,
    }
}

impl TestDatabase {
    /// Tells somebody something, about a customer of this name, without any API.
    pub async fn tell(&self, to: &Session, customer: &str) {
        let notice = notice(to, customer);
        let now = SystemClock.now();
        self.write(move |transaction| notify(transaction, &notice, ChannelSet::default(), now))
            .await;
    }
}
