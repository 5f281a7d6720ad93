//! Standard input, read by a thread of its own.

use std::io;
use std::io::Read;

use bytes::Bytes;
use tokio::sync::mpsc;

/// Standard input in chunks as they come.
///
/// The thread blocks in `read` and nothing waits for it: neither the end of the program nor a session that accepts
/// no input. It reads ahead a few chunks at most; while those are not taken, the rest stays with whoever writes it.
#[derive(Debug)]
pub(crate) struct Input {
    chunks: mpsc::Receiver<Bytes>,
}

impl Input {
    /// Starts reading this process's standard input.
    pub(crate) fn stdin() -> io::Result<Self> {
        Self::of(Stdin)
    }

    fn of(source: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        std::thread::Builder::new()
            .name("standard input".to_owned())
            .spawn(move || pump(source, &sender))?;
        Ok(Self { chunks })
    }

    /// The next bytes; `None` at the end of the input. Nothing is lost when the wait is given up.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        self.chunks.recv().await
    }
}

fn pump(mut source: impl Read, chunks: &mpsc::Sender<Bytes>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                let chunk = Bytes::copy_from_slice(&buffer[..length]);
                if chunks.blocking_send(chunk).is_err() {
                    return; // the session is over
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                // A terminal that has gone says EIO: for the far end that is the end of the input as well.
                tracing::debug!(%error, "standard input ended with an error");
                return;
            }
        }
    }
}

/// The standard library's handle, so that bytes read ahead of the session (a token's line) are not skipped, and so
/// that a Windows console's UTF-16 arrives as UTF-8.
struct Stdin;

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match io::stdin().lock().read(buffer) {
                // Whoever shares the open file may have made it non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_until_readable()?;
                }
                result => return result,
            }
        }
    }
}

#[cfg(unix)]
fn wait_until_readable() -> io::Result<()> {
    use rustix::event::PollFd;
    use rustix::event::PollFlags;

    let stdin = rustix::stdio::stdin();
    rustix::io::retry_on_intr(|| {
        rustix::event::poll(&mut [PollFd::new(&stdin, PollFlags::IN)], None)
    })?;
    Ok(())
}

/// Windows reads of standard handles always block.
#[cfg(windows)]
fn wait_until_readable() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What a pipe of Linux holds.
const CHUNK: usize = 64 * 1024;
const CHUNKS_AHEAD: usize = 2;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    async fn everything(mut input: Input) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(chunk) = input.next().await {
            all.extend_from_slice(&chunk);
        }
        all
    }

    #[tokio::test]
    async fn a_megabyte_arrives_whole_and_in_order() {
        let sent: Vec<u8> = (0..1_u32 << 18).flat_map(u32::to_le_bytes).collect();
        let (reader, mut writer) = io::pipe().unwrap();
        let copy = sent.clone();
        let writing = std::thread::spawn(move || writer.write_all(&copy).unwrap());
        assert_eq!(everything(Input::of(reader).unwrap()).await, sent);
        writing.join().unwrap();
    }

    #[tokio::test]
    async fn a_read_error_is_the_end_of_input() {
        struct Hangup(Option<&'static [u8]>);
        impl Read for Hangup {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let last = self.0.take().ok_or(io::ErrorKind::Other)?;
                buffer[..last.len()].copy_from_slice(last);
                Ok(last.len())
            }
        }
        assert_eq!(
            everything(Input::of(Hangup(Some(b"last"))).unwrap()).await,
            b"last"
        );
    }

    #[tokio::test]
    async fn an_interrupted_read_is_repeated() {
        struct Interrupted(u8);
        impl Read for Interrupted {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                match self.0 {
                    1 => Err(io::ErrorKind::Interrupted.into()),
                    2 => {
                        buffer[0] = b'x';
                        Ok(1)
                    }
                    _ => Ok(0),
                }
            }
        }
        assert_eq!(everything(Input::of(Interrupted(0)).unwrap()).await, b"x");
    }
}
