//! Prints what it takes to start: wall time until a session is there for its user, processor time, memory, size.
//!
//! `BASELINE` names another build of the plugin to put beside this one in the same run, turn by turn. The emulator runs in
//! this process, unpaced, so that everything else about a session is the same.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

#[path = "../shared/accounting.rs"]
#[expect(dead_code, reason = "processor time is told at the end, and finer")]
mod accounting;
mod child;
mod emulated;
mod scenario;

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use child::Cost;
use emulated::Emulated;
use scenario::SCENARIOS;
use scenario::Scenario;

const RUNS: usize = 60;
const WARM_UP: usize = 3;

fn main() {
    let ours = PathBuf::from(env!("CARGO_BIN_EXE_session-manager-plugin"));
    let baseline = std::env::var_os("BASELINE").map(PathBuf::from);
    let builds: Vec<(&str, PathBuf)> = [("baseline", baseline), ("this", Some(ours))]
        .into_iter()
        .filter_map(|(name, path)| Some((name, path?)))
        .collect();
    for (name, path) in &builds {
        println!("{name}: {} bytes, {}", size(path), path.display());
    }
    let emulated = Emulated::start();
    println!("{RUNS} starts each; medians, and the slowest of ten\n");
    println!(
        "{:<48} {:<9} {:>9} {:>9} {:>9} {:>9}",
        "until", "build", "wall ms", "90 % ms", "CPU ms", "RSS MB"
    );
    for scenario in SCENARIOS {
        print_scenario(scenario, &builds, &emulated);
    }
    println!(
        "{:<48} {:<9} {:>9} {:>9} {:>9} {:>9}",
        "AWS's plugin, published: an open port", "1.2", "44", "", "", "24"
    );
}

fn print_scenario(scenario: &Scenario, builds: &[(&str, PathBuf)], emulated: &Emulated) {
    let builds: Vec<_> = builds
        .iter()
        .filter(|(name, _)| *name == "this" || !scenario.is_new)
        .collect();
    let mut costs = vec![Vec::with_capacity(RUNS); builds.len()];
    for run in 0..WARM_UP + RUNS {
        for ((_, path), costs) in builds.iter().zip(&mut costs) {
            let cost = scenario.run(path, emulated);
            if run >= WARM_UP {
                costs.push(cost);
            }
        }
    }
    for ((name, _), costs) in builds.iter().zip(&costs) {
        print_row(scenario.name, name, costs);
    }
}

fn print_row(scenario: &str, build: &str, costs: &[Cost]) {
    let wall = sorted(costs, |cost| cost.wall);
    let cpu = sorted(costs, |cost| cost.cpu);
    let memory = sorted(costs, |cost| cost.peak);
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{scenario:<48} {build:<9} {:>9.1} {:>9.1} {:>9.1} {:>9.1}",
        milliseconds(wall[RUNS / 2]),
        milliseconds(wall[RUNS * 9 / 10]),
        milliseconds(cpu[RUNS / 2]),
        memory[RUNS / 2] as f64 / 1024.0,
    );
}

fn sorted<T: Ord>(costs: &[Cost], figure: impl Fn(&Cost) -> T) -> Vec<T> {
    let mut figures: Vec<T> = costs.iter().map(figure).collect();
    figures.sort_unstable();
    figures
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}
