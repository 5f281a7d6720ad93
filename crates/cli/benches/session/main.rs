//! Prints what a shell through the plugin costs, beside a bare WebSocket in the same run.
//!
//! The plugin runs as its callers run it, as a child on a terminal; the emulator runs in this
//! process, unpaced. Absolute numbers are this machine's; the ratios are what to compare.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

#[path = "../shared/accounting.rs"]
mod accounting;
mod bare;
mod child;
#[path = "../shared/emulated.rs"]
mod emulated;

use std::io::Read as _;
use std::io::Write as _;
use std::time::Duration;
use std::time::Instant;

use child::Child;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartSession;

const KEYS: usize = 2_000;
const WARM_UP: usize = 200;
const BULK: usize = 100_000_000;
const IDLE: Duration = Duration::from_secs(10);

fn main() {
    let response = emulated::start_session(Plan::default(), StartSession::default());
    let mut child = Child::start(&response);
    println!("idle session, {} s", IDLE.as_secs());
    print_idle(&child);
    println!("key to echo, {KEYS} keys: plugin, emulator, remote terminal and back");
    child.expect_keys(WARM_UP + KEYS);
    let plugin = print_latency("plugin", || child.echo_key());
    child.wait_for(b"laid");
    let mut echo = bare::Echo::connect();
    let bare = print_latency("bare WebSocket echo of the same frame", || {
        echo.round_trip();
    });
    println!(
        "  median, plugin / bare: {:.1}",
        plugin.as_secs_f64() / bare.as_secs_f64()
    );
    println!("cat of {} MB, unpaced", BULK / 1_000_000);
    let plugin = print_bulk(&mut child);
    let bare = print_rate(
        "bare WebSocket, the same frames one way",
        bare::download(BULK),
    );
    println!("  rate, plugin / bare: {:.2}", plugin / bare);
    child.end();
}

fn print_idle(child: &Child) {
    let before = child.cpu();
    std::thread::sleep(IDLE);
    let spent = child.cpu().saturating_sub(before);
    println!(
        "  CPU {spent:?}, resident {} KiB, peak {} KiB",
        child.resident(),
        child.peak()
    );
}

fn print_latency(name: &str, mut round_trip: impl FnMut()) -> Duration {
    for _ in 0..WARM_UP {
        round_trip();
    }
    let mut times: Vec<Duration> = (0..KEYS)
        .map(|_| {
            let start = Instant::now();
            round_trip();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |share: usize| times[times.len() * share / 100];
    println!(
        "  {name}: median {:?}, 90 % {:?}, 99 % {:?}",
        at(50),
        at(90),
        at(99)
    );
    at(50)
}

fn print_bulk(child: &mut Child) -> f64 {
    let before = child.cpu();
    let took = child.cat(BULK);
    let cpu = child.cpu().saturating_sub(before);
    let rate = print_rate("plugin", took);
    let per_gb = cpu.as_secs_f64() * 1e9 / BULK as f64;
    println!(
        "  plugin CPU {cpu:?} ({per_gb:.2} s per GB), peak {} KiB",
        child.peak()
    );
    rate
}

/// Megabytes a second.
fn print_rate(name: &str, took: Duration) -> f64 {
    let rate = BULK as f64 / 1e6 / took.as_secs_f64();
    println!("  {name}: {took:.2?}, {rate:.1} MB/s");
    rate
}

impl Child {
    /// Types one key into a raw terminal that echoes, and waits for the echo.
    fn echo_key(&mut self) {
        self.terminal
            .write_all(b"k")
            .expect("the terminal takes a key");
        let mut echo = [0];
        self.terminal.read_exact(&mut echo).expect("the echo comes");
    }

    /// Has the far end print `bytes` bytes and reads them all.
    fn cat(&mut self, bytes: usize) -> Duration {
        let command = format!("head -c {bytes} /dev/zero | tr '\\0' x\n");
        self.terminal
            .write_all(command.as_bytes())
            .expect("the terminal takes a command");
        let start = Instant::now();
        let mut buffer = vec![0; 1 << 16];
        let mut left = bytes;
        while left > 0 {
            let read = self.terminal.read(&mut buffer).expect("output comes");
            let counted = buffer[..read].iter().filter(|byte| **byte == b'x').count();
            left = left.saturating_sub(counted);
        }
        start.elapsed()
    }
}
