//! What an error of PostgreSQL means: to come back later, or that somebody has to act.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::EngineError;

/// A connection that failed or was lost.
pub(super) fn lost(address: &str, error: &Error) -> EngineError {
    match error.code() {
        Some(_) => refused(address, error),
        None => unavailable(address, &told(error)),
    }
}

pub(super) fn unavailable(address: &str, reason: &str) -> EngineError {
    EngineError::unavailable(format!("cannot write to {address}: {reason}"))
}

pub(super) fn timed_out(address: &str) -> EngineError {
    unavailable(address, "no answer within 30 s")
}

/// What the server answered.
pub(super) fn refused(address: &str, error: &Error) -> EngineError {
    let told = told(error);
    let Some(code) = error.code() else {
        return unavailable(address, &told);
    };
    let hint = match code.code() {
        code if code == SqlState::UNIQUE_VIOLATION.code() => {
            "these rows are there already: only one destination of a hub can write to a database"
        }
        code if code.starts_with("28") => "check user and password",
        "42501" => "the user needs the privilege CREATE on the database, or on the schema sysmon",
        code if code.starts_with("42") || code.starts_with("3F") => {
            "the schema sysmon was changed by hand: restore it, or rename it to start anew"
        }
        code if code.starts_with("3D") => "create the database first",
        code if code.starts_with("0A") || code.starts_with("22") || code.starts_with("23") => {
            "the schema sysmon is not as this hub made it"
        }
        code if code == SqlState::DISK_FULL.code() => {
            let told = format!("{told}; free space on its disk: what is missing is sent then");
            return unavailable(address, &told);
        }
        // Too few resources, a shutdown, a deadlock or a time-out.
        _ => return unavailable(address, &told),
    };
    EngineError::Misconfigured(format!("{address} refuses rows: {told}; {hint}"))
}

/// The error and what caused it. Neither the address nor the values of rows are in it.
pub(crate) fn told(error: &Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("{} ({})", error.message(), error.code().code());
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
