//! What is left of a program that crashes.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Child;
use tokio::process::Command;

use crate::node::Node;
use crate::plugin::PROGRAM;
use crate::plugin::ended;
use crate::plugin::kill;

/// A program that may dump core, as far as its caller has a say in that.
fn spawn(directory: &Path, program: &str, words: &[String]) -> Child {
    Command::new("sh")
        .args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\"", program])
        .args(words)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_crash_leaves_no_image_of_the_memory() {
    let node = Node::start().await;
    let directory = tempfile::tempdir().unwrap();
    for signal in [Signal::ABORT, Signal::TRAP] {
        let mut plugin = spawn(directory.path(), PROGRAM, &node.shell().seven_words());
        kill_once_it_runs(&mut plugin, signal).await;
        let status = ended(&mut plugin).await;
        assert_eq!(status.signal(), Some(signal.as_raw()));
        assert!(!status.core_dumped());
    }
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Waits for a byte on standard output, after one on standard input.
async fn kill_once_it_runs(process: &mut Child, signal: Signal) {
    let stdin = process.stdin.as_mut().unwrap();
    stdin.write_all(b"\n").await.unwrap();
    let stdout = process.stdout.as_mut().unwrap();
    stdout.read_exact(&mut [0]).await.unwrap();
    kill(process, signal);
}
