use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where the data is: `sqlite:<file>` or `postgres://…`.
///
/// The scheme alone decides which database is meant. (Trying one after the other would create an
/// empty file for every mistyped address.)
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(pub(super) Target);

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Target {
    Sqlite { file: PathBuf },
    Postgres { url: String },
}

/// A `DATABASE_URL` that names no database, with the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "DATABASE_URL: {problem}; write sqlite:./data/yizhan.db or postgres://user:password@host:5432/database"
)]
pub struct InvalidDatabaseUrl {
    problem: String,
}

fn invalid(problem: impl Into<String>) -> InvalidDatabaseUrl {
    InvalidDatabaseUrl {
        problem: problem.into(),
    }
}

impl DatabaseUrl {
    /// The embedded database in `file`.
    pub fn sqlite_file(file: &Path) -> Self {
        Self(Target::Sqlite {
            file: file.to_owned(),
        })
    }

    /// Whether the data is in a local file that belongs to this installation alone, so that
    /// start-up may bring the schema up to date without asking.
    pub fn is_embedded(&self) -> bool {
        matches!(self.0, Target::Sqlite { .. })
    }

    /// The file of the embedded database, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.0 {
            Target::Sqlite { file } => Some(file),
            Target::Postgres { .. } => None,
        }
    }

    /// The address with the password in it, for starting another process on the same database.
    pub fn reveal(&self) -> String {
        match &self.0 {
            Target::Sqlite { file } => format!("sqlite:{}", file.display()),
            Target::Postgres { url } => url.clone(),
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(invalid("no scheme"));
        };
        match scheme {
            "sqlite" => {
                let file = rest.strip_prefix("//").unwrap_or(rest);
                if file.is_empty() {
                    return Err(invalid("no file named after sqlite:"));
                }
                if file.starts_with(':') || file.starts_with("file:") || file.contains('?') {
                    return Err(invalid("only a plain file path may follow sqlite:"));
                }
                Ok(Self::sqlite_file(Path::new(file)))
            }
            "postgres" | "postgresql" if !rest.starts_with("//") => {
                Err(invalid(format!("{scheme}: must be followed by //")))
            }
            "postgres" | "postgresql" => {
                PostgresUrl::split(text)?.check(text)?;
                Ok(Self(Target::Postgres {
                    url: text.to_owned(),
                }))
            }
            // The scheme may be the start of a secret pasted by mistake: it is cut.
            unknown => {
                let unknown: String = unknown.chars().take(16).collect();
                Err(invalid(format!("unknown scheme {unknown:?}")))
            }
        }
    }
}

impl fmt::Display for DatabaseUrl {
    /// Without the password, and without the query, in which a password may also stand.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Target::Sqlite { file } => write!(f, "sqlite:{}", file.display()),
            Target::Postgres { url } => match PostgresUrl::split(url) {
                Ok(url) => url.fmt(f),
                Err(_) => f.write_str("postgres://…"),
            },
        }
    }
}

/// What libpq takes a URL apart into. It knows several hosts, and no fragment.
struct PostgresUrl<'text> {
    scheme: &'text str,
    user: Option<&'text str>,
    /// With their ports, separated by commas; may be empty.
    hosts: &'text str,
    /// With its slash; may be empty.
    path: &'text str,
    query: &'text str,
}

/// So that a host that is gone is noticed within seconds: nobody waits for a connection, an
/// acknowledgement or an answer on an idle connection for as long as the system would (minutes to
/// hours). Seconds, but `tcp_user_timeout` milliseconds.
const TIME_LIMITS: [(&str, u32); 6] = [
    ("connect_timeout", 5),
    ("tcp_user_timeout", 10_000),
    ("keepalives", 1),
    ("keepalives_idle", 10),
    ("keepalives_interval", 5),
    ("keepalives_count", 3),
];

/// The URL with a time limit for everything that its own query does not limit.
pub(super) fn with_time_limits(url: &str) -> String {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let given: Vec<&str> = query.split('&').filter(|part| !part.is_empty()).collect();
    let is_given = |name: &str| {
        given
            .iter()
            .any(|part| part.split_once('=').is_some_and(|(key, _)| key == name))
    };
    let added = TIME_LIMITS
        .iter()
        .filter(|(name, _)| !is_given(name))
        .map(|(name, limit)| format!("{name}={limit}"));
    let query: Vec<String> = given.iter().map(ToString::to_string).chain(added).collect();
    format!("{address}?{}", query.join("&"))
}

impl<'text> PostgresUrl<'text> {
    /// Refuses what libpq and a reader may take apart differently: with an unescaped password that
    /// is how a part of it ends up as a host, a path or a query, and in the log.
    fn split(text: &'text str) -> Result<Self, InvalidDatabaseUrl> {
        let (scheme, rest) = text.split_once("://").unwrap_or((text, ""));
        let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match before_query.find('/') {
            Some(slash) => before_query.split_at(slash),
            None => (before_query, ""),
        };
        let (user_and_password, hosts) = match authority.split_once('@') {
            Some((user_and_password, hosts)) => (Some(user_and_password), hosts),
            None => (None, authority),
        };
        if [hosts, path, query].iter().any(|part| part.contains('@')) {
            return Err(unescaped("an @ (%40) that does not end the password"));
        }
        Ok(Self {
            scheme,
            user: user_and_password.map(|both| both.split_once(':').map_or(both, |(user, _)| user)),
            hosts,
            path,
            query,
        })
    }

    fn check(&self, text: &str) -> Result<(), InvalidDatabaseUrl> {
        if text.contains('#') {
            return Err(unescaped("a # (%23)"));
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(unescaped("white space (%20)"));
        }
        if !text.split('%').skip(1).all(begins_with_an_escape) {
            return Err(unescaped("a % (%25) without two hexadecimal digits"));
        }
        if !self.hosts.split(',').all(has_a_number_for_port) {
            return Err(unescaped("a port that is no number"));
        }
        let is_setting = |part: &str| part.matches('=').count() == 1;
        if !self.query.is_empty() && !self.query.split('&').all(is_setting) {
            return Err(unescaped("a query that is not name=value&name=value"));
        }
        Ok(())
    }
}

impl fmt::Display for PostgresUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scheme,
            hosts,
            path,
            ..
        } = self;
        match self.user {
            Some(user) => write!(f, "{scheme}://{user}@{hosts}{path}"),
            None => write!(f, "{scheme}://{hosts}{path}"),
        }
    }
}

fn unescaped(what: &str) -> InvalidDatabaseUrl {
    invalid(format!("{what}: percent-encode the password"))
}

/// `after_percent` is what stands behind a percent sign.
fn begins_with_an_escape(after_percent: &str) -> bool {
    let digits = after_percent.as_bytes().get(..2);
    digits.is_some_and(|digits| digits != b"00" && digits.iter().all(u8::is_ascii_hexdigit))
}

/// `one`, `one:5432`, `one:`, `[::1]` or `[::1]:5432`.
fn has_a_number_for_port(host: &str) -> bool {
    let port = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']').map(|(_, port)| port),
        None => Some(host.find(':').map_or("", |colon| &host[colon..])),
    };
    port.is_some_and(|port| match port.strip_prefix(':') {
        Some(number) => number.is_empty() || number.parse::<u16>().is_ok(),
        None => port.is_empty(),
    })
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_alone_decides() {
        for (text, shown) in [
            ("sqlite:./data/yizhan.db", "sqlite:./data/yizhan.db"),
            ("sqlite:///var/lib/yizhan.db", "sqlite:/var/lib/yizhan.db"),
            (
                "postgres://yizhan:geheim@db:5432/yizhan?password=geheim",
                "postgres://yizhan@db:5432/yizhan",
            ),
            ("postgresql://db/yizhan", "postgresql://db/yizhan"),
            (
                "postgres://a:geheim@one:5432,two:5433/yizhan",
                "postgres://a@one:5432,two:5433/yizhan",
            ),
            (
                "postgres://a:ge%40he%2Fim%23geheim%20@[::1]:5432,[::2],one:/x",
                "postgres://a@[::1]:5432,[::2],one:/x",
            ),
            (
                "postgres://a:12:geheim@/x?host=/var/run/postgresql",
                "postgres://a@/x",
            ),
            ("postgres://db?password=geheim", "postgres://db"),
            ("postgres://%2Fvar%2Frun/x", "postgres://%2Fvar%2Frun/x"),
            ("postgres://", "postgres://"),
        ] {
            let url: DatabaseUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("geheim"));
        }
    }

    #[test]
    fn a_password_that_is_not_percent_encoded_is_refused_and_not_repeated() {
        for (text, problem) in [
            ("postgres://a:1234#geheim@db/x", "a # (%23)"),
            ("postgres://a:geheim@db/x#geheim", "a # (%23)"),
            ("postgres://a:geheim/teil@db/x", "an @ (%40)"),
            ("postgres://a:1234/geheim@db/x", "an @ (%40)"),
            ("postgres://a:ge@heim/teil@db/x", "an @ (%40)"),
            ("postgres://a:ge@heim@db/x", "an @ (%40)"),
            ("postgres://a:1234?geheim@db/x", "an @ (%40)"),
            ("postgres://a:12/34?geheim@db/x", "an @ (%40)"),
            ("postgres://db/x?password=ge@heim", "an @ (%40)"),
            ("postgres://a:geheim%zz@db/x", "a % (%25)"),
            ("postgres://a:geheim%@db/x", "a % (%25)"),
            ("postgres://a:geheim%1", "a % (%25)"),
            ("postgres://a:geheim%é@db/x", "a % (%25)"),
            ("postgres://a:geheim%00@db/x", "a % (%25)"),
            ("postgres://a:ge heim@db/x", "white space (%20)"),
            ("postgres://a:geheim@db/x\n", "white space (%20)"),
            ("postgres://a:geheim", "a port that is no number"),
            ("postgres://a:b@one:5432,two:geheim/x", "a port that is no"),
            ("postgres://a:b@one:54321234/geheim", "a port that is no"),
            ("postgres://a:b@[::1/geheim", "a port that is no number"),
            ("postgres://a:b@[::1]geheim/x", "a port that is no number"),
            ("postgres://db/x?geheim", "a query that is not name=value"),
            ("postgres://db/x?password=ge&heim", "a query that is not"),
            ("postgres://db/x?password=ge=heim", "a query that is not"),
        ] {
            let error = text.parse::<DatabaseUrl>().unwrap_err().to_string();
            assert!(error.contains(problem), "{text:?}: {error}");
            assert!(error.contains("percent-encode the password"), "{error}");
            assert!(!error.contains("heim"), "{error}");
        }
    }

    #[test]
    fn what_the_query_does_not_limit_is_limited() {
        let all = "connect_timeout=5&tcp_user_timeout=10000&keepalives=1&keepalives_idle=10\
                   &keepalives_interval=5&keepalives_count=3";
        let rest = all.replace("connect_timeout=5&", "");
        for (url, limited) in [
            ("postgres://a:b@db/x", format!("postgres://a:b@db/x?{all}")),
            ("postgres://db/x?", format!("postgres://db/x?{all}")),
            (
                "postgres://one:5432,two/x?target_session_attrs=read-write",
                format!("postgres://one:5432,two/x?target_session_attrs=read-write&{all}"),
            ),
            (
                "postgres://db?connect_timeout=60&sslmode=require&",
                format!("postgres://db?connect_timeout=60&sslmode=require&{rest}"),
            ),
            (
                "postgres://db/x?application_name=connect_timeout",
                format!("postgres://db/x?application_name=connect_timeout&{all}"),
            ),
        ] {
            assert_eq!(with_time_limits(url), limited);
        }
    }

    #[test]
    fn a_mistyped_address_is_refused_with_the_way_out() {
        for (text, problem) in [
            ("", "no scheme"),
            ("yizhan.db", "no scheme"),
            ("postgres:yizhan", "must be followed by //"),
            ("sqlite:", "no file named"),
            ("sqlite::memory:", "plain file path"),
            ("sqlite:x.db?mode=memory", "plain file path"),
            ("mysql://db/yizhan", "unknown scheme \"mysql\""),
        ] {
            let error = text.parse::<DatabaseUrl>().unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
            assert!(
                error.contains("write sqlite:./data/yizhan.db or postgres://"),
                "{error}"
            );
        }
    }
}
