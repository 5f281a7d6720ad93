//! The two ways to the server: through the forward, and through two relays.

use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use crate::accounting;
use crate::process::Process;
use crate::relay::Place;

/// How long anything may take before the benchmark gives up.
const LIMIT: Duration = Duration::from_secs(10);

/// A way to the server with two processes on it.
pub(crate) struct Path<'a> {
    port: u16,
    /// The plugin, or what stands in its place.
    near: Process,
    far: Process,
    server: &'a Process,
}

/// Processor time.
#[derive(Clone, Copy)]
pub(crate) struct Cpu {
    pub(crate) near: Duration,
    /// Of client, both processes on the way, and server.
    pub(crate) all: Duration,
}

impl<'a> Path<'a> {
    /// Through the plugin, and the emulator with an agent that sends so much in a message.
    pub(crate) fn forward(agent_payload: usize, server: &'a (Process, u16)) -> Self {
        let (far, response) = Process::emulator(agent_payload, server.1);
        let (near, port) = Process::plugin(&response);
        Self {
            port,
            near,
            far,
            server: &server.0,
        }
    }

    /// Through two relays.
    pub(crate) fn limit(server: &'a (Process, u16)) -> Self {
        let (far, port) = Process::relay(Place::Agent, server.1);
        let (near, port) = Process::relay(Place::Plugin, port);
        Self {
            port,
            near,
            far,
            server: &server.0,
        }
    }

    /// A new connection to the server.
    pub(crate) fn connect(&self) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("somebody listens");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(LIMIT)).expect("a socket");
        stream.set_write_timeout(Some(LIMIT)).expect("a socket");
        Connection(stream)
    }

    /// Processor time so far.
    pub(crate) fn cpu(&self) -> Cpu {
        let near = self.near.cpu();
        let client = accounting::cpu(std::process::id());
        Cpu {
            near,
            all: near + client + self.far.cpu() + self.server.cpu(),
        }
    }

    /// Most memory of the plugin so far, in KiB.
    pub(crate) fn peak(&self) -> u64 {
        self.near.peak()
    }
}

/// A connection to the server, over whichever path.
pub(crate) struct Connection(TcpStream);

impl Connection {
    pub(crate) fn send(&mut self, data: &[u8]) {
        self.0.write_all(data).expect("the server takes it");
    }

    pub(crate) fn receive(&mut self, data: &mut [u8]) {
        self.0.read_exact(data).expect("the server answers");
    }
}
