//! Prints what a forwarded port costs, beside two relays in the same places that do nothing but hash.
//!
//! ```text
//!  forward:  client ──TCP──► plugin ──WebSocket──► gateway and agent ──TCP──► server
//!  limit:    client ──TCP──► relay  ──TCP────────► relay             ──TCP──► server
//! ```
//!
//! Each box is a process; all but the plugin are this program in another role. The emulated agent is half of what is
//! measured, so that downloads are also measured with larger messages than the real one's. Absolute figures are this
//! machine's; the ratios are what to compare.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

#[path = "../shared/accounting.rs"]
mod accounting;
mod comparison;
#[path = "../shared/emulated.rs"]
mod emulated;
mod machine;
mod measure;
mod path;
mod process;
mod relay;
mod server;
mod table;

use std::collections::BTreeMap;

use comparison::Comparison;
use path::Path;
use process::Process;
use relay::Place;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartSession;

const ROUNDS: usize = 5;
/// The real agent's payload.
const SMALL: usize = 1024;
const LARGE: usize = 16 * 1024;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["server"] => serve(server::start()),
        ["relay", place, next] => {
            let place = Place::named(place).expect("a place");
            serve(relay::start(place, next.parse().expect("a port")));
        }
        ["emulator", payload, port] => serve(emulate(payload.parse().expect("a size"), port)),
        // What cargo passes to benchmarks.
        _ => measure(),
    }
}

/// Says that this role is ready, and plays it until whoever started it is gone.
fn serve(ready: impl std::fmt::Display) {
    println!("{ready}");
    drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
}

fn emulate(agent_payload: usize, port: &str) -> String {
    let plan = Plan {
        agent_payload,
        ..Plan::default()
    };
    let request = StartSession {
        document_name: Some("AWS-StartPortForwardingSession".to_owned()),
        parameters: BTreeMap::from([
            ("portNumber".to_owned(), vec![port.to_owned()]),
            ("localPortNumber".to_owned(), vec!["0".to_owned()]),
        ]),
        ..StartSession::default()
    };
    emulated::start_session(plan, request)
}

fn measure() {
    println!("{HEADING}, medians of {ROUNDS} rounds");
    println!("{}\n", machine::describe());
    let server = Process::server();
    let comparison = Comparison {
        limit: Path::limit(&server),
        small: Path::forward(SMALL, &server),
        large: Path::forward(LARGE, &server),
    };
    let mut peaks = vec![comparison.peak()];
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mut figures = comparison.bulk();
        peaks.push(comparison.peak());
        figures.extend(comparison.many());
        figures.extend(comparison.latency());
        figures.extend(comparison.openings());
        rounds.push(figures);
    }
    println!("{}", table::render(&rounds));
    println!(
        "most memory of a plugin: {} KiB when it listens, {} KiB after one bulk connection each way, {} KiB after all",
        peaks[0],
        peaks[1],
        comparison.peak()
    );
}

const HEADING: &str = "\
forward: client, plugin, gateway and agent, server; limit: the same with a relay in place of either in the middle
SHA-256, on both: each byte up once, in the plugin; each byte down twice, in the agent and in the plugin
on loopback, agent not paced";
