//! Command lines and standard inputs that nobody would write, made from such as people do: thousands of damaged copies,
//! each of which follows from its seed.

use std::io::Cursor;

use serde_json::Value;

use super::*;

/// What no refusal and no log may show.
const TOKEN: &str = "AAEAAd0pes3cret";
const RESPONSE: &str = r#"{"SessionId":"user-0a1b","StreamUrl":"wss://ssmmessages.us-east-1.amazonaws.com/v1/data-channel/user-0a1b?role=publish_subscribe","TokenValue":"AAEAAd0pes3cret"}"#;
const INPUT: &str = "ls -l\nexit\n";
const COMMAND_LINES: [&[&str]; 8] = [
    &[
        RESPONSE,
        "us-east-1",
        "StartSession",
        "prod",
        r#"{"Target":"i-0123456789abcdef0","DocumentName":"AWS-StartPortForwardingSession","Parameters":{"portNumber":["80"],"localPortNumber":["8080"]}}"#,
        "https://ssm.us-east-1.amazonaws.com",
    ],
    &[
        "AWS_SSM_START_SESSION_RESPONSE",
        "us-east-1",
        "StartSession",
    ],
    &["connect", "-"],
    &[
        "connect",
        RESPONSE,
        "--target",
        "ecs:c_t_r",
        "--region",
        "eu-west-1",
        "-v",
    ],
    &[
        "connect",
        "--session-id",
        "s-1",
        "--stream-url",
        "wss://localhost/x",
        "--token-value",
        "-",
        "--parameters",
        r#"{"localConnectionType":["unix"],"localUnixSocket":["/run/x"]}"#,
        "--session-type",
        "Port",
        "--client-id",
        "6d1d8b1c-3d38-4c5f-a339-037cd6679445",
    ],
    &[
        "ssh",
        "--target",
        "mi-0123456789abcdef0",
        "--document-name",
        "AWS-StartSSHSession",
        "--parameters",
        r#"{"portNumber":"22"}"#,
        "--reason",
        "why not",
        "--profile",
        "prod",
        "--escape-char",
        "^B",
        "--keepalive",
        "5",
        "--silence",
        "20",
    ],
    &[
        "ssh",
        "--target",
        "i-0123456789abcdef0",
        "--endpoint-url",
        "http://localhost:1",
        "--log-file",
        "x",
        "--document-name",
        "AWS-StartPortForwardingSession",
        "--restart",
        "--resume-for",
        "60",
    ],
    &["--version"],
];
const DAMAGED: u64 = 4000;

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let end = u64::try_from(end).unwrap();
        usize::try_from((z ^ (z >> 31)) % end).unwrap()
    }

    fn byte(&mut self) -> u8 {
        let notable = b"\0\n\r\"'{}[]:,=-\\/\x1b\x7f\xc3\xff 09azAZ";
        notable[self.below(notable.len())]
    }

    /// Some bytes altered, taken out, put in or repeated.
    fn damage(&mut self, text: &[u8]) -> Vec<u8> {
        let mut bytes = text.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let until = (at + self.below(12)).min(bytes.len());
            match self.below(4) {
                0 => drop(bytes.drain(at..until)),
                1 => bytes.extend_from_within(at..until),
                2 => bytes.insert(at, self.byte()),
                _ if at < bytes.len() => bytes[at] = self.byte(),
                _ => {}
            }
        }
        bytes
    }
}

/// A word of these bytes, where the system allows any.
fn word(bytes: Vec<u8>) -> OsString {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStringExt::from_vec(bytes);
    #[cfg(not(unix))]
    return String::from_utf8_lossy(&bytes).into_owned().into();
}

fn read(words: Vec<OsString>, response: Option<OsString>, stdin: &mut Cursor<Vec<u8>>) -> Task {
    let environment = Environment {
        response,
        ..Environment::default()
    };
    let variables = Variables::new(&|_| None);
    task(PROGRAM.into(), words, environment, variables, stdin)
}

/// Words are only damaged, so that the token stays where it belongs.
#[test]
fn damaged_words_are_refused_or_taken_and_the_token_is_shown_in_neither_case() {
    for seed in 0..DAMAGED {
        let mut random = Random(seed);
        let line = COMMAND_LINES[random.below(COMMAND_LINES.len())];
        let at = random.below(line.len());
        let mut words: Vec<OsString> = line.iter().map(OsString::from).collect();
        words[at] = word(random.damage(line[at].as_bytes()));
        let response = word(random.damage(RESPONSE.as_bytes()));
        let mut stdin = Cursor::new(random.damage(RESPONSE.as_bytes()));
        let shown = match read(words, Some(response), &mut stdin) {
            Task::Refuse(text) => text,
            // An operation that does not exist is repeated, as AWS's plugin does.
            Task::Print(text) if line.len() > 2 && at > 0 => text,
            Task::Print(_) | Task::Usage(_) => continue,
            started => format!("{started:?}"),
        };
        assert!(!shown.contains(TOKEN), "seed {seed}: {shown}");
        assert!(!shown.is_empty(), "seed {seed}");
    }
}

#[test]
fn words_in_any_order_and_number_are_refused_or_taken() {
    for seed in 0..DAMAGED {
        let mut random = Random(seed);
        let count = random.below(12);
        let words = (0..count).map(|_| {
            let line = COMMAND_LINES[random.below(COMMAND_LINES.len())];
            let one = line[random.below(line.len())].as_bytes();
            let damaged = random.below(3) == 0;
            word(if damaged {
                random.damage(one)
            } else {
                one.to_vec()
            })
        });
        let words = words.collect();
        let mut stdin = Cursor::new(random.damage(RESPONSE.as_bytes()));
        match read(words, None, &mut stdin) {
            Task::Refuse(text) => assert!(!text.is_empty(), "seed {seed}"),
            Task::Usage(error) => assert!(!error.to_string().is_empty(), "seed {seed}"),
            _ => {}
        }
    }
}

/// What stands behind the line that closes the object is the session's input.
#[test]
fn of_standard_input_no_byte_is_taken_that_belongs_to_the_session() {
    let mut taken = 0;
    for seed in 0..DAMAGED {
        let mut random = Random(seed);
        let by_token = random.below(4) == 0;
        let (line, first) = if by_token {
            (COMMAND_LINES[4], TOKEN)
        } else {
            (COMMAND_LINES[2], RESPONSE)
        };
        let first = random.damage(first.as_bytes());
        let mut stdin = Cursor::new([&first, &b"\n"[..], INPUT.as_bytes()].concat());
        let words = line.iter().map(OsString::from).collect();
        if let Task::Connect(_) = read(words, None, &mut stdin) {
            let used = usize::try_from(stdin.position()).unwrap();
            let used = &stdin.get_ref()[..used];
            let (newline, one) = used.split_last().unwrap();
            assert_eq!(*newline, b'\n', "seed {seed}");
            let behind = match one.iter().rposition(|byte| *byte == b'}') {
                Some(end) if !by_token => {
                    assert!(serde_json::from_slice::<Value>(one).is_ok(), "seed {seed}");
                    &one[end..]
                }
                _ => one,
            };
            assert!(!behind.contains(&b'\n'), "seed {seed}");
            taken += 1;
        }
    }
    assert!(taken > DAMAGED / 50, "{taken} were taken");
}
