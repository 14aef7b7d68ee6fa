//! What open sockets cost, and how soon news arrives on them.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail, ensure};
use futures_util::StreamExt;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Map, Value, json};
use shared::db::DatabaseUrl;
use shared::domain::{ChannelSet, UserId};
use shared::notification::{Kind, Notice, Reach, Terms, notify_all};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::arguments;
use crate::figures::{Durations, show_bytes, show_duration, to_float};
use crate::program::{Program, free_address};
use crate::stage::Stage;
use crate::table::{self, say};

const SECRET: &str = "a signing secret for the bench, longer than 32 bytes";

/// The most memory that 5,000 sockets may take, in bytes.
const MEMORY_MAX: u64 = 200 * 1024 * 1024;
/// The longest time from a commit to another process's socket.
const ARRIVAL_MAX: Duration = Duration::from_millis(50);

/// How long for the next message before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a socket has heard.
struct Heard {
    socket: usize,
    at: Instant,
    message: Value,
}

/// Measures and prints.
///
/// # Errors
/// If the database or the program fails, or news does not arrive.
pub async fn run(url: Option<&DatabaseUrl>, arguments: &arguments::Sockets) -> anyhow::Result<()> {
    let stage = Stage::open(url, arguments.sockets).await?;
    let address = free_address()?;
    let mut flags = vec![
        stage.program_flag(),
        format!("--listen={address}"),
        format!("--jwt-secret={SECRET}"),
        "--log=warn".to_owned(),
    ];
    flags.extend_from_slice(&arguments.api_flags);
    let mut program = Program::start("crm-api", &flags, stage.folder())?;
    program.until_ready(&address).await?;
    let before = program.usage()?;

    let (hearing, mut heard) = mpsc::unbounded_channel();
    let opened_at = Instant::now();
    for (socket, person) in stage.people().iter().enumerate() {
        let stream = open(&address, &person.id)
            .await
            .with_context(|| format!("socket {socket}: is the limit of open files high enough?"))?;
        tokio::spawn(listen(socket, stream, hearing.clone()));
    }
    for _ in 0..arguments.sockets {
        next(&mut heard, "unreadCount").await?;
    }
    let opened = opened_at.elapsed();
    let open = program.usage()?;

    let arrivals = one_by_one(&stage, &mut heard, arguments.samples).await?;
    let (committed, all_told) = all_at_once(&stage, &mut heard).await?;
    let after = program.usage()?;

    say(&stage.describe()?);
    say(&format!(
        "{} sockets in one API process, each of somebody else; {} entries written one by one by another \
         process, then one for everybody in one transaction",
        arguments.sockets, arguments.samples
    ));
    print(arguments, before.memory, open.memory, after.memory_peak);
    table::print(
        ["from the commit to the socket", "time", "limit"],
        [
            ("p50", arrivals.percentile(0.5)),
            ("p99", arrivals.percentile(0.99)),
            ("max", arrivals.percentile(1.0)),
        ]
        .map(|(name, time)| {
            [
                name.to_owned(),
                show_duration(time),
                show_duration(ARRIVAL_MAX),
            ]
        }),
    );
    say(&format!(
        "opened within {}; everybody's entry committed within {} and told to the last within {} of that",
        show_duration(opened),
        show_duration(committed),
        show_duration(all_told)
    ));
    program.stop().await
}

fn print(arguments: &arguments::Sockets, before: u64, open: u64, peak: u64) {
    let each = to_float(usize::try_from(open.saturating_sub(before)).unwrap_or(usize::MAX))
        / to_float(arguments.sockets);
    table::print(
        ["memory of the API", "", "limit"],
        [
            [
                "without sockets".to_owned(),
                show_bytes(before),
                String::new(),
            ],
            [
                "all open".to_owned(),
                show_bytes(open),
                show_bytes(MEMORY_MAX),
            ],
            [
                "for each".to_owned(),
                format!("{:.1} KiB", each / 1_024.0),
                String::new(),
            ],
            [
                "at most, with news".to_owned(),
                show_bytes(peak),
                show_bytes(MEMORY_MAX),
            ],
        ],
    );
}

async fn open(address: &str, user: &UserId) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let claims = json!({
        "sub": user, "epoch": 0, "iat": now.as_secs(), "exp": now.as_secs() + 24 * 60 * 60
    });
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = jsonwebtoken::encode(&Header::default(), &claims, &key)?;
    let mut request = format!("ws://{address}/api/notifications/ws").into_client_request()?;
    request.headers_mut().insert(
        "sec-websocket-protocol",
        format!("yizhan.jwt, {token}").parse()?,
    );
    let (stream, _) = client_async(request, TcpStream::connect(address).await?).await?;
    Ok(stream)
}

async fn listen(
    socket: usize,
    mut stream: WebSocketStream<TcpStream>,
    hearing: mpsc::UnboundedSender<Heard>,
) {
    while let Some(Ok(message)) = stream.next().await {
        let at = Instant::now();
        let Message::Text(text) = message else {
            continue;
        };
        let message = serde_json::from_str(&text).unwrap_or_default();
        if hearing
            .send(Heard {
                socket,
                at,
                message,
            })
            .is_err()
        {
            return;
        }
    }
}

/// The next message of a type; others are passed over.
async fn next(heard: &mut mpsc::UnboundedReceiver<Heard>, kind: &str) -> anyhow::Result<Heard> {
    loop {
        match timeout(PATIENCE, heard.recv()).await {
            Ok(Some(heard)) if heard.message["type"] == kind => return Ok(heard),
            Ok(Some(_)) => {}
            Ok(None) => bail!("all sockets were closed"),
            Err(_) => bail!("no {kind} within {} s", PATIENCE.as_secs()),
        }
    }
}

async fn one_by_one(
    stage: &Stage,
    heard: &mut mpsc::UnboundedReceiver<Heard>,
    samples: usize,
) -> anyhow::Result<Durations> {
    let mut took = Vec::with_capacity(samples);
    for sample in 0..samples {
        let socket = sample * 37 % stage.people().len();
        tell(stage, vec![stage.people()[socket].id.clone()]).await?;
        let committed_at = Instant::now();
        let told = next(heard, "notification").await?;
        ensure!(
            told.socket == socket,
            "news for {socket} reached {}",
            told.socket
        );
        took.push(told.at.saturating_duration_since(committed_at));
        // At odds with whatever happens at regular times.
        tokio::time::sleep(Duration::from_millis(5 + (sample as u64 * 7) % 25)).await;
    }
    Ok(Durations::new(took))
}

/// How long the commit took, and how long after it the last socket was told.
async fn all_at_once(
    stage: &Stage,
    heard: &mut mpsc::UnboundedReceiver<Heard>,
) -> anyhow::Result<(Duration, Duration)> {
    let began_at = Instant::now();
    let everybody: Vec<UserId> = stage.people().iter().map(|p| p.id.clone()).collect();
    let count = everybody.len();
    tell(stage, everybody).await?;
    let committed_at = Instant::now();
    let mut last = committed_at;
    for _ in 0..count {
        last = last.max(next(heard, "notification").await?.at);
    }
    Ok((committed_at - began_at, last - committed_at))
}

async fn tell(stage: &Stage, users: Vec<UserId>) -> anyhow::Result<()> {
    let mut data = Map::new();
    data.insert("customerName".to_owned(), json!("王女士"));
    let notice = Notice {
        kind: Kind::CustomerAssigned,
        recipients: users,
        data,
        subject: None,
        reach: Reach::InboxOnly,
        terms: Terms::default(),
        request_id: None,
    };
    let now = stage.now();
    stage
        .database()
        .write(move |transaction| notify_all(transaction, &[notice], ChannelSet::default(), now))
        .await?;
    Ok(())
}
