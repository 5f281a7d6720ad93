//! A shell on a terminal whose caller is killed.

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::process::Pid;
use rustix::process::PidfdFlags;
use rustix::process::Signal;

use crate::account::VARIABLES;
use crate::account::guarded_node;
use crate::output::GUARD;
use crate::plugin::OnTerminal;

/// The caller is not the one the terminal belongs to, whose death would be a hangup by itself.
#[tokio::test]
async fn a_shell_ends_and_gives_the_terminal_back() {
    let node = guarded_node(&[]).await;
    let started = node.shell();
    let caller =
        "sh -c 'echo caller $$.; \"$0\" \"$@\"; exit 7' \"$0\" \"$@\"; read -r line; echo $line";
    let mut shell = OnTerminal::start_by_shell_in(caller, &started.seven_words(), &VARIABLES);
    shell.screen.until("caller ").await;
    let caller = process(&shell.screen.up_to(".").await);
    shell.enter("PS1=; echo rea''dy").await;
    shell.screen.until("ready\r\n").await;
    let children = format!("/proc/{0}/task/{0}/children", caller.as_raw_nonzero());
    let plugin = process(std::fs::read_to_string(children).unwrap().trim());
    let plugin = rustix::process::pidfd_open(plugin, PidfdFlags::empty()).unwrap();
    assert!(!shell.has_its_settings_back());
    rustix::process::kill_process(caller, Signal::KILL).unwrap();
    let gone = async {
        let mut watched = [PollFd::new(&plugin, PollFlags::IN)];
        while rustix::event::poll(&mut watched, Some(&Timespec::default())).unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(GUARD, gone).await.expect("it ends");
    assert!(shell.has_its_settings_back());
    node.ends(started.id()).await;
    // The terminal is still there, for whoever has it.
    shell.enter("still here").await;
    shell.screen.until("still here\r\nstill here\r\n").await;
    shell.screen.until_end().await;
}

fn process(number: &str) -> Pid {
    Pid::from_raw(number.parse().unwrap()).unwrap()
}
