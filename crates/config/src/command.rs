//! Flags, logs and exit codes of all commands.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use tracing::Level;

use crate::file::ConfigError;

/// Above the options that every command has, in its help.
const GLOBAL: &str = "Options of every command";

/// Flags of every command.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct CommonArgs {
    /// Configuration file [default: sysmon/config.toml in the user's configuration directory]
    #[arg(long, value_name = "FILE", global = true, help_heading = GLOBAL)]
    pub config: Option<PathBuf>,
    /// Directory for identity and state [default: sysmon/PROGRAM in the user's state directory]
    #[arg(long, value_name = "DIR", global = true, help_heading = GLOBAL)]
    pub state: Option<PathBuf>,
    /// Log more; twice for everything
    #[arg(short, long, action = clap::ArgAction::Count, global = true, help_heading = GLOBAL)]
    pub verbose: u8,
    /// Log only warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = GLOBAL)]
    pub quiet: bool,
}

impl CommonArgs {
    /// Loads the configuration from the file and the environment.
    ///
    /// # Errors
    /// The file cannot be read, or a key or value is invalid.
    pub fn load(&self) -> Result<crate::Config, ConfigError> {
        // A value that is not UTF-8 is then rejected by its key instead of being ignored.
        let env = std::env::vars_os().map(|(key, value)| {
            let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
            (text(key), text(value))
        });
        let env: Vec<(String, String)> = env.collect();
        for (variable, right) in
            crate::file::misspelt_variables(env.iter().map(|(name, _)| name.as_str()))
        {
            note(
                "warning",
                &format!("environment variable {variable} has no effect: it is called {right}"),
            );
        }
        crate::Config::load(self.config.as_deref(), env)
    }
}

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// Wrong arguments or configuration: exit code 2.
    Usage(anyhow::Error),
    /// The command could not do its work: exit code 1.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.into())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Starts logging to standard error.
pub fn init_logs(args: &CommonArgs) {
    let level = match (args.quiet, args.verbose) {
        (true, _) => Level::WARN,
        (false, 0) => Level::INFO,
        (false, 1) => Level::DEBUG,
        (false, _) => Level::TRACE,
    };
    // Libraries log only errors: their warnings are about peers, which sysmon logs itself.
    let filter = tracing_subscriber::filter::Targets::new()
        .with_default(if args.verbose > 1 {
            Level::DEBUG
        } else {
            Level::ERROR
        })
        .with_target("sysmon", level);
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()));
    // A second call, from an embedded program, changes nothing.
    let _ = tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .try_init();
}

/// An async runtime on the calling thread.
///
/// # Errors
/// The system does not provide timers or sockets.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    Ok(runtime.context("cannot start the async runtime")?)
}

/// Writes a command's result to standard output.
///
/// # Errors
/// Standard output is closed.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints a remark about a command's result on standard error.
#[expect(
    clippy::print_stderr,
    reason = "the one place that prints to standard error"
)]
pub fn note(program: &str, text: &str) {
    eprintln!("{program}: {text}");
}

/// Runs a command: its failure becomes one line on standard error and an exit code.
#[expect(
    clippy::print_stderr,
    reason = "the one place that prints to standard error"
)]
pub fn run(program: &str, body: impl FnOnce() -> Result<(), Failure>) -> ExitCode {
    let (code, error) = match body() {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(error)) => (2, error),
        Err(Failure::Failed(error)) => (1, error),
    };
    // The reader closed the pipe: `sysmon-tui query … | head`.
    let is_pipe = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    if error
        .chain()
        .filter_map(|cause| cause.downcast_ref())
        .any(is_pipe)
    {
        return ExitCode::SUCCESS;
    }
    eprintln!("{program}: {}", in_one_line(&error));
    ExitCode::from(code)
}

/// An error and its causes, without repeating causes that a message contains already.
fn in_one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if line.is_empty() {
            line = cause;
        } else if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    fn code(body: Result<(), Failure>) -> String {
        format!("{:?}", run("test", || body))
    }

    #[test]
    fn each_cause_appears_once_and_on_one_line() {
        let error = anyhow!("no\nroom").context("cannot write: no\nroom");
        assert_eq!(in_one_line(&error), "cannot write: no room");
        let error = anyhow!("no room").context("cannot write");
        assert_eq!(in_one_line(&error), "cannot write: no room");
    }

    #[test]
    fn each_outcome_has_its_exit_code() {
        let expected = |code: u8| format!("{:?}", ExitCode::from(code));
        assert_eq!(code(Ok(())), expected(0));
        assert_eq!(code(Err(anyhow!("no hub").into())), expected(1));
        assert_eq!(
            code(Err(Failure::Usage(anyhow!("no such flag")))),
            expected(2)
        );
        let wrong = crate::Config::load(Some(std::path::Path::new("/nowhere")), []).unwrap_err();
        assert_eq!(code(Err(wrong.into())), expected(2));
        let closed: anyhow::Result<()> =
            Err(io::Error::from(io::ErrorKind::BrokenPipe)).context("cannot write");
        assert_eq!(code(closed.map_err(Failure::from)), expected(0));
    }
}
