//! Man pages and completions, made from a program's command line.

use std::path::PathBuf;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::Failure;

/// Commands of every program that describe its command line to a system.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum ManualCommand {
    /// Print completions for a shell
    #[command(
        after_help = "Example:\n  sysmon-tui completions bash > ~/.local/share/bash-completion/completions/sysmon-tui"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages of this program and its commands
    #[command(after_help = "Example:\n  sysmon-tui man /usr/local/share/man/man1")]
    Man {
        /// Directory for the pages
        dir: PathBuf,
    },
}

impl ManualCommand {
    /// Runs the command for the program with the command line `Args`.
    ///
    /// # Errors
    /// Standard output is closed, or the directory cannot be written.
    pub fn run<Args: CommandFactory>(&self) -> Result<(), Failure> {
        let mut command = Args::command();
        match self {
            Self::Completions { shell } => {
                let name = command.get_name().to_owned();
                let mut text = Vec::new();
                clap_complete::generate(*shell, &mut command, name, &mut text);
                crate::print(&String::from_utf8_lossy(&text))?;
            }
            Self::Man { dir } => {
                let written = std::fs::create_dir_all(dir)
                    .and_then(|()| clap_mangen::generate_to(command, dir));
                written
                    .with_context(|| format!("cannot write manual pages to {}", dir.display()))?;
            }
        }
        Ok(())
    }
}
