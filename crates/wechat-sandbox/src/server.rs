//! Starting and stopping the HTTP server.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::KeepAlive;
use actix_web::web::{self, Data, PayloadConfig};
use actix_web::{App, HttpServer};
use anyhow::Context;
use tokio::task::JoinHandle;

use crate::config::SandboxConfig;
use crate::control::SandboxControl;
use crate::{answer, connection, control_route, page};

/// Largest request body. The platform's own limit is far below.
const MOST_BODY_BYTES: usize = 10 * 1024 * 1024;
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// A running sandbox. It stops when it is stopped or dropped.
#[derive(Debug)]
pub struct Sandbox {
    /// Where it listens.
    pub address: SocketAddr,
    control: SandboxControl,
    handle: ServerHandle,
    server: Option<JoinHandle<std::io::Result<()>>>,
}

/// Starts a sandbox on a bound listener. Must be called inside a tokio runtime; the server has
/// threads of its own beside it.
///
/// # Errors
/// When the configuration contradicts itself or the listener cannot be used.
pub async fn start(config: SandboxConfig, listener: TcpListener) -> anyhow::Result<Sandbox> {
    let address = listener
        .local_addr()
        .context("the listener has no address")?;
    let workers = config.workers;
    let control = SandboxControl::new(config).map_err(anyhow::Error::msg)?;
    let shared = Data::new(control.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::clone(&shared))
            .app_data(PayloadConfig::new(MOST_BODY_BYTES))
            .route("/", web::get().to(page::index))
            .route("/events", web::get().to(page::events))
            .configure(control_route::routes)
            .default_service(web::route().to(answer::answer))
    })
    .workers(workers)
    .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
    // A client that goes away ends its request, a hanging one too.
    .h1_allow_half_closed(false)
    .on_connect(connection::remember)
    .disable_signals()
    .listen(listener)
    .context("the listener cannot be used")?
    .run();
    let handle = server.handle();
    Ok(Sandbox {
        address,
        control,
        handle,
        server: Some(tokio::spawn(server)),
    })
}

impl Sandbox {
    /// `http://<address>`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The handle that scripts and reads it.
    pub fn control(&self) -> SandboxControl {
        self.control.clone()
    }

    /// Stops it at once; open requests, hanging ones too, are cut off.
    pub async fn stop(mut self) {
        self.handle.stop(false).await;
        if let Some(server) = self.server.take()
            && let Err(error) = server.await
        {
            log::warn!("the sandbox's server did not end well: {error}");
        }
    }

    /// Runs until the server ends by itself, which is an error, or is stopped.
    ///
    /// # Errors
    /// What ended the server.
    pub async fn wait(&mut self) -> anyhow::Result<()> {
        if let Some(server) = self.server.as_mut() {
            server.await.context("the server's task failed")??;
        }
        Ok(())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // The command goes out with the call; nobody can wait for its end here.
        drop(self.handle.stop(false));
    }
}
