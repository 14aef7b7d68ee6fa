use diesel::result::{DatabaseErrorKind, Error as DieselError};

use super::migrations::SchemaError;

/// A query or transaction that did not work. The kinds are those a caller acts on.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// No connection could be had in time, or it broke: later may work.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// A row with this unique value exists; `constraint` names what is unique: a constraint, or
    /// `table.column`.
    #[error("already exists: {constraint}")]
    Duplicate {
        /// The violated constraint, as far as the database names it.
        constraint: String,
    },
    /// The value points to a row that does not exist, or is still pointed to.
    #[error("referenced row: {0}")]
    Reference(String),
    /// A CHECK of the table refuses the row.
    #[error("refused by the constraint {0}")]
    Constraint(String),
    /// There is no such row.
    #[error("not found")]
    NotFound,
    /// The closure panicked; the transaction was rolled back.
    #[error("a database operation panicked")]
    Panicked,
    /// Anything else: a bug, or a database out of space.
    #[error("query failed: {0}")]
    Query(DieselError),
}

impl From<DieselError> for DbError {
    fn from(error: DieselError) -> Self {
        let DieselError::DatabaseError(kind, information) = &error else {
            return match error {
                DieselError::NotFound => Self::NotFound,
                DieselError::BrokenTransactionManager => {
                    Self::Unavailable("the connection broke".to_owned())
                }
                other => Self::Query(other),
            };
        };
        // One database names the constraint, the other says "… failed: table.column" (or the name).
        let named = || {
            let message = information.message();
            let said = || message.rsplit_once(": ").map_or(message, |(_, what)| what);
            information
                .constraint_name()
                .unwrap_or_else(said)
                .to_owned()
        };
        match kind {
            DatabaseErrorKind::UniqueViolation => Self::Duplicate {
                constraint: named(),
            },
            DatabaseErrorKind::ForeignKeyViolation => Self::Reference(named()),
            DatabaseErrorKind::CheckViolation => Self::Constraint(named()),
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => {
                Self::Unavailable(in_one_line(information.message()))
            }
            DatabaseErrorKind::SerializationFailure
            | DatabaseErrorKind::ReadOnlyTransaction
            | DatabaseErrorKind::NotNullViolation
            | DatabaseErrorKind::RestrictViolation
            | DatabaseErrorKind::ExclusionViolation
            | DatabaseErrorKind::Unknown
            | _ => {
                if says_the_database_is_gone(information.message()) {
                    Self::Unavailable(in_one_line(information.message()))
                } else {
                    Self::Query(error)
                }
            }
        }
    }
}

/// One driver breaks its sentences into lines; a log line must read alone.
fn in_one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Neither driver has a kind of its own for these.
fn says_the_database_is_gone(message: &str) -> bool {
    [
        "server closed the connection",
        "terminating connection",
        "no connection to the server",
        "could not receive data from server",
        "the database system is",
        "connection to server",
        "SSL connection has been closed",
        "database is locked",
        // Somebody can make room, and nothing is wrong with what was to be written.
        "disk is full",
        "No space left",
        "Disk quota exceeded",
        "File too large",
        "could not extend file",
        "disk I/O error",
        // Somebody else was in the way, and will not be for ever.
        "canceling statement",
        "deadlock detected",
    ]
    .iter()
    .any(|sign| message.contains(sign))
}

/// Why the services could not start on a database.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It cannot be reached or opened; the text says which address and why.
    #[error("{0}")]
    Unreachable(String),
    /// It can, but its schema is not the one this program was built for.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(message: &str) -> DbError {
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned())).into()
    }

    #[test]
    fn whatever_passes_by_itself_or_by_a_persons_hand_is_unavailable() {
        for message in [
            "could not extend file \"base/5/16537\": No space left on device",
            "could not extend file \"base/5/16537\": wrote only 4096 of 8192 bytes at block 9",
            "could not write to file \"pg_wal/xlogtemp.1\": Disk quota exceeded",
            "could not write block 3 of temporary file: File too large",
            "database or disk is full",
        ] {
            assert!(
                matches!(error(message), DbError::Unavailable(_)),
                "{message}"
            );
        }
        let refused = error("value too long for type character varying(5)");
        assert!(matches!(refused, DbError::Query(_)), "{refused}");
    }

    #[test]
    fn a_reason_is_one_line() {
        let error = error("server closed the connection unexpectedly\n\tThis probably means …\n");
        assert_eq!(
            error.to_string(),
            "database unavailable: server closed the connection unexpectedly This probably means …"
        );
    }
}
