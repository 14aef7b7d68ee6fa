//! Answers that break off: a reset before the first byte, an end in the middle of the body.

use std::any::Any;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use actix_web::web::Bytes;
use socket2::{SockRef, Socket};

/// A second handle on the connection's socket.
///
/// The server owns the first one and closes it as soon as a body fails; with a linger time of
/// zero that close is a reset.
struct Handle(Socket);

/// Keeps a handle for every new connection.
pub(crate) fn remember(connection: &dyn Any, data: &mut Extensions) {
    if let Some(stream) = connection.downcast_ref::<TcpStream>()
        && let Ok(socket) = SockRef::from(stream).try_clone()
    {
        data.insert(Handle(socket));
    }
}

/// From here on closing the connection resets it.
pub(crate) fn reset_on_close(request: &HttpRequest) {
    if let Some(Handle(socket)) = request.conn_data::<Handle>()
        && let Err(error) = socket.set_linger(Some(Duration::ZERO))
    {
        log::warn!("a scripted reset will look like an ordinary close: {error}");
    }
}

/// A body that fails, after a first part or at once.
///
/// When it fails at once the server has not flushed the head yet, so the client gets no byte.
pub(crate) struct BrokenBody {
    first_part: Option<Bytes>,
    announced: u64,
    stage: Stage,
}

enum Stage {
    Fresh,
    /// The first part is handed over and must reach the wire before the failure.
    Flushing,
    Failing,
}

impl BrokenBody {
    pub(crate) fn at_once() -> Self {
        Self {
            first_part: None,
            announced: 1,
            stage: Stage::Failing,
        }
    }

    /// Announces the whole and sends its first half.
    pub(crate) fn half_of(whole: &str) -> Self {
        let bytes = Bytes::copy_from_slice(whole.as_bytes());
        Self {
            announced: bytes.len() as u64,
            first_part: Some(bytes.slice(..bytes.len() / 2)),
            stage: Stage::Fresh,
        }
    }
}

impl MessageBody for BrokenBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.announced)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, io::Error>>> {
        match self.stage {
            Stage::Fresh => {
                self.stage = Stage::Flushing;
                Poll::Ready(self.first_part.take().map(Ok))
            }
            Stage::Flushing => {
                // The server writes out what it has whenever a body is not ready.
                self.stage = Stage::Failing;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Stage::Failing => Poll::Ready(Some(Err(io::Error::other(
                "the answer breaks off as scripted",
            )))),
        }
    }
}
