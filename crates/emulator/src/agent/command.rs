//! Commands without a terminal: executed directly, with no standard input (`docs/PROTOCOL.md` 7.3).

use std::io;
use std::process::Stdio;

use rustix::process::Signal;
use tokio::process::Child;

use super::process::command_on_node;

/// Executes the command that `words` say, in a process group of its own. An error is the agent's text.
pub(super) fn spawn(words: &[String], stdout: Stdio, stderr: Stdio) -> Result<Child, String> {
    let (program, arguments) = words
        .split_first()
        .expect("a command line is split into at least one word");
    let mut command = command_on_node(program);
    command.args(arguments).process_group(0);
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    command
        .spawn()
        .map_err(|error| not_executed(program, &error))
}

/// The signal that the first control character among `input` asks for.
pub(super) fn control_signal(input: &[u8]) -> Option<Signal> {
    input.iter().find_map(|byte| match byte {
        0x03 => Some(Signal::INT),
        0x1c => Some(Signal::QUIT),
        _ => None,
    })
}

/// In the words of the agent's runtime, which users know from real nodes.
fn not_executed(program: &str, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound && !program.contains('/') {
        return format!("exec: \"{program}\": executable file not found in $PATH");
    }
    format!("fork/exec {program}: {}", reason(error))
}

/// The system's text for `error`, as Go writes it: in lower case and without its number.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_control_character_counts_and_other_input_does_not() {
        assert_eq!(control_signal(b"ls\r"), None);
        assert_eq!(control_signal(b""), None);
        assert_eq!(control_signal(b"q\x03\x1c"), Some(Signal::INT));
        assert_eq!(control_signal(b"\x1c\x03"), Some(Signal::QUIT));
    }

    #[tokio::test]
    async fn what_cannot_be_executed_is_explained_in_the_agents_words() {
        let error =
            |program: &str| spawn(&[program.to_owned()], Stdio::null(), Stdio::null()).unwrap_err();
        assert_eq!(
            error("/nowhere/at/all"),
            "fork/exec /nowhere/at/all: no such file or directory"
        );
        assert_eq!(error("/"), "fork/exec /: permission denied");
        assert_eq!(
            error("no-such-program"),
            "exec: \"no-such-program\": executable file not found in $PATH"
        );
    }
}
