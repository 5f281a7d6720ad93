//! `ssm-emulator`: the emulator as a program.

mod command;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use clap::Subcommand;

use crate::command::serve::Serve;
use crate::command::shell::Shell;

/// Emulate the AWS side of Session Manager on this machine
///
/// Sessions open real shells and run real commands as you; no AWS account, credentials or network are needed.
#[derive(Debug, Parser)]
#[command(name = "ssm-emulator", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Log what happens to standard error
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Serve),
    Shell(Shell),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.verbose {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(io::stderr)
            .init();
    }
    let done = match arguments.command {
        Command::Serve(serve) => serve.run(),
        Command::Shell(shell) => shell.run(),
    };
    done.unwrap_or_else(|error| {
        report(&error);
        ExitCode::FAILURE
    })
}

#[expect(clippy::print_stderr, reason = "the program's own error report")]
fn report(error: &anyhow::Error) {
    eprintln!("ssm-emulator: {error:#}");
}
