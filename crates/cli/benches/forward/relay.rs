//! The limit: a process that passes TCP connections on, and hashes what the protocol makes it hash.

use std::hint::black_box;
use std::io::Read as _;
use std::io::Write as _;
use std::net::Shutdown;
use std::net::TcpListener;
use std::net::TcpStream;

use sha2::Digest as _;
use sha2::Sha256;

use crate::server::PIECE;

/// In whose place a relay stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// Hashes what it sends up, and what came down to compare.
    Plugin,
    /// Hashes what it sends down. What came up it does not verify, as the real agent does not.
    Agent,
}

impl Place {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plugin => "plugin",
            Self::Agent => "agent",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Plugin, Self::Agent]
            .into_iter()
            .find(|place| place.name() == name)
    }

    fn hashes_up(self) -> bool {
        matches!(self, Self::Plugin)
    }
}

/// Relays to `next` on threads until the process ends; the port.
pub(crate) fn start(place: Place, next: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let connection = connection.expect("a connection");
            std::thread::spawn(move || relay(connection, place, next));
        }
    });
    port
}

fn relay(from: TcpStream, place: Place, next: u16) -> Option<()> {
    let to = TcpStream::connect(("127.0.0.1", next)).ok()?;
    from.set_nodelay(true).ok()?;
    to.set_nodelay(true).ok()?;
    let (answer, answers) = (to.try_clone().ok()?, from.try_clone().ok()?);
    std::thread::spawn(move || pass(answer, answers, true));
    pass(from, to, place.hashes_up())
}

/// Passes on one direction to its end.
fn pass(mut from: TcpStream, mut to: TcpStream, hash: bool) -> Option<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        match from.read(&mut buffer).ok()? {
            0 => return to.shutdown(Shutdown::Write).ok(),
            read => {
                let data = &buffer[..read];
                if hash {
                    black_box(Sha256::digest(data));
                }
                to.write_all(data).ok()?;
            }
        }
    }
}
