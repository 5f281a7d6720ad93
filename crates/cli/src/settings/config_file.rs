//! The configuration file: what the user allows once and for all.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::mistakes::Mistakes;
use super::placed::Placed;
use super::variables::Variables;
use crate::env_vars;

/// What the configuration file says; nothing where there is none.
#[derive(Debug, Default)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    text: String,
    keys: Keys,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Keys {
    allow_stream_hosts: Vec<Spanned<String>>,
    stream_host: Option<Spanned<String>>,
    escape_char: Option<Spanned<String>>,
    keepalive: Option<Spanned<i64>>,
    silence: Option<Spanned<i64>>,
    resume_for: Option<Spanned<i64>>,
    log: Option<Spanned<String>>,
}

impl ConfigFile {
    /// Reads the file that the environment names, or else the one at the usual place, if there is one.
    pub(crate) fn read(variables: Variables<'_>, mistakes: &mut Mistakes) -> Self {
        let named = variables.path(env_vars::CONFIG);
        let is_named = named.is_some();
        let Some(path) = named.or_else(|| usual_place(variables)) else {
            return Self::default();
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            // Another user's home may be out of reach, and who has no file there has no wishes.
            Err(error) if !is_named && is_out_of_reach(error.kind()) => return Self::default(),
            Err(error) => {
                let place = if is_named {
                    env_vars::CONFIG
                } else {
                    "configuration file"
                };
                let what = format!("{} cannot be read: {error}", path.display());
                mistakes.add(place, what);
                return Self::default();
            }
        };
        Self::parse(path, text, mistakes)
    }

    pub(super) fn parse(path: PathBuf, text: String, mistakes: &mut Mistakes) -> Self {
        let keys = toml::from_str(&text).map_err(|error| {
            let place = place(&path, &text, error.span());
            mistakes.add(
                place,
                error.message().lines().collect::<Vec<_>>().join(", "),
            );
        });
        Self {
            keys: keys.unwrap_or_default(),
            path,
            text,
        }
    }

    pub(super) fn allowed_hosts(&self) -> impl Iterator<Item = Placed> {
        self.keys
            .allow_stream_hosts
            .iter()
            .map(|host| self.placed("allow-stream-hosts", host))
    }

    pub(super) fn stream_host(&self) -> Option<Placed> {
        let host = self.keys.stream_host.as_ref()?;
        Some(self.placed("stream-host", host))
    }

    pub(super) fn escape_char(&self) -> Option<Placed> {
        let escape = self.keys.escape_char.as_ref()?;
        Some(self.placed("escape-char", escape))
    }

    pub(super) fn keepalive(&self) -> Option<Placed> {
        let seconds = self.keys.keepalive.as_ref()?;
        Some(self.placed("keepalive", seconds))
    }

    pub(super) fn silence(&self) -> Option<Placed> {
        let seconds = self.keys.silence.as_ref()?;
        Some(self.placed("silence", seconds))
    }

    pub(super) fn resume_for(&self) -> Option<Placed> {
        let seconds = self.keys.resume_for.as_ref()?;
        Some(self.placed("resume-for", seconds))
    }

    pub(super) fn log(&self) -> Option<Placed> {
        let level = self.keys.log.as_ref()?;
        Some(self.placed("log", level))
    }

    fn placed(&self, key: &str, value: &Spanned<impl ToString>) -> Placed {
        Placed {
            place: format!(
                "{}, {key}",
                place(&self.path, &self.text, Some(value.span()))
            ),
            value: value.get_ref().to_string(),
        }
    }
}

fn is_out_of_reach(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::NotADirectory;
    use io::ErrorKind::NotFound;
    use io::ErrorKind::PermissionDenied;

    matches!(kind, NotFound | NotADirectory | PermissionDenied)
}

/// The file and the line, from 1.
fn place(path: &Path, text: &str, span: Option<Range<usize>>) -> String {
    let Some(before) = span.and_then(|span| text.get(..span.start)) else {
        return path.display().to_string();
    };
    let line = 1 + before.matches('\n').count();
    format!("{} line {line}", path.display())
}

fn usual_place(variables: Variables<'_>) -> Option<PathBuf> {
    let directory = if cfg!(windows) {
        variables.path("APPDATA")?
    } else {
        // A relative one is to be ignored, says the XDG base directory specification.
        variables
            .path("XDG_CONFIG_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| Some(variables.path("HOME")?.join(".config")))?
    };
    Some(directory.join("session-manager-plugin").join("config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ConfigFile, String> {
        let mut mistakes = Mistakes::default();
        let file = ConfigFile::parse("/c.toml".into(), text.to_owned(), &mut mistakes);
        if mistakes.is_empty() {
            Ok(file)
        } else {
            Err(mistakes.sentence())
        }
    }

    #[test]
    fn values_come_with_their_lines() {
        let file =
            parse("# hosts\nallow-stream-hosts = [\n  'a',\n  'b.c',\n]\nstream-host = 'd:1'\n")
                .unwrap();
        let hosts: Vec<_> = file
            .allowed_hosts()
            .map(|host| (host.value, host.place))
            .collect();
        let place = |line| format!("/c.toml line {line}, allow-stream-hosts");
        assert_eq!(
            hosts,
            [("a".to_owned(), place(3)), ("b.c".to_owned(), place(4))]
        );
        let host = file.stream_host().unwrap();
        assert_eq!(
            (host.value.as_str(), host.place.as_str()),
            ("d:1", "/c.toml line 6, stream-host")
        );
    }

    #[test]
    fn an_empty_file_says_nothing() {
        let file = parse("").unwrap();
        assert_eq!(file.allowed_hosts().count(), 0);
        assert_eq!(file.stream_host(), None);
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_named_with_their_line() {
        let error = parse("\nallow_stream_hosts = ['x']\n").unwrap_err();
        assert!(
            error.starts_with("/c.toml line 2: unknown field"),
            "{error}"
        );
        assert!(error.contains("allow_stream_hosts"), "{error}");
        let error = parse("stream-host = 'x'\n\nallow-stream-hosts = 'x'\n").unwrap_err();
        assert!(error.starts_with("/c.toml line 3: "), "{error}");
        let error = parse("stream-host = \n").unwrap_err();
        assert!(error.starts_with("/c.toml line 1: "), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_where_the_environment_says() {
        let place = |set: &[(&str, &str)]| {
            let look_up = |name: &str| {
                let (_, value) = set.iter().find(|(set, _)| *set == name)?;
                Some(value.into())
            };
            usual_place(Variables::new(&look_up))
        };
        let file = |directory: &str| {
            Some(PathBuf::from(directory).join("session-manager-plugin/config.toml"))
        };
        assert_eq!(place(&[("HOME", "/h")]), file("/h/.config"));
        let both = [("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")];
        assert_eq!(place(&both), file("/x"));
        let relative = [("HOME", "/h"), ("XDG_CONFIG_HOME", "x")];
        assert_eq!(place(&relative), file("/h/.config"));
        assert_eq!(place(&[]), None);
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("none");
        let look_up = |name: &str| (name == env_vars::CONFIG).then(|| path.clone().into());
        let mut mistakes = Mistakes::default();
        ConfigFile::read(Variables::new(&look_up), &mut mistakes);
        let text = mistakes.sentence();
        assert!(text.starts_with("SSM_SESSION_CONFIG: "), "{text}");
        assert!(text.contains(&path.display().to_string()), "{text}");
    }
}
