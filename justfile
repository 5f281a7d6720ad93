# Every recipe is a plain command; `.ci/run` is the one list of checks.

set shell := ["bash", "-euo", "pipefail", "-c"]

# What CI runs, all of it
check:
    .ci/run

# Format the code
fmt:
    cargo fmt --all

# Format check and clippy
lint:
    .ci/run fmt lint purity sleeps

# All tests of the workspace
test:
    .ci/run test

# API documentation, warnings are errors
doc:
    .ci/run doc

# The real AWS CLI against the emulator; arguments go to pytest, e.g. `just e2e -k resize`
e2e *arguments:
    PYTEST_ADDOPTS="{{ arguments }}" .ci/run e2e

# The built plugin against a real account: `just live TARGET=i-0123456789abcdef0`, skipped without it or credentials
@live *variables:
    cargo build --quiet --workspace --bins
    [[ -x target/e2e-venv/bin/python ]] || { echo "run \`just e2e\` first: it installs what this needs" >&2; exit 1; }
    env {{ variables }} target/e2e-venv/bin/python e2e/live.py

# A shell through the emulator
shell:
    cargo run -p ssm-session-emulator -- shell

# What a shell costs beside a bare WebSocket, and a forward beside a bare relay, in the same run
bench:
    cargo bench -p session-manager-plugin

# Simulated sessions on a fake clock, over paths that lose, repeat, reorder and break: `just sim 100000`
sim sessions="100000":
    SIM_SESSIONS={{ sessions }} cargo test --config profile.dev.package.ssm-session-proto.opt-level=2 \
      -p ssm-session-proto --test it -- --ignored --nocapture many_sessions

# Mixed load through one forward, for growth and for what is lost: `just soak 10`, `just soak 60 --cut-every 60`
soak *arguments:
    cargo build --workspace --bins
    PYTHONPATH=e2e target/e2e-venv/bin/python e2e/soak.py {{ arguments }}

# How long a user sits before a silent program, fault by fault, with the limits that users have
faults:
    E2E_DEFAULT_LIMITS=1 PYTEST_ADDOPTS="-k test_told" .ci/run e2e

# Licences, sources and duplicate versions of the dependencies
deny:
    cargo deny --all-features check

# Line coverage of the protocol crate by its own tests: lists uncovered lines, fails under 95 %
coverage:
    #!/usr/bin/env bash
    set -euo pipefail
    # llvm-cov has to be of rustc's LLVM: rustup's component when installed, else Debian's package.
    llvm="$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')"
    if [[ -z ${LLVM_COV:-} && ! -x "$(rustc --print target-libdir)/../bin/llvm-cov" ]]; then
      command -v "llvm-cov-$llvm" >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends "llvm-$llvm"; }
      export LLVM_COV="llvm-cov-$llvm" LLVM_PROFDATA="llvm-profdata-$llvm"
    fi
    command -v cargo-llvm-cov >/dev/null || cargo install cargo-llvm-cov --locked
    cargo llvm-cov --package ssm-session-proto --show-missing-lines --fail-under-lines 95

# Looks for inputs that break a promise of the protocol crate: `just fuzz pair 600`; targets: frames, bodies, smux, pair
fuzz target seconds="600":
    #!/usr/bin/env bash
    set -euo pipefail
    command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked
    # Finds go beside the corpus; `cargo fuzz cmin` picks those worth keeping.
    mkdir -p fuzz/target/found/{{ target }}
    cargo fuzz run --sanitizer none {{ target }} fuzz/target/found/{{ target }} fuzz/corpus/{{ target }} -- \
      -max_total_time={{ seconds }} -max_len=2048
