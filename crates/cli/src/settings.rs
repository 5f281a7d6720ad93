//! Arguments and environment, read once and turned into what is to be done.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::io;
use std::io::BufRead;

use clap::Parser as _;
use ssm_session_proto::CLIENT_VERSION;

use crate::args::Args;
use crate::args::Command;
use crate::compat;
use crate::env_vars;
use crate::logging::LogSettings;
use crate::session::SessionSettings;

mod behaviour;
pub(crate) mod checks;
mod config_file;
mod connect;
#[cfg(test)]
mod hostile;
mod log;
mod mistakes;
mod network;
mod placed;
mod ssh;
mod variables;

pub(crate) use behaviour::Behaviour;
pub(crate) use config_file::ConfigFile;
pub(crate) use mistakes::Mistakes;
pub(crate) use network::Network;
pub(crate) use network::refusal;
pub(crate) use ssh::SshSettings;
pub(crate) use variables::Variables;

/// What the program is to do.
#[derive(Debug)]
pub(crate) enum Task {
    /// Print this on standard output.
    Print(String),
    /// Say what is wrong with the arguments.
    Refuse(String),
    /// Print help, or what clap found wrong with the arguments.
    Usage(clap::Error),
    /// Run a session as AWS's plugin does.
    DropIn(Box<SessionTask<SessionSettings>>),
    /// Run a session in our own manner.
    Connect(Box<SessionTask<SessionSettings>>),
    /// Start a session and run it in our own manner.
    Ssh(Box<SessionTask<SshSettings>>),
}

impl Task {
    /// What this program is used as, in a word.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Print(_) | Self::Refuse(_) | Self::Usage(_) => "a text",
            Self::DropIn(_) => "drop-in",
            Self::Connect(_) => "connect",
            Self::Ssh(_) => "ssh",
        }
    }
}

/// A session to run, and where its log goes.
#[derive(Debug)]
pub(crate) struct SessionTask<S> {
    pub session: S,
    pub log: LogSettings,
}

/// Reads this process's arguments and environment.
///
/// Variables with secrets are removed from the environment, so that no child gets them. Call this before any thread
/// has been started.
pub(crate) fn read() -> Task {
    let mut words = std::env::args_os();
    let program = words.next().unwrap_or_else(|| PROGRAM.into());
    let words: Vec<OsString> = words.collect();
    let environment = Environment::take(&words);
    let variables = Variables::new(&|name| std::env::var_os(name));
    task(
        program,
        words,
        environment,
        variables,
        &mut io::stdin().lock(),
    )
}

/// What of the environment is read before anything else.
#[derive(Debug, Default)]
struct Environment {
    response: Option<OsString>,
    token: Option<OsString>,
}

impl Environment {
    fn take(words: &[OsString]) -> Self {
        let response = compat::response_variable(words)
            .unwrap_or_else(|| OsStr::new(env_vars::START_SESSION_RESPONSE));
        Self {
            response: take_variable(response),
            token: take_variable(OsStr::new(env_vars::TOKEN)),
        }
    }
}

/// Reads and removes a variable.
fn take_variable(name: &OsStr) -> Option<OsString> {
    // The first word of the command line may be anything; names with an equals sign do not exist.
    if name.as_encoded_bytes().contains(&b'=') {
        return None;
    }
    let value = std::env::var_os(name)?;
    #[expect(unsafe_code, reason = "a child process must not inherit the token")]
    // SAFETY: `read` runs at the start of `main`, before any other thread exists that could read the environment.
    unsafe {
        std::env::remove_var(name);
    }
    Some(value)
}

fn task(
    program: OsString,
    words: Vec<OsString>,
    environment: Environment,
    variables: Variables<'_>,
    stdin: &mut dyn BufRead,
) -> Task {
    if compat::is_drop_in(&words) {
        return match compat::read(&words, environment.response, variables) {
            compat::Call::Text(text) => Task::Print(text),
            compat::Call::Start(session) => {
                let log = |file: &_, mistakes: &mut _| log::of_drop_in(variables, file, mistakes);
                match with_log(*session, variables, log) {
                    Ok(task) => Task::DropIn(Box::new(task)),
                    Err(mistakes) => Task::Print(compat::cannot_start(&mistakes.sentence())),
                }
            }
        };
    }
    if compat::is_long_version(&words) {
        return Task::Print(long_version());
    }
    let args = match Args::try_parse_from(std::iter::once(program).chain(words)) {
        Ok(args) => args,
        Err(error) => return Task::Usage(error),
    };
    let log = |file: &_, mistakes: &mut _| log::of_command(&args.log, variables, file, mistakes);
    match args.command {
        Command::Version => Task::Print(long_version()),
        Command::Connect(connect) => {
            let (response, token) = (environment.response, environment.token);
            match connect::resolve(*connect, response, token, variables, stdin)
                .and_then(|session| with_log(session, variables, log))
            {
                Ok(task) => Task::Connect(Box::new(task)),
                Err(mistakes) => Task::Refuse(mistakes.list("connect")),
            }
        }
        Command::Ssh(ssh) => {
            match ssh::resolve(*ssh, variables)
                .and_then(|session| with_log(session, variables, log))
            {
                Ok(task) => Task::Ssh(Box::new(task)),
                Err(mistakes) => Task::Refuse(mistakes.list("ssh")),
            }
        }
    }
}

/// A session that can be run, and its log.
fn with_log<S>(
    session: S,
    variables: Variables<'_>,
    log: impl FnOnce(&ConfigFile, &mut Mistakes) -> LogSettings,
) -> Result<SessionTask<S>, Mistakes> {
    let mut mistakes = Mistakes::default();
    let file = ConfigFile::read(variables, &mut mistakes);
    let log = log(&file, &mut mistakes);
    if mistakes.is_empty() {
        Ok(SessionTask { session, log })
    } else {
        Err(mistakes)
    }
}

fn long_version() -> String {
    format!(
        "{PROGRAM} {}\nreported to AWS and its tools: {CLIENT_VERSION}\n",
        env!("CARGO_PKG_VERSION")
    )
}

const PROGRAM: &str = env!("CARGO_PKG_NAME");

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::LevelFilter;

    use super::*;
    use crate::logging::Destination;

    const RESPONSE: &str =
        r#"{"SessionId":"s-1","StreamUrl":"wss://localhost/x","TokenValue":"AAEAA"}"#;

    fn read(words: &[&str], environment: Environment) -> Task {
        let words = words.iter().map(OsString::from).collect();
        let variables = Variables::new(&|_| None);
        task(
            PROGRAM.into(),
            words,
            environment,
            variables,
            &mut io::empty(),
        )
    }

    #[test]
    fn the_long_version_is_ours_and_the_short_one_the_plugins() {
        for words in [
            &["--version", "--verbose"][..],
            &["--version", "-v"],
            &["version"],
        ] {
            let Task::Print(text) = read(words, Environment::default()) else {
                panic!("{words:?}")
            };
            assert!(text.starts_with(concat!(
                "session-manager-plugin ",
                env!("CARGO_PKG_VERSION")
            )));
        }
        let Task::Print(text) = read(&["--version"], Environment::default()) else {
            panic!("nothing to print")
        };
        assert_eq!(text, "1.2.764.0\n");
    }

    #[test]
    fn log_options_are_taken_on_either_side_of_the_command() {
        for words in [
            &["-vv", "--log-file", "log", "connect", RESPONSE][..],
            &["connect", RESPONSE, "-vv", "--log-file", "log"],
        ] {
            let Task::Connect(task) = read(words, Environment::default()) else {
                panic!("{words:?}")
            };
            assert_eq!(task.log.level, LevelFilter::TRACE);
            let file = Destination::File("log".into());
            assert_eq!(task.log.destination, Some(file));
        }
    }

    #[test]
    fn no_debug_output_holds_the_token() {
        let task = read(&["connect", RESPONSE], Environment::default());
        assert!(matches!(task, Task::Connect(_)));
        assert!(!format!("{task:?}").contains("AAEAA"));
    }
}
