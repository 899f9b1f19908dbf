//! `cargo xtask COMMAND`: checks of the source tree, and the files that are generated from the code.

mod cycles;
mod dashboards;
mod docs;
mod links;
mod sizes;
mod source;
mod words;

use std::path::PathBuf;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask COMMAND [--root DIR]

  lines    count lines of Rust outside tests, by package
  files    fail on files of more than 500 lines without their tests
  cycles   fail on files that import each other in a ring
  words    fail on phrases and names that xtask/words.toml replaces
  links    fail on relative links in Markdown files that lead nowhere
  tests    fail on tests that SECURITY.md names and the source does not have
  docs     regenerate docs/reference; with --check, fail if a page is stale
  dashboards
           regenerate deploy/grafana/dashboards; with --check, fail if one is stale";

#[expect(clippy::print_stderr, reason = "the command's result")]
fn main() {
    if let Err(error) = run(std::env::args().skip(1).collect()) {
        eprintln!("{error:#}");
        std::process::exit(1);
    }
}

#[expect(clippy::print_stdout, reason = "the command's result")]
fn run(mut args: Vec<String>) -> Result<()> {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    if let Some(at) = args.iter().position(|arg| arg == "--root")
        && at + 1 < args.len()
    {
        root = PathBuf::from(args.remove(at + 1));
        args.remove(at);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let report = match args[..] {
        ["lines"] => sizes::lines(&root)?,
        ["files"] => sizes::files(&root)?,
        ["cycles"] => cycles::check(&root)?,
        ["words"] => words::check(&root)?,
        ["links"] => links::check(&root)?,
        ["tests"] => links::check_test_names(&root)?,
        ["docs"] => docs::write(&root)?,
        ["dashboards"] => dashboards::write(&root)?,
        ["dashboards", "--check"] => dashboards::check(&root)?,
        ["docs", "--check"] => docs::check(&root, &docs::built_programs(&root)?)?,
        ["help" | "--help"] => HELP.to_owned(),
        _ => bail!("{HELP}"),
    };
    println!("{report}");
    Ok(())
}
