//! What may know what, from the bottom up.

use std::collections::BTreeSet;

use super::source::{Source, named_paths, names};

/// A package that must not depend on others.
pub struct PackageRule {
    pub package: &'static str,
    /// Names, or beginnings of names that end in `*`.
    pub never: &'static [&'static str],
    pub sentence: &'static str,
}

/// Which package must not know which.
pub const PACKAGES: &[PackageRule] = &[
    PackageRule {
        package: "shared",
        never: &[
            "actix*",
            "axum",
            "reqwest",
            "crm-api",
            "outbox-relay",
            "wechat",
            "wechat-sandbox",
        ],
        sentence: "shared is what both services stand on: it knows no server, no client and no service",
    },
    PackageRule {
        package: "postgres-listener",
        never: &["shared", "diesel*", "tokio", "actix*", "reqwest"],
        sentence: "postgres-listener waits for a notification and does nothing else: it alone may contain unsafe code",
    },
    PackageRule {
        package: "wechat",
        never: &[
            "shared",
            "actix*",
            "axum",
            "diesel*",
            "crm-api",
            "outbox-relay",
            "wechat-sandbox",
        ],
        sentence: "wechat is a client of the platforms: it knows no database and no server",
    },
    PackageRule {
        package: "rendering",
        never: &[
            "actix*",
            "axum",
            "diesel*",
            "reqwest",
            "tokio*",
            "chrono",
            "crm-api",
            "outbox-relay",
            "wechat-sandbox",
        ],
        sentence: "rendering is words in, a request out: it knows no database, no network and no clock",
    },
    PackageRule {
        package: "crm-api",
        never: &["outbox-relay", "wechat-sandbox"],
        sentence: "crm-api delivers nothing: a message is an outbox row, and the sandbox is for tests",
    },
    PackageRule {
        package: "outbox-relay",
        never: &["actix*", "crm-api", "wechat-sandbox"],
        sentence: "outbox-relay delivers and nothing else: no API, no sandbox",
    },
    PackageRule {
        package: "wechat-sandbox",
        never: &["shared", "wechat", "crm-api", "outbox-relay"],
        sentence: "an imitation that shares code with its client proves nothing",
    },
];

/// A folder whose files must not name certain paths.
pub struct ImportRule {
    pub folder: &'static str,
    pub never: &'static [&'static str],
    /// What is allowed although it begins like something forbidden.
    pub except: &'static [&'static str],
    pub sentence: &'static str,
}

/// Which module must not know which.
pub const IMPORTS: &[ImportRule] = &[
    ImportRule {
        folder: "crates/shared/src/domain/",
        never: &[
            "crate::db",
            "crate::outbox",
            "crate::notification",
            "crate::operation_log",
            "crate::clock",
            "tokio",
            "std::env",
            "Utc::now",
            "SystemTime",
            "Instant",
        ],
        // How a value is stored is said where the value is.
        except: &["crate::db::columns"],
        sentence: "the domain knows values and their rules: no database, no environment, no clock",
    },
    ImportRule {
        folder: "crates/shared/src/db/",
        never: &[
            "crate::outbox",
            "crate::notification",
            "crate::operation_log",
            "std::env",
        ],
        except: &[],
        sentence: "the database seam knows the domain and nothing above it",
    },
    ImportRule {
        folder: "crates/shared/src/outbox/",
        never: &[
            "crate::notification",
            "tokio",
            "std::env",
            "Utc::now",
            "SystemTime",
            "Instant",
            "SystemClock",
        ],
        except: &[],
        sentence: "the outbox takes the time as an argument, and knows no runtime, no environment and no notifications",
    },
    ImportRule {
        folder: "crates/shared/src/notification/",
        never: &[
            "tokio",
            "std::env",
            "Utc::now",
            "SystemTime",
            "Instant",
            "SystemClock",
        ],
        except: &[],
        sentence: "notifications take the time as an argument, and know no runtime and no environment",
    },
    ImportRule {
        folder: "crates/rendering/src/",
        never: &[
            "shared::db",
            "shared::clock",
            "std::env",
            "Utc::now",
            "SystemTime",
            "Instant",
            "ApiClient",
            "TokenSlot",
        ],
        except: &[],
        sentence: "rendering is words in, a request out: it knows no database, no network and no clock",
    },
    ImportRule {
        folder: "crates/",
        never: &["backoff"],
        except: &[],
        sentence: "the backoff crate is unmaintained: only shared::outbox's retry_policy may know it",
    },
];

/// Files that may name `backoff`.
const KNOWS_BACKOFF: &str = "crates/shared/src/outbox/retry_policy.rs";

/// Each forbidden package that this one depends on, with the sentence of the rule.
pub fn package_breaches(rule: &PackageRule, dependencies: &BTreeSet<String>) -> Vec<String> {
    dependencies
        .iter()
        .filter(|dependency| {
            rule.never
                .iter()
                .any(|never| match never.strip_suffix('*') {
                    Some(beginning) => dependency.starts_with(beginning),
                    None => dependency == never,
                })
        })
        .map(|dependency| {
            format!(
                "{} depends on {dependency}: {}",
                rule.package, rule.sentence
            )
        })
        .collect()
}

/// Each forbidden path that this file names, with the sentence of the rule.
pub fn import_breaches(rule: &ImportRule, source: &Source) -> Vec<String> {
    if source.path == KNOWS_BACKOFF && rule.never == ["backoff"] {
        return Vec::new();
    }
    // Tests may do what the code beside them must not.
    let text = source.text.split("#[cfg(test)]").next().unwrap_or_default();
    named_paths(text)
        .iter()
        .filter(|line| !rule.except.iter().any(|allowed| names(line, allowed)))
        .flat_map(|line| rule.never.iter().filter(|never| names(line, never)))
        .map(|never| format!("{} names {never}: {}", source.path, rule.sentence))
        .collect()
}
