use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use outbox_relay::Relay;
use outbox_relay::relay::Until;
use shared::command_line::settings_from_flags;
use wechat_sandbox::{
    DEMO_APPID, DEMO_ENVIRONMENT, DEMO_SECRET, QuotaMode, Sandbox, SandboxConfig, SandboxControl,
};

use crate::demo;

/// Both services and the sandbox, running.
pub(crate) struct Pair {
    api: crm_api::Server,
    relay: Relay,
    sandbox: Sandbox,
    relay_address: SocketAddr,
}

impl Pair {
    /// Starts the sandbox, then the API (which brings the database up to date), then the relay.
    pub(crate) async fn start(port: u16, data: &Path) -> anyhow::Result<Self> {
        let api_listener = bind(port, port)?;
        let relay_address = bind(port + 1, port)?.local_addr()?;
        let sandbox_listener = bind(port + 2, port)?;
        fs::create_dir_all(data)
            .with_context(|| format!("cannot create the folder {}", data.display()))?;
        let database_url = format!("sqlite:{}", data.join("yizhan.db").display());

        let mut config = SandboxConfig::default();
        config.apps[0].quota = QuotaMode::Unlimited;
        let sandbox = wechat_sandbox::start(config, sandbox_listener).await?;

        let mut api = crm_api::Config::new(database_url.parse()?, signing_secret(data)?.into());
        api.admin_password = Some(demo::PASSWORD.into());
        api.wechat_appid = Some(DEMO_APPID.to_owned());
        api.wechat_cloud_env = Some(DEMO_ENVIRONMENT.to_owned());
        let api = crm_api::Server::start(api, api_listener).await?;

        let relay = settings_from_flags::<outbox_relay::Config>([
            "--database-url",
            &database_url,
            "--wechat-api-url",
            &sandbox.base_url(),
            "--wechat-appid",
            DEMO_APPID,
            "--wechat-secret",
            DEMO_SECRET,
            "--wechat-cloud-env",
            DEMO_ENVIRONMENT,
            "--poll-interval",
            "100ms",
            "--listen",
            &relay_address.to_string(),
        ])?;
        let relay = Relay::start(relay, Until::Stopped).await?;
        Ok(Self {
            api,
            relay,
            sandbox,
            relay_address,
        })
    }

    pub(crate) fn api_url(&self) -> String {
        format!("http://{}", self.api.address)
    }

    pub(crate) fn relay_url(&self) -> String {
        format!("http://{}", self.relay_address)
    }

    pub(crate) fn sandbox_url(&self) -> String {
        self.sandbox.base_url()
    }

    pub(crate) fn sandbox(&self) -> SandboxControl {
        self.sandbox.control()
    }

    /// First what makes work, then what does it.
    pub(crate) async fn stop(self) {
        self.api.stop().await;
        self.relay.stop().await;
        self.sandbox.stop().await;
    }
}

fn bind(port: u16, first: u16) -> anyhow::Result<TcpListener> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(listener) => Ok(listener),
        Err(error) => bail!(
            "port {port} on 127.0.0.1 cannot be used ({error}); the ports {first} to {} are needed, choose others with `cargo run -- --port 9000`",
            first + 2
        ),
    }
}

/// The key that signs logins: made at the first start and kept, so that a restart logs nobody out.
fn signing_secret(data: &Path) -> anyhow::Result<String> {
    let file = data.join("jwt-secret");
    match fs::read_to_string(&file) {
        Ok(secret) => Ok(secret.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let secret: String = (0..64)
                .map(|_| char::from(rand::random_range(b'a'..=b'z')))
                .collect();
            let mut options = fs::OpenOptions::new();
            options.write(true).create_new(true).mode(0o600);
            options
                .open(&file)
                .and_then(|mut file| file.write_all(secret.as_bytes()))
                .with_context(|| format!("cannot write {}", file.display()))?;
            Ok(secret)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}
