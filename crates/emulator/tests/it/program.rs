//! The program `ssm-emulator`.

use std::process::Output;
use std::process::Stdio;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::BufReader;
use tokio::process::Command;

use crate::support::run;

#[test]
fn serving_announces_one_line_and_ends_in_order_at_a_signal() {
    for signal in [Signal::INT, Signal::TERM] {
        run(async {
            let mut child = program(&[
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--target",
                "mi-0123456789abcdef0",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
            let mut stdout = BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            stdout.read_line(&mut line).await.unwrap();
            let endpoint = line.strip_prefix("ssm-emulator ready at http://").unwrap();
            let address: std::net::SocketAddr = endpoint.trim_end().parse().unwrap();
            tokio::net::TcpStream::connect(address).await.unwrap();
            let id = Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
            kill_process(id, signal).unwrap();
            assert!(child.wait().await.unwrap().success(), "{signal:?}");
            let mut rest = String::new();
            stdout.read_to_string(&mut rest).await.unwrap();
            assert_eq!(rest, "");
        });
    }
}

#[test]
fn an_address_others_can_reach_is_refused_unless_allowed() {
    run(async {
        let output = finished(&["serve", "--listen", "0.0.0.0:0"], "").await;
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("--listen-anywhere"));
        assert!(output.stdout.is_empty());
    });
}

#[test]
fn a_target_that_is_none_is_a_usage_error() {
    run(async {
        let output = finished(&["serve", "--target", "web-1"], "").await;
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("`web-1` is not an instance id"));
    });
}

#[test]
fn options_for_agent_and_faults_that_make_no_sense_are_usage_errors() {
    run(async {
        for (option, value, text) in [
            (
                "--agent-version",
                "3.3",
                "write four numbers with dots between them",
            ),
            (
                "--agent-payload",
                "63",
                "write a number of bytes from 64 to 4194184",
            ),
            (
                "--fault-delay",
                "20",
                "write a time of up to 60 s with its unit, such as 20ms",
            ),
            ("--fault-rate", "0", "write how many bytes pass a second"),
            ("--fault-loss", "1", "write a percentage from 0% to 100%"),
            (
                "--fault-duplicate",
                "101%",
                "write a percentage from 0% to 100%",
            ),
            (
                "--fault-reorder",
                "often",
                "write a percentage from 0% to 100%",
            ),
            (
                "--fault-payload-cap",
                "4k",
                "write how many bytes a payload may have",
            ),
            ("--stall", "dial", "the steps are accept, upgrade, open"),
            ("--cut", "open*0", "`0` is no number of times"),
            ("--agent-way", "odd", "write head-only, or keeps-after=TIME"),
        ] {
            let output = finished(&["serve", option, value], "").await;
            assert_eq!(output.status.code(), Some(2), "{option}");
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(errors.contains(option) && errors.contains(text), "{errors}");
        }
    });
}

#[test]
fn options_for_admission_and_limits_that_make_no_sense_are_usage_errors() {
    run(async {
        for (option, value, text) in [
            ("--refuse", "StartSession", "write OPERATION=CODE"),
            ("--refuse", "SendCommand=X", "no operation `SendCommand`"),
            ("--refuse", "StartSession=X*0", "is no number of times"),
            ("--idle-timeout", "20", "write a time from 1ms to 168h"),
            ("--max-session-duration", "0s", "write a time from 1ms"),
            ("--channel-lifetime", "1d", "write a time from 1ms"),
            ("--token-lifetime", "-1s", "write a time from 1ms"),
        ] {
            let argument = format!("{option}={value}");
            let output = finished(&["serve", &argument], "").await;
            assert_eq!(output.status.code(), Some(2), "{option}");
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(errors.contains(option) && errors.contains(text), "{errors}");
        }
        let output = finished(&["serve", "--require-signed-channels"], "").await;
        assert_eq!(output.status.code(), Some(2));
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(errors.contains("--credentials-file"), "{errors}");
    });
}

#[test]
fn credentials_that_cannot_be_read_are_an_error_that_names_the_file_and_shows_nothing_of_it() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("credentials.json");
        let name = file.to_str().unwrap();
        let arguments = ["serve", "--credentials-file", name];
        let output = finished(&arguments, "").await;
        assert_eq!(output.status.code(), Some(1));
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(errors.contains(&format!("the credentials in {name} could not be read")));
        std::fs::write(&file, r#"{"SecretAccessKey":"hush"}"#).unwrap();
        let output = finished(&arguments, "").await;
        assert_eq!(output.status.code(), Some(1));
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(errors.contains(name), "{errors}");
        assert!(errors.contains("missing field `AccessKeyId`"), "{errors}");
        assert!(!errors.contains("hush"), "{errors}");
    });
}

#[test]
fn serving_takes_credentials_refusals_and_limits() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("credentials.json");
        let json = r#"[{"AccessKeyId":"AKIDEXAMPLE","SecretAccessKey":"s"}]"#;
        std::fs::write(&file, json).unwrap();
        let mut child = program(&[
            "serve",
            "--credentials-file",
            file.to_str().unwrap(),
            "--require-signed-channels",
            "--refuse=TerminateSession=ThrottlingException*2",
            "--refuse=ResumeSession=AccessDeniedException:No.",
            "--idle-timeout=20m",
            "--max-session-duration=1h",
            "--channel-lifetime=90s",
            "--token-lifetime=500ms",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).await.unwrap();
        let address = line.strip_prefix("ssm-emulator ready at http://").unwrap();
        let mut stream = tokio::net::TcpStream::connect(address.trim_end())
            .await
            .unwrap();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nX-Amz-Target: AmazonSSM.StartSession\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}",
            address.trim_end()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.contains("MissingAuthenticationTokenException"),
            "{answer}"
        );
        child.kill().await.unwrap();
    });
}

#[test]
fn a_shell_runs_through_faults() {
    run(async {
        let arguments = [
            "shell",
            "--pace=none",
            "--agent-version=3.2.0.0",
            "--agent-payload=4096",
            "--fault-delay=2ms",
            "--fault-rate=500000",
            "--fault-loss=1%",
            "--fault-duplicate=1%",
            "--fault-reorder=1%",
            "--fault-payload-cap=4096",
            "--fault-seed=7",
        ];
        let output = finished(&arguments, "echo a$((1+1))b; exit\n").await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("a2b"),
            "{output:?}"
        );
    });
}

#[test]
fn a_shell_runs_what_its_input_says() {
    run(async {
        let output = finished(&["shell", "--pace", "none"], "echo a$((1+1))b; exit\n").await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("a2b"),
            "{output:?}"
        );
    });
}

#[test]
fn a_shell_can_be_encrypted() {
    run(async {
        let arguments = [
            "shell",
            "--pace",
            "none",
            "--document-name",
            "Emulator-EncryptedShell",
        ];
        let output = finished(&arguments, "echo a$((1+1))b; exit\n").await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("a2b"),
            "{output:?}"
        );
    });
}

#[test]
fn a_commands_streams_and_exit_code_become_the_programs() {
    run(async {
        let command = "command=sh -c 'echo out; echo err >&2; exit 7'";
        let arguments = [
            "shell",
            "--document-name",
            "Emulator-SeparateOutput",
            "--parameter",
            command,
        ];
        let output = finished(&arguments, "").await;
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        assert_eq!(output.stdout, b"out\n");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("err\n"),
            "{output:?}"
        );
    });
}

#[test]
fn a_session_that_cannot_start_is_explained() {
    run(async {
        let output = finished(&["shell", "--document-name", "Nope"], "").await;
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            text.contains("InvalidDocument: Document with name Nope does not exist."),
            "{text}"
        );
    });
}

async fn finished(arguments: &[&str], input: &str) -> Output {
    let mut child = program(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that refuses its arguments does not read.
    stdin.write_all(input.as_bytes()).await.ok();
    drop(stdin);
    child.wait_with_output().await.unwrap()
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ssm-emulator"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}
