//! Escapes in a shell on a terminal.

use crate::playing::Playing;
use crate::stage::Stage;

pub(crate) struct Shell {
    pub(crate) playing: Playing,
    pub(crate) stage: Stage,
}

impl Shell {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(more: &[(&str, &str)]) -> Self {
        let stage = Stage::build();
        let variables = stage.variables(more);
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        Self {
            playing: Playing::start(&Stage::words(), &variables),
            stage,
        }
    }

    /// One whose remote shell runs commands. The mark is not in the echo of the command.
    pub(crate) fn ready(more: &[(&str, &str)]) -> Self {
        let mut shell = Self::start_with(more);
        shell.enter("PS1=; echo rea''dy");
        shell.playing.until("ready\r\n");
        shell
    }

    pub(crate) fn enter(&mut self, line: &str) {
        self.playing.press(format!("{line}\r").as_bytes());
    }
}

#[test]
fn a_tilde_and_a_full_stop_end_the_session_from_the_first_byte_on() {
    let mut shell = Shell::start();
    shell.playing.press(b"~.");
    let last = shell.playing.until("listener false;");
    assert!(last.contains("~.\r\noutcome Left, status 130, "), "{last}");
    assert!(shell.playing.end());
}

#[test]
fn amid_a_line_and_twice_it_is_the_far_ends() {
    let mut shell = Shell::ready(&[]);
    shell.enter("stty -echo; echo wait''ing");
    shell.playing.until("waiting\r\n");
    shell.enter("echo a~.b");
    shell.playing.until("a~.b\r\n");
    shell.enter("cat");
    shell.enter("~~. is text");
    shell.playing.until("~. is text\r\n");
    shell.enter("~x is too");
    shell.playing.until("~x is too\r\n");
    shell.playing.press(b"~.");
    shell.playing.until("outcome Left");
}

#[test]
fn help_names_them_and_none_of_it_reaches_the_far_end() {
    let mut shell = Shell::ready(&[]);
    shell.enter("stty raw -echo; echo wait''ing; head -c 1 | od -An -tx1; stty sane");
    shell.playing.until("waiting");
    shell.playing.press(b"~?");
    let help = shell.playing.until("press Enter before.\r\n");
    for escape in ["~.", "~^Z", "~-", "~?", "~~"] {
        assert!(help.contains(escape), "{help}");
    }
    shell.playing.press(b"x");
    shell.playing.until(" 78");
}

#[test]
fn switched_off_they_are_text() {
    let mut shell = Shell::ready(&[]);
    shell.playing.press(b"~-");
    shell.playing.until("off for the rest of this session.\r\n");
    shell.enter("stty -echo; cat");
    shell.enter("~. is text");
    shell.playing.until("~. is text\r\n");
    shell.playing.press(b"\x04exit\r");
    shell.playing.until("outcome Closed");
}

#[test]
fn another_character_is_as_good_and_none_is_none() {
    let mut shell = Shell::ready(&[Stage::escape("^]")]);
    shell.enter("stty -echo; cat");
    shell.enter("~. is text");
    shell.playing.until("~. is text\r\n");
    shell.playing.press(b"\x1d.");
    shell.playing.until("outcome Left");

    let mut shell = Shell::ready(&[Stage::escape("none")]);
    shell.enter("stty -echo; cat");
    shell.enter("~. is text");
    shell.playing.until("~. is text\r\n");
}

#[test]
fn a_session_left_is_ended_at_the_service() {
    let mut shell = Shell::ready(&[]);
    // An agent that takes nothing heeds no wish for an end.
    shell.stage.ask("freeze");
    shell.playing.press(b"~.");
    let last = shell.playing.until("listener false;");
    assert!(
        last.contains("outcome Left, status 130, terminated 1"),
        "{last}"
    );
    assert!(shell.playing.end());
}

#[test]
fn a_second_one_does_not_wait_for_the_service() {
    let mut shell = Shell::ready(&[]);
    shell.stage.ask("freeze");
    shell.stage.ask("mute");
    shell.playing.press(b"~.~.");
    let last = shell.playing.until("listener false;");
    assert!(
        last.contains("outcome Left, status 130, terminated 0"),
        "{last}"
    );
    assert!(shell.playing.end());
}
