//! Stopping the program in the midst of a session, and going on.

use crate::escapes::Shell;
use crate::playing::Playing;
use crate::stage::Stage;

#[test]
fn the_users_shell_gets_the_terminal_and_gives_it_back() {
    let stage = Stage::build();
    let variables = stage.variables(&[("PS1", "ours$ "), ("ENV", "")]);
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let mut playing = Playing::start(&["sh".to_owned(), "-i".to_owned()], &variables);
    playing.until("ours$ ");
    // As the AWS CLI starts it: by a process that ignores the stop key.
    let words = Stage::words().join("' '");
    let caller = format!("sh -c 'trap \"\" TSTP INT QUIT; \"$@\"; exit' sh '{words}'\r");
    playing.press(caller.as_bytes());
    playing.until("running 1 test");
    playing.press(b"PS1=; echo rea''dy\r");
    playing.until("ready\r\n");

    playing.press(b"~\x1a");
    playing.until("Stopped");
    playing.until("ours$ ");
    assert!(playing.is_restored());
    playing.press(b"echo in bet''ween\r");
    playing.until("in between\r\n");
    playing.resize(20, 50);

    playing.press(b"fg\r");
    playing.press(b"until stty size | grep '^20 50$'; do :; done\r");
    playing.until("20 50\r\n");
    assert!(!playing.is_restored());
    playing.press(b"exit\r");
    playing.until("outcome Closed");
    playing.until("ours$ ");
    assert!(playing.is_restored());
}

#[test]
fn where_no_shell_would_wake_it_the_program_goes_on_and_says_so() {
    let mut shell = Shell::ready(&[]);
    shell.playing.press(b"~\x1a");
    shell.playing.until("this program cannot be suspended: ");
    shell.enter("echo st''ill here");
    shell.playing.until("still here\r\n");
    shell.playing.press(b"~.");
    shell.playing.until("outcome Left");
    assert!(shell.playing.end());
}
