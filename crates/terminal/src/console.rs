//! A session joined with the local terminal.

use std::fmt;
use std::future::Future;
use std::io;
use std::io::IsTerminal as _;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use ssm_session::Close;
use ssm_session::Session;
use ssm_session_proto::OutputStream;
use tokio::time::Instant;

use crate::output::Output;
use crate::raw_mode::is_raw;
use crate::signals::Notice;
use crate::signals::Signal;
use crate::signals::Signals;
use crate::text::with_returns;

mod conversation;
mod forward;
mod gathered;
mod outage;
mod outcome;
mod relay;
mod row;
mod setup;
mod typing;

pub use outcome::Outcome;
pub use setup::Setup;

/// Where a session's output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// All of it to standard output, the far end's standard error, exit code and messages included, as AWS's own
    /// plugin does (`docs/PROTOCOL.md` 7.1).
    Merged,
    /// Standard output carries the far end's standard output and nothing else; its standard error and messages go to
    /// standard error.
    Separate,
}

/// This process's terminal, standard streams and signals, for the one session of a program.
///
/// From [`Console::open`] on the signals that would end the process end the waits of this type instead, each in order.
#[derive(Debug)]
pub struct Console {
    streams: Streams,
    output: Output,
    signals: Signals,
    leaving: Option<Leaving>,
    stdout_is_data: bool,
}

/// The end has been asked for, by a signal or otherwise: from then on a reader that blocks may hold nothing up beyond
/// `deadline`.
#[derive(Clone, Copy, Debug)]
struct Leaving {
    signal: Option<Signal>,
    deadline: Instant,
}

impl Console {
    /// Takes over the signals, also those this process was started with ignoring, and starts the thread that writes.
    ///
    /// # Errors
    ///
    /// What the system says when handlers, descriptors or threads cannot be had.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime that has I/O and time enabled.
    pub fn open(streams: Streams) -> io::Result<Self> {
        Ok(Self {
            streams,
            output: Output::standard()?,
            signals: Signals::install()?,
            leaving: None,
            stdout_is_data: false,
        })
    }

    /// Has the death of the parent process end a wait or a session as SIGHUP does: for programs that another one
    /// starts for one session and is killed itself without a word. Not followed are process 1, which is the parent of
    /// whoever has none any more, and a parent of a session that is one connection over standard input and output:
    /// `ssh` runs its `ProxyCommand` from a process that ends when it goes to the background, and closes the streams
    /// when it has ended.
    ///
    /// It is noticed at once on Linux, on other Unix systems within a second, and on Windows not at all: there the
    /// console's closing tells of it where there is one.
    ///
    /// # Errors
    ///
    /// What the system says when the parent cannot be watched.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime that has I/O and time enabled.
    pub fn follow_caller(&mut self) -> io::Result<()> {
        self.signals.follow_caller()
    }

    /// Prints text for the user on standard output, exactly as it is.
    pub async fn print(&mut self, text: &str) {
        self.say(OutputStream::Stdout, text).await;
    }

    /// Prints text for the user on standard error, exactly as it is.
    pub async fn print_error(&mut self, text: &str) {
        self.say(OutputStream::Stderr, text).await;
    }

    /// Waits for something that has a time limit of its own, tells the user at a terminal what is being waited for
    /// when it takes long, and gives up at a signal.
    ///
    /// # Errors
    ///
    /// The signal.
    pub async fn wait_for<T>(
        &mut self,
        what: impl fmt::Display,
        work: impl Future<Output = T>,
    ) -> Result<T, Signal> {
        self.wait_for_unless(what, work, || false).await
    }

    /// [`Self::wait_for`] that says nothing while `has_terminal` says that a question of somebody else's stands on the
    /// terminal.
    ///
    /// # Errors
    ///
    /// The signal.
    pub async fn wait_for_unless<T>(
        &mut self,
        what: impl fmt::Display,
        work: impl Future<Output = T>,
        has_terminal: impl Fn() -> bool,
    ) -> Result<T, Signal> {
        let mut work = pin!(work);
        let mut patience = Patience::new(io::stderr().is_terminal());
        loop {
            if let Some(signal) = self.signal() {
                return Err(signal);
            }
            tokio::select! {
                done = &mut work => return Ok(done),
                notice = self.signals.next() => self.note(notice),
                () = patience.lost() => {
                    if has_terminal() {
                        patience = Patience::new(true);
                    } else {
                        self.say_waiting(&what).await;
                    }
                }
            }
        }
    }

    /// Runs a session to its end: [`Self::run_with`] nothing brought along.
    pub async fn run(&mut self, session: Session, waiting_for: impl fmt::Display) -> Outcome {
        self.run_with(session, waiting_for, &mut Setup::default())
            .await
    }

    /// Runs a session to its end, with the terminal in raw mode while a shell or an interactive command has it.
    ///
    /// A forward takes connections at its local end, and leaves standard input alone. A port session without a local
    /// end is one connection over standard input and output, as `ssh` wants it of its `ProxyCommand`: bytes pass
    /// unchanged, [`Self::stdout_is_data`] from then on, and the end of standard input ends the session once the far
    /// end has been silent for 10 s, or at once where nobody reads standard output.
    ///
    /// In a shell the user can leave, suspend the program and more by [`Setup::escape`], also while the far end cannot
    /// be reached: `?` behind it says how. What is typed meanwhile is kept for the far end, 64 KiB of it at least, and
    /// refused beyond that by the bell and a word, once the user knows of the outage; until then no more is read. The
    /// outage itself is told on a row of the screen that goes away when it is over ([`Texts::row`](crate::Texts::row)).
    ///
    /// `waiting_for` completes the sentence "Waiting for …" until the far end answers.
    /// When this returns the terminal is as it was, and all output has been written unless the outcome says that it
    /// could not be, or is a signal.
    pub async fn run_with(
        &mut self,
        session: Session,
        waiting_for: impl fmt::Display,
        setup: &mut Setup,
    ) -> Outcome {
        if let Some(signal) = self.signal() {
            return Outcome::Signalled(signal);
        }
        conversation::Conversation::new(self, session, setup)
            .run(&waiting_for)
            .await
    }

    /// Whether standard output has carried a connection's bytes, so that no text of the program belongs there.
    #[must_use]
    pub fn stdout_is_data(&self) -> bool {
        self.stdout_is_data
    }

    /// Waits until the session's output has left this process; a signal ends the wait.
    pub async fn close(mut self) {
        self.flush().await;
    }

    /// How a session ended that has closed, once the rest of its output is out. `ending` is why this side ended it.
    async fn conclude(&mut self, ending: Option<Outcome>, close: Close) -> Outcome {
        self.flush().await;
        if let Some(outcome) = ending {
            return outcome;
        }
        if let Some(signal) = self.signal() {
            return Outcome::Signalled(signal);
        }
        match self.output_outcome() {
            // A reader that left before the end has what it wanted; the session still ended by itself.
            Outcome::OutputClosed => Outcome::Closed(close),
            failed => failed,
        }
    }

    /// What became of standard output, if it can be written to no more or nobody reads it.
    fn output_outcome(&self) -> Outcome {
        match self.output.failure() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Outcome::OutputFailed(error)
            }
            _ => Outcome::OutputClosed,
        }
    }

    async fn flush(&mut self) {
        let least = Instant::now() + TEXT_LIMIT;
        let flushed = self.output.flushed();
        let mut flushed = pin!(flushed);
        loop {
            tokio::select! {
                () = &mut flushed => return,
                notice = self.signals.next() => {
                    if let Some(signal) = ending(notice) {
                        self.leaving = Some(Leaving::at_once(signal));
                    }
                }
                () = until(self.leaving.map(|leaving| leaving.deadline.max(least))) => return,
            }
        }
    }

    /// Prints and waits until it is out, so that a change of the terminal's mode comes behind it.
    async fn say(&mut self, stream: OutputStream, text: &str) {
        self.write(stream, printable(stream, text)).await;
        self.flush().await;
    }

    /// Waits for room and writes, unless a signal has ended the waiting.
    async fn write(&mut self, stream: OutputStream, data: Bytes) {
        let least = Instant::now() + TEXT_LIMIT;
        let place = loop {
            tokio::select! {
                place = self.output.place() => break place,
                notice = self.signals.next() => {
                    if let Some(signal) = ending(notice) {
                        self.leaving = Some(Leaving::at_once(signal));
                    }
                }
                () = until(self.leaving.map(|leaving| leaving.deadline.max(least))) => return,
            }
        };
        place.write(stream, data);
    }

    async fn say_waiting(&mut self, what: &(impl fmt::Display + ?Sized)) {
        self.say(OutputStream::Stderr, &waiting(what)).await;
    }

    fn note(&mut self, notice: Notice) {
        if let Some(signal) = ending(notice) {
            self.leave(signal);
        }
    }

    fn leave(&mut self, signal: Signal) {
        self.leaving = Some(Leaving::in_order(Some(signal)));
    }

    /// The end has been asked for, though by no signal.
    fn hurry(&mut self) {
        self.leaving.get_or_insert_with(|| Leaving::in_order(None));
    }

    /// The signal that has asked for the end.
    fn signal(&self) -> Option<Signal> {
        self.leaving.and_then(|leaving| leaving.signal)
    }

    /// Where text among a session's output goes.
    fn text_stream(&self) -> OutputStream {
        match self.streams {
            Streams::Merged => OutputStream::Stdout,
            Streams::Separate => OutputStream::Stderr,
        }
    }

    /// The stream by which a terminal's screen is reached, if it is: that for text, or else standard output, which
    /// nobody but a user reads then.
    fn screen(&self) -> Option<OutputStream> {
        let texts = self.text_stream();
        [texts, OutputStream::Stdout]
            .into_iter()
            .find(|stream| is_terminal(*stream))
    }
}

impl Leaving {
    fn in_order(signal: Option<Signal>) -> Self {
        Self {
            signal,
            deadline: Instant::now() + LEAVING_LIMIT,
        }
    }

    fn at_once(signal: Signal) -> Self {
        Self {
            signal: Some(signal),
            deadline: Instant::now(),
        }
    }
}

/// The time after which a user at a terminal is told what is being waited for, once.
struct Patience {
    ends: Option<Instant>,
}

impl Patience {
    fn new(at_terminal: bool) -> Self {
        Self {
            ends: at_terminal.then(|| Instant::now() + PATIENCE),
        }
    }

    /// Waits until patience is lost; never returns a second time.
    async fn lost(&mut self) {
        until(self.ends).await;
        self.ends = None;
    }
}

fn waiting(what: &(impl fmt::Display + ?Sized)) -> String {
    format!("Waiting for {what}; press Ctrl-C to give up.\n")
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// What a notice means while there is no far end to pass it to.
fn ending(notice: Notice) -> Option<Signal> {
    match notice {
        Notice::End(signal) => Some(signal),
        Notice::Quit => Some(Signal::Quit),
        Notice::Stop | Notice::Resized | Notice::Continued => None,
    }
}

/// The text as bytes for a stream, with the line ends of a raw terminal if that is what the stream is.
fn printable(stream: OutputStream, text: &str) -> Bytes {
    if is_raw() && is_terminal(stream) {
        with_returns(text).into()
    } else {
        text.to_owned().into()
    }
}

fn is_terminal(stream: OutputStream) -> bool {
    match stream {
        OutputStream::Stdout => io::stdout().is_terminal(),
        OutputStream::Stderr => io::stderr().is_terminal(),
    }
}

/// For output that is blocked when the end was asked for. Longer than the session's own limits for its end, by the far
/// end and by the API ([`ssm_session::Timeouts::terminate`] for each), which are the ones to be met.
const LEAVING_LIMIT: Duration = Duration::from_secs(8);
/// What a text gets in any case, also when the end has been asked for: to leave it takes no time unless a reader blocks.
const TEXT_LIMIT: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_user_at_a_terminal_is_told_once_after_ten_seconds() {
        let start = Instant::now();
        let mut patience = Patience::new(true);
        patience.lost().await;
        assert_eq!(start.elapsed(), PATIENCE);
        let again = tokio::time::timeout(PATIENCE * 100, patience.lost()).await;
        assert!(again.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn where_standard_error_is_no_terminal_nothing_is_said() {
        let said = tokio::time::timeout(PATIENCE * 100, Patience::new(false).lost()).await;
        assert!(said.is_err());
    }

    #[test]
    fn only_signals_that_ask_for_the_end_end_a_wait() {
        assert_eq!(ending(Notice::End(Signal::Hangup)), Some(Signal::Hangup));
        assert_eq!(ending(Notice::Quit), Some(Signal::Quit));
        for notice in [Notice::Stop, Notice::Resized, Notice::Continued] {
            assert_eq!(ending(notice), None);
        }
    }
}
