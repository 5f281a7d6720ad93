//! Standard input, read by a thread of its own.

use std::io;
use std::io::Read;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use bytes::Bytes;
use tokio::sync::mpsc;

/// Standard input in chunks as they come.
///
/// The thread blocks in `read` and nothing waits for it: neither the end of the program nor a session that accepts
/// no input. It reads ahead a few chunks at most; while those are not taken, the rest stays with whoever writes it.
#[derive(Debug)]
pub(crate) struct Input {
    chunks: mpsc::Receiver<Bytes>,
    turn: Arc<Mutex<()>>,
}

impl Input {
    /// Starts reading this process's standard input.
    pub(crate) fn stdin() -> io::Result<Self> {
        let turn = Arc::new(Mutex::new(()));
        let stdin = Stdin {
            turn: Arc::clone(&turn),
            has_read: false,
        };
        Self::of(stdin, turn)
    }

    fn of(source: impl Read + Send + 'static, turn: Arc<Mutex<()>>) -> io::Result<Self> {
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        std::thread::Builder::new()
            .name("standard input".to_owned())
            .spawn(move || pump(source, &sender))?;
        Ok(Self { chunks, turn })
    }

    /// Nothing more is read until the guard is dropped, so that whoever has the terminal next gets what is typed next;
    /// `None` in the midst of a read.
    pub(crate) fn hold(&self) -> Option<MutexGuard<'_, ()>> {
        self.turn.try_lock().ok()
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
struct Stdin {
    /// Held while a read takes what is there.
    turn: Arc<Mutex<()>>,
    /// Whether the handle's own buffer is empty: that is what the first read takes, and others go past it.
    has_read: bool,
}

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut turn = None;
            if self.has_read {
                wait_until_readable()?;
                turn = self.turn.lock().ok();
                if !is_readable()? {
                    continue; // somebody else had the terminal meanwhile, and has taken it
                }
            }
            let result = io::stdin().lock().read(buffer);
            drop(turn);
            match result {
                // Whoever shares the open file may have made it non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_until_readable()?;
                }
                result => {
                    self.has_read = true;
                    return result;
                }
            }
        }
    }
}

#[cfg(unix)]
fn wait_until_readable() -> io::Result<()> {
    poll(None)?;
    Ok(())
}

#[cfg(unix)]
fn is_readable() -> io::Result<bool> {
    poll(Some(&rustix::event::Timespec::default()))
}

/// Whether a read would not block; it may tell of an end or an error.
#[cfg(unix)]
fn poll(limit: Option<&rustix::event::Timespec>) -> io::Result<bool> {
    use rustix::event::PollFd;
    use rustix::event::PollFlags;

    let stdin = rustix::stdio::stdin();
    let ready = rustix::io::retry_on_intr(|| {
        rustix::event::poll(&mut [PollFd::new(&stdin, PollFlags::IN)], limit)
    })?;
    Ok(ready > 0)
}

/// Windows reads of standard handles always block, and nobody else gets the console in the midst of a session.
#[cfg(windows)]
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
fn wait_until_readable() -> io::Result<()> {
    Ok(())
}

#[cfg(windows)]
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
fn is_readable() -> io::Result<bool> {
    Ok(true)
}

/// What a pipe of Linux holds.
const CHUNK: usize = 64 * 1024;
const CHUNKS_AHEAD: usize = 2;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn input(source: impl Read + Send + 'static) -> Input {
        Input::of(source, Arc::default()).unwrap()
    }

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
        assert_eq!(everything(input(reader)).await, sent);
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
        assert_eq!(everything(input(Hangup(Some(b"last")))).await, b"last");
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
        assert_eq!(everything(input(Interrupted(0))).await, b"x");
    }
}
