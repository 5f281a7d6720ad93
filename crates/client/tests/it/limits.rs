//! Time limits that make no sense, and some that nobody would choose.

use std::time::Duration;

use futures_util::FutureExt as _;
use ssm_session::Options;
use ssm_session::Timeouts;

use crate::support::echo_session;
use crate::support::end;
use crate::support::output;
use crate::support::start;
use crate::support::within_reason;

#[tokio::test]
async fn limits_that_make_no_sense_are_refused_before_anything_is_tried() {
    let options = Options {
        timeouts: Timeouts {
            silence: Duration::from_secs(15),
            ..Timeouts::default()
        },
        ..Options::default()
    };
    let (ours, _theirs) = tokio::io::duplex(64);
    let start = start("ws://localhost/");
    let connecting = ssm_session::connect_over(ours, start, options);
    let error = connecting.now_or_never().unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "connections are given up after 15 s of silence, and pinged every 15 s; the silence must \
         be longer, twice as long or more"
    );
}

#[tokio::test(start_paused = true)]
async fn limits_without_an_end_never_end() {
    let never = Duration::MAX;
    let options = Options {
        timeouts: Timeouts {
            resolve: never,
            tcp: never,
            tls: never,
            proxy: never,
            upgrade: never,
            credentials: never,
            keepalive: Duration::from_secs(1_000_000_000),
            silence: never,
            woken: never,
            unresponsive: never,
            data_key: never,
            resume: never,
            api: never,
            terminate: never,
            half_close: never,
            close: never,
        },
        ..Options::default()
    };
    let (mut session, node) = echo_session(options, 64 * 1024).await;
    assert_eq!(output(&mut session, 2).await, b"$ ");
    session.write(b"hello\r").await.unwrap();
    assert_eq!(output(&mut session, 6).await, b"hello\r");
    session.write(b"exit\r").await.unwrap();
    assert!(!end(&mut session).await.is_failure());
    within_reason(node).await.unwrap();
}
