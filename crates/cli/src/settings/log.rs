//! What is logged, and where to, from options, environment and configuration file.

use tracing_subscriber::filter::LevelFilter;

use super::config_file::ConfigFile;
use super::mistakes::Mistakes;
use super::variables::Variables;
use crate::args::LogArgs;
use crate::env_vars;
use crate::logging::Destination;
use crate::logging::LogSettings;
use crate::state_folder;

/// The log of a command of ours: options win over the environment, that wins over the configuration file.
pub(super) fn of_command(
    args: &LogArgs,
    variables: Variables<'_>,
    file: &ConfigFile,
    mistakes: &mut Mistakes,
) -> LogSettings {
    let standing = standing_level(variables, file, mistakes);
    let filter = filter(variables);
    let destination = if let Some(path) = &args.log_file {
        Some(Destination::File(path.clone()))
    } else if args.log {
        Some(state_folder(variables))
    } else if args.verbose > 0 {
        Some(Destination::StandardError)
    } else if standing.is_some() {
        Some(state_folder(variables))
    } else {
        filter.as_ref().map(|_| Destination::StandardError)
    };
    let level = match args.verbose {
        0 => standing.unwrap_or(LevelFilter::DEBUG),
        1 => LevelFilter::DEBUG,
        2.. => LevelFilter::TRACE,
    };
    LogSettings {
        destination,
        level,
        filter,
        is_told: true,
    }
}

/// The log in use as a drop-in. Standard error is taken for the remote command's, and `RUST_LOG` is often set for other
/// programs, so that a log must have been asked for by its own variables.
pub(super) fn of_drop_in(
    variables: Variables<'_>,
    file: &ConfigFile,
    mistakes: &mut Mistakes,
) -> LogSettings {
    let standing = standing_level(variables, file, mistakes);
    let named = variables.path(env_vars::LOG_FILE).map(Destination::File);
    let destination = named.or_else(|| standing.map(|_| state_folder(variables)));
    LogSettings {
        filter: filter(variables).filter(|_| destination.is_some()),
        destination,
        level: standing.unwrap_or(LevelFilter::DEBUG),
        is_told: false,
    }
}

fn state_folder(variables: Variables<'_>) -> Destination {
    Destination::StateFolder(state_folder::usual_place(variables))
}

fn filter(variables: Variables<'_>) -> Option<String> {
    variables
        .raw(env_vars::RUST_LOG)
        .filter(|filter| !filter.is_empty())
}

/// The level of the user's own log, if there is to be one without a word on the command line.
fn standing_level(
    variables: Variables<'_>,
    file: &ConfigFile,
    mistakes: &mut Mistakes,
) -> Option<LevelFilter> {
    let given = variables
        .placed(env_vars::LOG, mistakes)
        .or_else(|| file.log())?;
    let level = mistakes.keep(given.place, level(&given.value))?;
    (level != LevelFilter::OFF).then_some(level)
}

fn level(name: &str) -> Result<LevelFilter, &'static str> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "0" | "off" => LevelFilter::OFF,
        "error" => LevelFilter::ERROR,
        "warn" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "1" | "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => {
            return Err(
                "is not a level: error, warn, info, debug (or 1), trace, or off (or 0) for no log",
            );
        }
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use clap::Parser as _;

    use super::*;
    use crate::args::Args;

    /// The variables that are set, and the text of the configuration file.
    struct Given<'a>(&'a [(&'a str, &'a str)], &'a str);

    impl Given<'_> {
        fn read(
            &self,
            read: impl FnOnce(Variables<'_>, &ConfigFile, &mut Mistakes) -> LogSettings,
        ) -> Result<LogSettings, String> {
            let look_up = |name: &str| {
                let (_, value) = self.0.iter().find(|(set, _)| *set == name)?;
                Some(OsString::from(value))
            };
            let mut mistakes = Mistakes::default();
            let file = ConfigFile::parse("/c.toml".into(), self.1.to_owned(), &mut mistakes);
            let settings = read(Variables::new(&look_up), &file, &mut mistakes);
            if mistakes.is_empty() {
                Ok(settings)
            } else {
                Err(mistakes.sentence())
            }
        }

        fn drop_in(&self) -> LogSettings {
            self.read(of_drop_in).unwrap()
        }

        fn command(&self, words: &[&str]) -> LogSettings {
            let all = ["session-manager-plugin", "version"].iter().chain(words);
            let args = Args::try_parse_from(all).unwrap();
            self.read(|variables, file, mistakes| of_command(&args.log, variables, file, mistakes))
                .unwrap()
        }
    }

    const HOME: (&str, &str) = if cfg!(windows) {
        ("LOCALAPPDATA", "/h")
    } else {
        ("HOME", "/h")
    };

    fn in_home() -> Option<Destination> {
        let look_up = |name: &str| (name == HOME.0).then(|| HOME.1.into());
        let place = state_folder::usual_place(Variables::new(&look_up));
        assert!(place.is_some());
        Some(Destination::StateFolder(place))
    }

    fn file(name: &str) -> Option<Destination> {
        Some(Destination::File(PathBuf::from(name)))
    }

    #[test]
    fn a_drop_in_logs_only_when_its_own_variables_or_file_say_so() {
        let rust_log = ("RUST_LOG", "trace");
        let nothing = Given(&[rust_log, HOME], "").drop_in();
        assert_eq!((nothing.destination, nothing.filter), (None, None));
        let named = Given(&[rust_log, ("SSM_SESSION_LOG_FILE", "log")], "").drop_in();
        assert_eq!(named.destination, file("log"));
        assert_eq!(named.filter.as_deref(), Some("trace"));
        let own = Given(&[HOME, ("SSM_SESSION_LOG", "info")], "").drop_in();
        assert_eq!((own.destination, own.level), (in_home(), LevelFilter::INFO));
        let by_file = Given(&[HOME], "log = 'warn'").drop_in();
        assert_eq!(by_file.destination, in_home());
        assert_eq!(by_file.level, LevelFilter::WARN);
        assert!(!by_file.is_told);
    }

    #[test]
    fn the_environment_wins_over_the_file_and_can_switch_the_log_off() {
        let settings = Given(&[HOME, ("SSM_SESSION_LOG", "1")], "log = 'warn'").drop_in();
        assert_eq!(settings.level, LevelFilter::DEBUG);
        for off in ["0", "off", "OFF"] {
            let settings = Given(&[HOME, ("SSM_SESSION_LOG", off)], "log = 'warn'").drop_in();
            assert_eq!(settings.destination, None);
        }
    }

    #[test]
    fn options_win_over_environment_and_file() {
        let given = Given(&[HOME, ("SSM_SESSION_LOG", "info")], "");
        assert_eq!(given.command(&[]).destination, in_home());
        assert_eq!(given.command(&[]).level, LevelFilter::INFO);
        let verbose = given.command(&["-vv"]);
        assert_eq!(verbose.destination, Some(Destination::StandardError));
        assert_eq!(verbose.level, LevelFilter::TRACE);
        let both = given.command(&["-v", "--log"]);
        assert_eq!(
            (both.destination, both.level),
            (in_home(), LevelFilter::DEBUG)
        );
        let named = given.command(&["--log-file", "x"]);
        assert_eq!(named.destination, file("x"));
    }

    #[test]
    fn without_a_word_a_command_logs_only_for_rust_log() {
        assert_eq!(Given(&[HOME], "").command(&[]).destination, None);
        let settings = Given(&[HOME, ("RUST_LOG", "debug")], "").command(&[]);
        assert_eq!(settings.destination, Some(Destination::StandardError));
        assert_eq!(
            Given(&[("RUST_LOG", "")], "").command(&[]).destination,
            None
        );
    }

    #[test]
    fn a_level_that_is_none_is_named_with_its_place() {
        let error = Given(&[("SSM_SESSION_LOG", "all")], "").read(of_drop_in);
        let error = error.unwrap_err();
        assert!(
            error.starts_with("SSM_SESSION_LOG: is not a level: "),
            "{error}"
        );
        let error = Given(&[], "\nlog = 'all'").read(of_drop_in).unwrap_err();
        assert!(
            error.starts_with("/c.toml line 2, log: is not a level"),
            "{error}"
        );
    }

    #[test]
    fn where_there_is_no_home_there_is_no_place_for_the_log() {
        let settings = Given(&[("SSM_SESSION_LOG", "1")], "").drop_in();
        assert_eq!(settings.destination, Some(Destination::StateFolder(None)));
    }
}
