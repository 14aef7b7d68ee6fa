//! A PostgreSQL connection that sleeps until it is notified.
//!
//! diesel reads notifications that have arrived, but cannot wait for one; asking it a thousand times
//! a second took 2 to 4 per cent of a core when measured. libpq itself can wait: on the same server,
//! with the same URL, the same TLS. This package makes the few calls that it takes, and is the only
//! one that may contain unsafe code.

use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;
use std::time::Duration;

use pq_sys::{ConnStatusType, ExecStatusType, PGconn, PGresult};

/// What the server or libpq said, or why it was not asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ListenError(String);

/// A connection of its own for `LISTEN`. Dropping it closes it.
pub struct Listener {
    /// Never null, open until dropped, and used by nobody else.
    connection: NonNull<PGconn>,
}

// SAFETY: libpq lets a connection be used from any thread, one at a time; `&mut self` sees to that.
unsafe impl Send for Listener {}

impl Listener {
    /// Connects; `url` is what libpq takes.
    ///
    /// # Errors
    /// If there is no connection, within the time that the URL sets. libpq's words may contain parts
    /// of a malformed URL.
    pub fn connect(url: &str) -> Result<Self, ListenError> {
        let url = nul_free(url)?;
        // SAFETY: a text that ends in NUL, which libpq copies.
        let opened = unsafe { pq_sys::PQconnectdb(url.as_ptr()) };
        let connection =
            NonNull::new(opened).ok_or_else(|| ListenError("out of memory".to_owned()))?;
        let listener = Self { connection };
        // SAFETY: the connection is open until `listener` is dropped.
        let status = unsafe { pq_sys::PQstatus(listener.connection.as_ptr()) };
        if status == ConnStatusType::CONNECTION_OK {
            Ok(listener)
        } else {
            Err(listener.error())
        }
    }

    /// Runs a statement without rows: `LISTEN`.
    ///
    /// # Errors
    /// What the server says.
    pub fn execute(&mut self, statement: &str) -> Result<(), ListenError> {
        self.run(statement, ExecStatusType::PGRES_COMMAND_OK)
            .map(drop)
    }

    /// The first column of the first row of a query, as text.
    ///
    /// # Errors
    /// What the server says, or that there is no such row.
    pub fn value(&mut self, query: &str) -> Result<String, ListenError> {
        let answer = self.run(query, ExecStatusType::PGRES_TUPLES_OK)?;
        let answer = answer.0.as_ptr();
        // SAFETY: the result lives until the end of the function.
        let is_there = unsafe { pq_sys::PQntuples(answer) > 0 && pq_sys::PQnfields(answer) > 0 };
        if !is_there {
            return Err(ListenError("the query has no value".to_owned()));
        }
        // SAFETY: the row and the column are there; libpq ends the value with NUL, and it lives as
        // long as the result.
        Ok(unsafe { text(pq_sys::PQgetvalue(answer, 0, 0)) })
    }

    /// Sleeps until a notification comes, at most so long. Answers whether one, or several, came.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn wait(&mut self, at_most: Duration) -> Result<bool, ListenError> {
        let already = self.take_notifications()?;
        if already || !self.sleep_until_readable(at_most)? {
            return Ok(already);
        }
        self.take_notifications()
    }

    /// False if the time is over.
    fn sleep_until_readable(&mut self, at_most: Duration) -> Result<bool, ListenError> {
        let micros = i64::try_from(at_most.as_micros()).unwrap_or(i64::MAX);
        // SAFETY: the connection is open.
        let socket = unsafe { pq_sys::PQsocket(self.connection.as_ptr()) };
        if socket < 0 {
            return Err(ListenError("the connection is closed".to_owned()));
        }
        // SAFETY: plain numbers; the socket is the connection's, which is open.
        let readable = unsafe {
            let until = pq_sys::PQgetCurrentTimeUSec().saturating_add(micros);
            pq_sys::PQsocketPoll(socket, 1, 0, until)
        };
        match readable {
            // Whoever waits looks again; a signal to the process ends a wait early as well.
            ..=0 => Ok(false),
            1.. => Ok(true),
        }
    }

    /// Reads what has arrived, without waiting.
    fn take_notifications(&mut self) -> Result<bool, ListenError> {
        let connection = self.connection.as_ptr();
        // SAFETY: the connection is open.
        if unsafe { pq_sys::PQconsumeInput(connection) } == 0 {
            return Err(self.error());
        }
        let mut any = false;
        // SAFETY: the connection is open; each notification is ours to free, once.
        while let Some(notification) = NonNull::new(unsafe { pq_sys::PQnotifies(connection) }) {
            any = true;
            // SAFETY: as above.
            unsafe { pq_sys::PQfreemem(notification.as_ptr().cast()) };
        }
        Ok(any)
    }

    fn run(&mut self, statement: &str, wanted: ExecStatusType) -> Result<Answer, ListenError> {
        let statement = nul_free(statement)?;
        // SAFETY: the connection is open, the text ends in NUL.
        let answer = unsafe { pq_sys::PQexec(self.connection.as_ptr(), statement.as_ptr()) };
        let answer = Answer(NonNull::new(answer).ok_or_else(|| self.error())?);
        // SAFETY: the result is there.
        if unsafe { pq_sys::PQresultStatus(answer.0.as_ptr()) } == wanted {
            Ok(answer)
        } else {
            Err(self.error())
        }
    }

    fn error(&self) -> ListenError {
        // SAFETY: the connection is open; the text is libpq's and is copied.
        let said = unsafe { text(pq_sys::PQerrorMessage(self.connection.as_ptr())) };
        ListenError(said.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // SAFETY: open until now, and not used afterwards.
        unsafe { pq_sys::PQfinish(self.connection.as_ptr()) };
    }
}

/// A result, freed when dropped.
struct Answer(NonNull<PGresult>);

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: there until now, and not used afterwards.
        unsafe { pq_sys::PQclear(self.0.as_ptr()) };
    }
}

fn nul_free(text: &str) -> Result<CString, ListenError> {
    CString::new(text).map_err(|_| ListenError("a text for the server has a NUL in it".to_owned()))
}

/// # Safety
/// Null, or a text that ends in NUL.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: promised by the caller.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}
