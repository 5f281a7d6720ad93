//! The properties of a command document for this platform (`docs/PROTOCOL.md` 1.5, 7.3).

use serde::Deserialize;
use serde_json::Value;

/// What a document says about the command to run.
#[derive(Debug)]
pub(super) struct Properties {
    /// The command line; may be blank.
    pub(super) commands: String,
    /// How standard output and standard error are kept apart, or nothing if they are not. An error is the
    /// agent's text; it matters only to sessions without a terminal.
    pub(super) separate_output: Result<Option<Prefixes>, String>,
}

/// What is written in front of the output of each stream, at most 30 bytes each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Prefixes {
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Properties {
    /// Reads the properties of all platforms. An error is the agent's text.
    pub(super) fn parse(properties: &Value) -> Result<Self, String> {
        let wire: Wire = match properties.get(PLATFORM) {
            None | Some(Value::Null) => Wire::default(),
            Some(platform) => Wire::deserialize(platform).map_err(|error| {
                format!("Invalid format in session properties {properties};\nerror {error}")
            })?,
        };
        Ok(Self {
            separate_output: wire.prefixes(),
            commands: wire.commands,
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wire {
    commands: String,
    separate_output_stream: Value,
    std_out_separator_prefix: String,
    std_err_separator_prefix: String,
}

impl Wire {
    fn prefixes(&self) -> Result<Option<Prefixes>, String> {
        let separate = match &self.separate_output_stream {
            Value::Null => false,
            Value::Bool(separate) => *separate,
            Value::String(text) => match text.as_str() {
                "" | "false" => false,
                "true" => true,
                other => {
                    return Err(format!(
                        "fail to get separateOutPutStream property: `{other}` is neither true nor false"
                    ));
                }
            },
            other => {
                return Err(format!(
                    "fail to get separateOutPutStream property: {other} is neither true nor false"
                ));
            }
        };
        if !separate {
            return Ok(None);
        }
        let (stdout, stderr) = (
            &self.std_out_separator_prefix,
            &self.std_err_separator_prefix,
        );
        if !is_prefix(stdout) {
            return Err(format!("invalid stdoutSeparatorPrefix {stdout}"));
        }
        if !is_prefix(stderr) {
            return Err(format!("invalid stderrSeparatorPrefix {stderr}"));
        }
        Ok(Some(Prefixes {
            stdout: stdout.clone(),
            stderr: stderr.clone(),
        }))
    }
}

fn is_prefix(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"\r\n_:-".contains(&byte);
    text.len() <= LONGEST_PREFIX && text.bytes().all(allowed)
}

const LONGEST_PREFIX: usize = 30;

/// The member of the properties that speaks of this machine.
const PLATFORM: &str = if cfg!(target_os = "macos") {
    "macos"
} else {
    "linux"
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn output_is_kept_apart_by_a_boolean_or_its_name() {
        for (value, expected) in [
            (json!(true), true),
            (json!("true"), true),
            (json!(false), false),
            (json!("false"), false),
            (Value::Null, false),
        ] {
            let properties = parse(json!({"commands": "x", "separateOutputStream": value}));
            assert_eq!(properties.separate_output.unwrap().is_some(), expected);
        }
    }

    #[test]
    fn a_switch_that_is_neither_true_nor_false_is_refused() {
        for value in [json!("yes"), json!(1)] {
            let properties = parse(json!({"separateOutputStream": value}));
            let error = properties.separate_output.unwrap_err();
            assert!(
                error.starts_with("fail to get separateOutPutStream property: "),
                "{error}"
            );
        }
    }

    #[test]
    fn prefixes_are_short_and_plain() {
        let separate = |stdout: &str, stderr: &str| {
            let properties = json!({
                "separateOutputStream": true,
                "stdOutSeparatorPrefix": stdout,
                "stdErrSeparatorPrefix": stderr,
            });
            parse(properties).separate_output
        };
        let longest = "a".repeat(30);
        let prefixes = separate("OUT_1:\r\n-", &longest).unwrap().unwrap();
        assert_eq!(prefixes.stdout, "OUT_1:\r\n-");
        assert_eq!(prefixes.stderr, longest);
        let error = separate("a b", "").unwrap_err();
        assert_eq!(error, "invalid stdoutSeparatorPrefix a b");
        let error = separate("", &"b".repeat(31)).unwrap_err();
        assert_eq!(
            error,
            format!("invalid stderrSeparatorPrefix {}", "b".repeat(31))
        );
    }

    #[test]
    fn prefixes_do_not_matter_where_output_is_not_kept_apart() {
        let properties = parse(json!({"stdOutSeparatorPrefix": "a b"}));
        assert_eq!(properties.separate_output, Ok(None));
    }

    #[test]
    fn properties_of_a_wrong_shape_are_refused_and_absent_ones_are_empty() {
        assert_eq!(Properties::parse(&json!({})).unwrap().commands, "");
        let error = Properties::parse(&json!({PLATFORM: {"commands": 7}})).unwrap_err();
        assert!(
            error.starts_with("Invalid format in session properties"),
            "{error}"
        );
    }

    fn parse(platform: Value) -> Properties {
        Properties::parse(&json!({ PLATFORM: platform })).unwrap()
    }
}
