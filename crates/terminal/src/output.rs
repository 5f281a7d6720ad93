//! Standard output and standard error, written by a thread of their own.

use std::fs::File;
use std::io;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use ssm_session_proto::OutputStream;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;

/// The output of a session, in the order it came.
///
/// A reader that takes nothing blocks the thread alone; the queue then fills, and whoever feeds it waits at
/// [`Self::place`] while it still answers signals. What is written goes to the system at once.
#[derive(Debug)]
pub(crate) struct Output {
    jobs: mpsc::Sender<Job>,
    broken: watch::Receiver<Option<Arc<io::Error>>>,
}

/// Room for one write.
#[derive(Debug)]
pub(crate) struct Place<'a>(mpsc::Permit<'a, Job>);

impl Place<'_> {
    pub(crate) fn write(self, stream: OutputStream, data: Bytes) {
        self.0.send(Job::Write { stream, data });
    }
}

impl Output {
    /// Starts writing to this process's standard streams.
    pub(crate) fn standard() -> io::Result<Self> {
        Self::to(Descriptor::stdout()?, Descriptor::stderr()?)
    }

    fn to(
        stdout: impl Write + Send + 'static,
        stderr: impl Write + Send + 'static,
    ) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (break_sender, broken) = watch::channel(None);
        std::thread::Builder::new()
            .name("standard output".to_owned())
            .spawn(move || {
                Writer {
                    stdout: Some(stdout),
                    stderr: Some(stderr),
                    broken: break_sender,
                }
                .run(queue);
            })?;
        Ok(Self { jobs, broken })
    }

    /// Waits for room.
    ///
    /// The thread takes jobs for as long as `self` lives, so there is room at some time unless a reader blocks it.
    pub(crate) async fn place(&self) -> Place<'_> {
        match self.jobs.reserve().await {
            Ok(permit) => Place(permit),
            // Only a panic ends the thread early. There is nowhere to write to then, and the guards of the program
            // that wait beside this future (signals, the session's end) are what ends it.
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until all that was written has been handed to the system, or cannot be any more.
    pub(crate) async fn flushed(&self) {
        let (done, wait) = oneshot::channel();
        if self.jobs.send(Job::Report(done)).await.is_ok() {
            // An error means that the thread has ended: as flushed as it will ever be.
            wait.await.unwrap_or_default();
        }
    }

    /// Why standard output cannot be written to any more, if that is known already.
    pub(crate) fn failure(&self) -> Option<Arc<io::Error>> {
        let has_panicked = self.broken.has_changed().is_err();
        let failure = self.broken.borrow().clone();
        failure.or_else(|| has_panicked.then(panicked))
    }

    /// Waits until standard output cannot be written to any more, and says why.
    pub(crate) async fn broken(&self) -> Arc<io::Error> {
        let mut broken = self.broken.clone();
        match broken
            .wait_for(Option::is_some)
            .await
            .map(|error| error.clone())
        {
            Ok(Some(error)) => error,
            _ => panicked(),
        }
    }
}

/// Nothing else ends the thread while its queue is there.
fn panicked() -> Arc<io::Error> {
    let error = "the thread that writes standard output has ended";
    Arc::new(io::Error::other(error))
}

#[derive(Debug)]
enum Job {
    Write { stream: OutputStream, data: Bytes },
    Report(oneshot::Sender<()>),
}

/// The thread. A stream that fails is given up, its data dropped from then on, so that the queue never stands still
/// because of it.
struct Writer<O, E> {
    stdout: Option<O>,
    stderr: Option<E>,
    broken: watch::Sender<Option<Arc<io::Error>>>,
}

impl<O: Write, E: Write> Writer<O, E> {
    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(job) = queue.blocking_recv() {
            match job {
                Job::Write { stream, data } => self.write(stream, &data),
                Job::Report(done) => done.send(()).unwrap_or_default(),
            }
        }
    }

    fn write(&mut self, stream: OutputStream, data: &[u8]) {
        match stream {
            OutputStream::Stdout => {
                if let Some(Err(error)) = self.stdout.as_mut().map(|stdout| stdout.write_all(data))
                {
                    self.stdout = None;
                    self.broken.send_replace(Some(Arc::new(error)));
                }
            }
            OutputStream::Stderr => {
                if let Some(Err(error)) = self.stderr.as_mut().map(|stderr| stderr.write_all(data))
                {
                    self.stderr = None;
                    tracing::debug!(%error, "standard error cannot be written to any more");
                }
            }
        }
    }
}

/// A standard stream without the standard library's line buffer: every byte leaves at once, and a write that the
/// system takes in part loses nothing.
struct Descriptor(File);

impl Descriptor {
    #[cfg(unix)]
    fn stdout() -> io::Result<Self> {
        use std::os::fd::AsFd as _;
        Ok(Self(io::stdout().as_fd().try_clone_to_owned()?.into()))
    }

    #[cfg(unix)]
    fn stderr() -> io::Result<Self> {
        use std::os::fd::AsFd as _;
        Ok(Self(io::stderr().as_fd().try_clone_to_owned()?.into()))
    }

    #[cfg(windows)]
    fn stdout() -> io::Result<Self> {
        use std::os::windows::io::AsHandle as _;
        Ok(Self(io::stdout().as_handle().try_clone_to_owned()?.into()))
    }

    #[cfg(windows)]
    fn stderr() -> io::Result<Self> {
        use std::os::windows::io::AsHandle as _;
        Ok(Self(io::stderr().as_handle().try_clone_to_owned()?.into()))
    }
}

impl Write for Descriptor {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(data) {
                // Whoever shares the open file may have made it non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_until_writable(&self.0)?;
                }
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
fn wait_until_writable(file: &File) -> io::Result<()> {
    use rustix::event::PollFd;
    use rustix::event::PollFlags;

    rustix::io::retry_on_intr(|| {
        rustix::event::poll(&mut [PollFd::new(file, PollFlags::OUT)], None)
    })?;
    Ok(())
}

/// Windows writes to standard handles always block.
#[cfg(windows)]
fn wait_until_writable(_: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Writes of a kilobyte each in a shell, and of some 32 where pieces are joined.
const QUEUE: usize = 16;

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Sink {
        fn taken(&self) -> Vec<u8> {
            self.0.lock().unwrap().clone()
        }
    }

    impl Write for Sink {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .map_err(|_| io::ErrorKind::Other)?
                .extend_from_slice(data);
            Ok(data.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    async fn write(output: &Output, stream: OutputStream, data: &'static [u8]) {
        output.place().await.write(stream, Bytes::from_static(data));
    }

    #[tokio::test]
    async fn each_stream_gets_its_bytes_in_order() {
        let (stdout, stderr) = (Sink::default(), Sink::default());
        let output = Output::to(stdout.clone(), stderr.clone()).unwrap();
        for _ in 0..QUEUE {
            write(&output, OutputStream::Stdout, b"out ").await;
            write(&output, OutputStream::Stderr, b"err ").await;
        }
        output.flushed().await;
        assert_eq!(stdout.taken(), b"out ".repeat(QUEUE));
        assert_eq!(stderr.taken(), b"err ".repeat(QUEUE));
    }

    #[tokio::test]
    async fn a_reader_that_has_gone_is_reported_and_standard_error_still_works() {
        let (reader, stdout) = io::pipe().unwrap();
        drop(reader);
        let stderr = Sink::default();
        let output = Output::to(stdout, stderr.clone()).unwrap();
        for _ in 0..3 * QUEUE {
            write(&output, OutputStream::Stdout, b"nobody reads this").await;
        }
        assert_eq!(output.broken().await.kind(), io::ErrorKind::BrokenPipe);
        write(&output, OutputStream::Stderr, b"still here").await;
        output.flushed().await;
        assert_eq!(stderr.taken(), b"still here");
    }

    /// Else what was lost would pass for a reader that wanted no more.
    #[tokio::test]
    async fn a_thread_that_panics_is_a_failure_of_standard_output() {
        struct Panicking;
        impl Write for Panicking {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                panic!("as a mistake of ours would")
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let output = Output::to(Panicking, io::sink()).unwrap();
        write(&output, OutputStream::Stdout, b"x").await;
        assert_eq!(output.broken().await.kind(), io::ErrorKind::Other);
        assert_eq!(output.failure().unwrap().kind(), io::ErrorKind::Other);
        output.flushed().await;
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_makes_the_writer_wait_and_loses_nothing() {
        let (mut reader, stdout) = io::pipe().unwrap();
        let output = Output::to(stdout, io::sink()).unwrap();
        let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
        let mut written = 0;
        // The pipe's buffer, one blocked write and the queue: then there is no place left.
        while let Ok(place) = tokio::time::timeout(std::time::Duration::ZERO, output.place()).await
        {
            place.write(OutputStream::Stdout, chunk.clone());
            written += chunk.len();
        }
        drop(output);
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read.len(), written);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_non_blocking_output_is_waited_for() {
        let (mut reader, stdout) = io::pipe().unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(stdout));
        rustix::io::ioctl_fionbio(&file, true).unwrap();
        let output = Output::to(Descriptor(file), io::sink()).unwrap();
        let sent = vec![b'x'; 1 << 20];
        output
            .place()
            .await
            .write(OutputStream::Stdout, Bytes::from(sent.clone()));
        drop(output);
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read, sent);
    }
}
