//! Output read until something expected has come.

use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;

/// Against hanging alone: nothing here takes a tenth of it.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

/// Bytes as they come from the program.
pub(crate) struct Output<R> {
    source: R,
    seen: Vec<u8>,
    /// Where the next search begins: behind what was found last.
    from: usize,
}

impl<R: AsyncRead + Unpin> Output<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            seen: Vec::new(),
            from: 0,
        }
    }

    /// Reads until `text` has come behind what was found before.
    pub(crate) async fn until(&mut self, text: &str) {
        loop {
            let rest = &self.seen[self.from..];
            let found = rest
                .windows(text.len())
                .position(|window| window == text.as_bytes());
            if let Some(at) = found {
                self.from += at + text.len();
                return;
            }
            assert!(self.more().await, "ended before {text:?}:\n{}", self.text());
        }
    }

    /// Reads until `text` has come behind what was found before, and answers with what stands between.
    pub(crate) async fn up_to(&mut self, text: &str) -> String {
        let from = self.from;
        self.until(text).await;
        let between = &self.seen[from..self.from - text.len()];
        String::from_utf8_lossy(between).into_owned()
    }

    /// Reads this many bytes behind what was found before.
    pub(crate) async fn take(&mut self, length: usize) -> Vec<u8> {
        while self.seen.len() < self.from + length {
            assert!(self.more().await, "ended early:\n{}", self.text());
        }
        let from = self.from;
        self.from += length;
        self.seen[from..self.from].to_vec()
    }

    /// Reads to the end and answers with what came behind what was found before.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        self.seen.split_off(self.from)
    }

    /// Reads to the end and answers with all that ever came.
    pub(crate) async fn until_end(&mut self) -> String {
        while self.more().await {}
        self.text()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Reads once; `false` at the end, which for a terminal is the error that its other side is closed.
    async fn more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        let read = tokio::time::timeout(GUARD, self.source.read(&mut buffer)).await;
        let Ok(read) = read else {
            panic!("nothing more came:\n{}", self.text())
        };
        let length = read.unwrap_or(0);
        self.seen.extend_from_slice(&buffer[..length]);
        length > 0
    }
}
