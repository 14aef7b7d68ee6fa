use crate::db::{DbConnection, DbError, dialect};

/// Which writes to `members` the database itself captures, whoever makes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    missing: Vec<Write>,
}

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// A row is added.
    Insert,
    /// A row is changed.
    Update,
}

impl Write {
    const ALL: [Self; 2] = [Self::Insert, Self::Update];

    /// The trigger that captures it.
    pub fn trigger(self) -> &'static str {
        match self {
            Self::Insert => "members_inserted",
            Self::Update => "members_updated",
        }
    }
}

impl Capture {
    /// Whether such writes are captured.
    pub fn covers(&self, write: Write) -> bool {
        !self.missing.contains(&write)
    }

    /// The writes of which nobody is told if they are made by plain SQL.
    pub fn missing(&self) -> &[Write] {
        &self.missing
    }
}

/// Which triggers of `members` are there and switched on. They are missing where the migration was
/// not allowed to make them, or where somebody has taken them away since.
///
/// # Errors
/// What the database says.
pub fn capture(connection: &mut DbConnection) -> Result<Capture, DbError> {
    let active = dialect::active_member_triggers(connection)?;
    let missing = Write::ALL
        .into_iter()
        .filter(|write| !active.iter().any(|name| name == write.trigger()))
        .collect();
    Ok(Capture { missing })
}
