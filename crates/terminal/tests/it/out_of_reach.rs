//! A far end that cannot be reached, and what the user sees of it.

use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::net::TcpStream;

use crate::escapes::Shell;
use crate::stage::Stage;

const LOST: &str = "the connection is lost since ";
const STUCK: &str = "the node has taken nothing since ";
/// The cursor is saved, the row below erased, the cursor back.
const ERASED: &str = "\x1b7\x1b[m\r\n\x1b[K\x1b8";

#[test]
fn a_lost_connection_is_said_on_a_row_that_goes_away_when_it_is_back() {
    let mut shell = Shell::ready(&[]);
    shell.playing.press(b"echo unfin");
    shell.playing.until("echo unfin");
    shell.stage.ask("lose");
    let shown = shell.playing.until("\x1b[K\x1b8");
    assert!(shown.contains(LOST), "{shown}");
    assert!(
        shown.contains("; press Ctrl-C to give up, or Enter ~."),
        "{shown}"
    );
    shell.playing.press(b"ished");
    shell.stage.ask("find");
    let back = shell.playing.until("ished");
    assert_eq!(back, format!("{ERASED}ished"));
    shell.enter("; exit");
    shell.playing.until("unfinished\r\n");
    let rest = shell.playing.rest();
    assert!(!rest.contains("connect"), "{rest}");
}

#[test]
fn the_row_is_no_wider_than_the_window_and_follows_it() {
    let mut shell = Shell::ready(&[]);
    shell.playing.resize(31, 40);
    shell.stage.ask("lose");
    shell.playing.until("the connection is lost since");
    shell.playing.resize(31, 20);
    let narrow = shell.playing.until("\r\nthe connection is lo\x1b[K");
    assert!(narrow.contains(ERASED), "{narrow}");
}

#[test]
fn without_escapes_ctrl_c_alone_is_named() {
    let mut shell = Shell::ready(&[Stage::escape("none")]);
    shell.stage.ask("lose");
    let shown = shell.playing.until("\x1b[K\x1b8");
    assert!(shown.contains("; press Ctrl-C to give up;"), "{shown}");
    shell.playing.press(b"\x03");
    let last = shell.playing.until("listener false;");
    assert!(
        last.contains("outcome Signalled(Interrupt), status 130, terminated 1"),
        "{last}"
    );
    assert!(shell.playing.end());
}

#[test]
fn escapes_that_are_switched_off_meanwhile_are_named_no_more() {
    let mut shell = Shell::ready(&[]);
    shell.stage.ask("lose");
    shell.playing.until("or Enter ~.");
    shell.playing.press(b"\r~-");
    shell.playing.until("; press Ctrl-C to give up; the");
}

#[test]
fn while_it_is_lost_the_escape_leaves_and_the_service_is_told() {
    let mut shell = Shell::ready(&[]);
    shell.stage.ask("lose");
    shell.playing.until(LOST);
    shell.playing.press(b"\r~.");
    let last = shell.playing.until("listener false;");
    assert!(
        last.contains("outcome Left, status 130, terminated 1"),
        "{last}"
    );
    assert!(shell.playing.end());
}

#[test]
fn a_node_that_takes_nothing_is_said_and_so_is_the_way_out() {
    let mut shell = Shell::ready(&[]);
    shell.stage.ask("freeze");
    shell.playing.press(b"echo kept");
    let shown = shell.playing.until("\x1b[K\x1b8");
    assert!(shown.contains(STUCK), "{shown}");
    assert!(shown.contains("; press Enter ~. to give up;"), "{shown}");
    // Ctrl-C is the far end's: it may be what sets it free.
    shell.playing.press(b"\x03");
    shell.stage.ask("thaw");
    let back = shell.playing.until("^C");
    assert!(back.starts_with(ERASED), "{back}");
    shell.enter("echo aft''er");
    shell.playing.until("after\r\n");
    shell.playing.press(b"~.");
    shell.playing.until("outcome Left");
}

#[test]
fn what_cannot_be_kept_is_refused_by_bell_and_word_and_the_rest_arrives_in_order() {
    let mut shell = Shell::ready(&[]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("arrived");
    let path = file.display();
    shell.enter(&format!(
        "stty raw -echo; echo wait''ing; sed /z/q >{path}; stty sane; echo ha''ving it"
    ));
    shell.playing.until("waiting");
    shell.stage.ask("freeze");
    let typed = type_until_refused(&mut shell);
    shell.playing.press(b"y");
    shell.playing.until("\x07");
    // What was refused may have ended anywhere: Enter, and then the escape.
    shell.playing.press(b"\r~?");
    shell.playing.until("press Enter before.\r\n");
    shell.stage.ask("thaw");
    shell.playing.until(ERASED);
    shell.playing.press(b"z\n");
    shell.playing.until("having it\r\n");
    let arrived = std::fs::read_to_string(file).unwrap();
    let arrived = arrived.strip_suffix("z\n").unwrap();
    assert!(typed.starts_with(arrived), "{arrived}");
    // What may wait, at the least.
    assert!(arrived.len() >= 64 * 1024, "{}", arrived.len());
}

/// Types numbers until no more is kept.
fn type_until_refused(shell: &mut Shell) -> String {
    shell.playing.press(b"0 ");
    shell.playing.until(STUCK);
    let (mut typed, mut seen) = ("0 ".to_owned(), String::new());
    for number in 1.. {
        let text = format!("{number:0>1023} ");
        shell.playing.press(text.as_bytes());
        typed.push_str(&text);
        seen.push_str(&shell.playing.seen());
        if seen.contains("what you type is refused") {
            break;
        }
    }
    assert!(seen.contains('\x07'), "{seen:?}");
    typed
}

#[test]
fn where_nothing_more_is_kept_ctrl_c_leaves() {
    let mut shell = Shell::ready(&[Stage::escape("none")]);
    shell.stage.ask("freeze");
    type_until_refused(&mut shell);
    shell.playing.press(b"\x03");
    shell.playing.until("outcome Signalled(Interrupt)");
}

/// No row, for programs read what a forward says.
#[test]
fn a_forward_says_in_lines_that_the_node_takes_nothing_and_that_it_answers_again() {
    let destination = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = destination.local_addr().unwrap().port();
    let document = format!("AWS-StartPortForwardingSession portNumber={port} localPortNumber=0");
    let mut forward = Shell::start_with(&[Stage::document(&document)]);
    forward.playing.until(" is open, waiting for connections");
    let local: u16 = forward.stage.ask("port").parse().unwrap();
    let mut connection = TcpStream::connect(("127.0.0.1", local)).unwrap();
    connection.write_all(b"before").unwrap();
    let (mut far, _) = destination.accept().unwrap();
    far.read_exact(&mut [0; 6]).unwrap();

    forward.stage.ask("freeze");
    connection.write_all(b"while it stands still").unwrap();
    let told = forward.playing.until("nothing is lost\r\n");
    assert!(told.contains(STUCK), "{told}");
    assert!(told.contains("; press Ctrl-C to give up;"), "{told}");
    forward.stage.ask("thaw");
    forward.playing.until("the node answers again after ");
    far.read_exact(&mut [0; 21]).unwrap();
}
