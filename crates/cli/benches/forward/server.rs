//! The destination behind either path, and what a client says to it.
//!
//! `u` and a length: that many bytes follow, and one comes back when all have arrived. `d` and a length: that many
//! bytes come back. Any other byte comes back itself.

use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::net::TcpStream;

pub(crate) const UPLOAD: u8 = b'u';
pub(crate) const DOWNLOAD: u8 = b'd';
pub(crate) const ECHO: u8 = b'e';
/// Bytes read or written at once, by client and server.
pub(crate) const PIECE: usize = 64 * 1024;

/// Serves on threads until the process ends; the port.
pub(crate) fn start() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let connection = connection.expect("a connection");
            std::thread::spawn(move || serve(connection));
        }
    });
    port
}

/// Until the client leaves, in whatever way.
fn serve(mut connection: TcpStream) -> Option<()> {
    connection.set_nodelay(true).ok()?;
    let mut buffer = vec![b'x'; PIECE];
    loop {
        let mut command = [0];
        connection.read_exact(&mut command).ok()?;
        match command[0] {
            UPLOAD => {
                let mut left = length(&mut connection)?;
                while left > 0 {
                    let most = left.min(PIECE);
                    match connection.read(&mut buffer[..most]).ok()? {
                        0 => return None,
                        read => left -= read,
                    }
                }
                connection.write_all(&command).ok()?;
            }
            DOWNLOAD => {
                let mut left = length(&mut connection)?;
                while left > 0 {
                    let piece = left.min(PIECE);
                    connection.write_all(&buffer[..piece]).ok()?;
                    left -= piece;
                }
            }
            _ => connection.write_all(&command).ok()?,
        }
    }
}

fn length(connection: &mut TcpStream) -> Option<usize> {
    let mut length = [0; 8];
    connection.read_exact(&mut length).ok()?;
    usize::try_from(u64::from_be_bytes(length)).ok()
}
