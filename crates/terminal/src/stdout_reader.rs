//! Whether anybody can still read standard output.

use std::io;

use tokio::sync::oneshot;

/// Watches for the moment from which nobody can read standard output any more, though nothing is written to it.
///
/// On Unix the system is asked, by a thread that blocks in `poll` and that nothing waits for. Elsewhere only a write
/// that fails can tell.
#[derive(Debug)]
pub(crate) struct StdoutReader {
    gone: oneshot::Receiver<()>,
}

impl StdoutReader {
    pub(crate) fn watch() -> io::Result<Self> {
        #[cfg(unix)]
        {
            use std::os::fd::AsFd as _;
            Self::of(io::stdout().as_fd().try_clone_to_owned()?)
        }
        #[cfg(not(unix))]
        {
            Ok(Self {
                gone: oneshot::channel().1,
            })
        }
    }

    #[cfg(unix)]
    fn of(descriptor: std::os::fd::OwnedFd) -> io::Result<Self> {
        let (sender, gone) = oneshot::channel();
        std::thread::Builder::new()
            .name("reader of standard output".to_owned())
            .spawn(move || {
                if unix::wait_until_unreadable(&descriptor) {
                    // Whoever waited for it has come to an end.
                    sender.send(()).unwrap_or_default();
                }
            })?;
        Ok(Self { gone })
    }

    /// Waits until the reader has gone. Not to be asked again then.
    pub(crate) async fn gone(&mut self) {
        if (&mut self.gone).await.is_err() {
            // There is no way to know.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
mod unix {
    use std::os::fd::OwnedFd;

    use rustix::event::PollFd;
    use rustix::event::PollFlags;

    /// Errors and hang-ups are reported unasked: of a pipe without readers, of a socket whose peer has closed it, and
    /// not of one whose peer only writes no more.
    pub(super) fn wait_until_unreadable(descriptor: &OwnedFd) -> bool {
        let mut descriptors = [PollFd::new(descriptor, PollFlags::empty())];
        match rustix::io::retry_on_intr(|| rustix::event::poll(&mut descriptors, None)) {
            Ok(_) => descriptors[0]
                .revents()
                .intersects(PollFlags::ERR | PollFlags::HUP),
            Err(error) => {
                tracing::debug!(%error, "standard output cannot be watched");
                false
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Write as _;
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;

    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_pipe_is_unreadable_once_its_last_reader_has_gone() {
        let (reader, mut writer) = io::pipe().unwrap();
        let another = reader.try_clone().unwrap();
        let mut watch = StdoutReader::of(writer.try_clone().unwrap().into()).unwrap();
        writer.write_all(b"x").unwrap();
        drop(reader);
        assert!(watch.gone().now_or_never().is_none());
        drop(another);
        watch.gone().await;
    }

    #[tokio::test]
    async fn a_socket_is_unreadable_once_its_peer_has_closed_it_and_not_before() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut watch = StdoutReader::of(ours.try_clone().unwrap().into()).unwrap();
        theirs.shutdown(Shutdown::Write).unwrap();
        assert!(watch.gone().now_or_never().is_none());
        drop(theirs);
        watch.gone().await;
    }
}
