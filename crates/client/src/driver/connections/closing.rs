//! The end of a connection from the moment the far end has said its last byte.

use std::io;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::read_buffer::ReadBuffer;
use super::side::Side;

/// How long a program may keep its connection after it was given everything.
const LIMIT: Duration = Duration::from_secs(30);
/// The same for a program that writes on: closing has its next write fail, so that it learns
/// that nobody listens.
const LIMIT_OF_WRITERS: Duration = Duration::from_secs(1);
/// Most reads in a turn.
const MAX_READS: usize = 8;
const READ: usize = 64 * 1024;

/// Gives the program what is left and the end, and throws away what it still sends until it has
/// closed its side too. Closing before that could take from it what it has not read.
#[derive(Debug)]
pub(super) struct Closing {
    /// When everything was written, the end included.
    shut: Option<Instant>,
    /// When the program first sent something that nobody takes.
    discarded: Option<Instant>,
    input_over: bool,
}

impl Closing {
    /// `input_over` if the program has said its last byte too.
    pub(super) fn new(input_over: bool) -> Self {
        Self {
            shut: None,
            discarded: None,
            input_over,
        }
    }

    /// Moves on as far as it goes. True once the connection can be closed.
    pub(super) fn work(
        &mut self,
        side: &mut Side,
        buffer: &mut ReadBuffer,
        now: Instant,
    ) -> io::Result<bool> {
        self.discard(side, buffer, now)?;
        if self.shut.is_none() && side.write()? && side.shut_down()? {
            self.shut = Some(now);
        }
        let over = self.input_over || self.due().is_some_and(|due| due <= now);
        Ok(self.shut.is_some() && over)
    }

    /// When the patience with the program ends.
    pub(super) fn due(&self) -> Option<Instant> {
        let shut = self.shut?;
        let of_writers = self
            .discarded
            .map(|discarded| discarded.max(shut) + LIMIT_OF_WRITERS);
        Some(of_writers.map_or(shut + LIMIT, |at| at.min(shut + LIMIT)))
    }

    fn discard(
        &mut self,
        side: &mut Side,
        buffer: &mut ReadBuffer,
        now: Instant,
    ) -> io::Result<()> {
        for _ in 0..MAX_READS {
            if self.input_over {
                return Ok(());
            }
            match side.read(READ, buffer) {
                Poll::Ready(data) if data.as_ref().is_ok_and(|data| !data.is_empty()) => {
                    self.discarded.get_or_insert(now);
                }
                Poll::Ready(ended) => self.input_over = ended?.is_empty(),
                Poll::Pending => return Ok(()),
            }
        }
        side.bell().ring();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::io::AsyncReadExt as _;
    use tokio::io::AsyncWriteExt as _;
    use tokio::io::DuplexStream;

    use super::super::ready::ReadyQueue;
    use super::*;
    use crate::local_connection::LocalConnection;

    /// A connection on which `answer` waits for the program.
    fn closing(answer: &'static [u8]) -> (DuplexStream, Side, Closing) {
        let (program, ours) = tokio::io::duplex(16);
        let bell = ReadyQueue::default().bell(0);
        let mut side = Side::new(LocalConnection::new(ours), bell);
        side.push(Bytes::from_static(answer));
        (program, side, Closing::new(false))
    }

    #[tokio::test(start_paused = true)]
    async fn the_program_gets_everything_and_the_end_while_it_still_writes() {
        let (mut program, mut side, mut closing) = closing(b"a rather long answer");
        let mut buffer = ReadBuffer::default();
        program.write_all(&[1; 16]).await.unwrap();
        assert!(
            !closing
                .work(&mut side, &mut buffer, Instant::now())
                .unwrap()
        );
        program.write_all(&[1; 16]).await.unwrap();
        let mut answer = [0; 20];
        program.read_exact(&mut answer[..16]).await.unwrap();
        assert!(
            !closing
                .work(&mut side, &mut buffer, Instant::now())
                .unwrap()
        );
        program.read_exact(&mut answer[16..]).await.unwrap();
        assert_eq!(&answer, b"a rather long answer");
        assert_eq!(program.read(&mut answer).await.unwrap(), 0);
        drop(program);
        assert!(
            closing
                .work(&mut side, &mut buffer, Instant::now())
                .unwrap()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn patience_is_short_with_a_program_that_writes_on() {
        let start = Instant::now();
        for (writes, limit) in [(false, LIMIT), (true, LIMIT_OF_WRITERS)] {
            let (mut program, mut side, mut closing) = closing(b"answer");
            let mut buffer = ReadBuffer::default();
            if writes {
                program.write_all(b"more").await.unwrap();
            }
            assert!(!closing.work(&mut side, &mut buffer, start).unwrap());
            assert_eq!(closing.due(), Some(start + limit));
            assert!(closing.work(&mut side, &mut buffer, start + limit).unwrap());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_has_not_read_its_answer_is_waited_for() {
        let (_program, mut side, mut closing) = closing(b"a rather long answer");
        let mut buffer = ReadBuffer::default();
        assert!(
            !closing
                .work(&mut side, &mut buffer, Instant::now())
                .unwrap()
        );
        assert_eq!(closing.due(), None);
    }
}
