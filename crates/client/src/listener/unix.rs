//! A Unix socket as a file that is ours.

use std::fs;
use std::fs::Permissions;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::task::Context;
use std::task::Poll;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::SocketAddrUnix;
use tokio::net::UnixListener;
use tokio::net::UnixSocket;
use tokio::net::UnixStream;

use super::BACKLOG;
use super::ListenError;

/// The longest path that fits `sun_path` with the NUL behind it.
const MAX_PATH: usize = if cfg!(any(target_os = "linux", target_os = "android")) {
    107
} else {
    103
};
/// Read and write for the owner alone.
const MODE: u32 = 0o600;

/// A listening socket and its file, which goes with it.
#[derive(Debug)]
pub(super) struct SocketFile {
    listener: UnixListener,
    path: PathBuf,
    /// The path from the root: the working directory may change.
    absolute: PathBuf,
    identity: Identity,
}

/// Device and inode: what a file is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64);

impl SocketFile {
    pub(super) fn bind(path: &Path) -> Result<Self, ListenError> {
        check(path)?;
        make_way(path)?;
        Self::create(path).map_err(|error| explain(path, error))
    }

    /// Connecting takes the right to write to the file, and a socket that listens. The mode is
    /// set before it listens, so at no time can another user connect; and it is set twice,
    /// because only on Linux does the file inherit that of the unbound socket. The umask, which
    /// belongs to the whole process, is left alone.
    fn create(path: &Path) -> io::Result<Self> {
        let absolute = std::path::absolute(path)?;
        let socket = UnixSocket::new_stream()?;
        if let Err(error) = rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR) {
            tracing::debug!(%error, "an unbound socket has no mode here");
        }
        socket.bind(path)?;
        let identity = Identity::of(&fs::symlink_metadata(&absolute)?);
        let listening = fs::set_permissions(&absolute, Permissions::from_mode(MODE))
            .and_then(|()| socket.listen(BACKLOG));
        match listening {
            Ok(listener) => Ok(Self {
                listener,
                path: path.to_owned(),
                absolute,
                identity,
            }),
            Err(error) => {
                identity.remove(&absolute);
                Err(error)
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<UnixStream>> {
        self.listener.poll_accept(cx).map_ok(|(stream, _)| stream)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.identity.remove(&self.absolute);
    }
}

impl Identity {
    fn of(metadata: &fs::Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }

    /// Removes the file at `path` if it is this one.
    fn remove(self, path: &Path) {
        let ours = fs::symlink_metadata(path).is_ok_and(|found| Self::of(&found) == self);
        if ours && let Err(error) = fs::remove_file(path) {
            tracing::debug!(%error, path = %path.display(), "a socket file is left behind");
        }
    }
}

fn check(path: &Path) -> Result<(), ListenError> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() || bytes.contains(&0) {
        return Err(ListenError::PathInvalid(path.to_owned()));
    }
    if bytes.len() > MAX_PATH {
        return Err(ListenError::PathTooLong {
            path: path.to_owned(),
            length: bytes.len(),
            limit: MAX_PATH,
        });
    }
    Ok(())
}

/// Removes a socket that nobody listens on, and refuses whatever else is there. A socket that
/// another program is just making looks the same for the time of two system calls; there is no
/// better sign.
fn make_way(path: &Path) -> Result<(), ListenError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(explain(path, error)),
    };
    if !found.file_type().is_socket() {
        return Err(ListenError::NotASocket(path.to_owned()));
    }
    match knock(path) {
        // Its program is gone. The file may be another one by now, which is then left alone.
        Err(Errno::CONNREFUSED) => {
            tracing::debug!(path = %path.display(), "replacing a socket that nobody listens on");
            Identity::of(&found).remove(path);
            Ok(())
        }
        Err(Errno::NOENT) => Ok(()),
        Err(Errno::ACCESS | Errno::PERM) => Err(ListenError::PathNotAllowed(path.to_owned())),
        // It answers, is too busy to, or is of another kind, as datagram sockets are.
        Ok(()) | Err(_) => Err(ListenError::PathInUse(path.to_owned())),
    }
}

/// Connects without waiting, which Tokio's sockets never do: a program that does not accept
/// leaves its callers in the queue.
fn knock(path: &Path) -> Result<(), Errno> {
    let socket = UnixSocket::new_stream()
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)
}

fn explain(path: &Path, source: io::Error) -> ListenError {
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            ListenError::NoDirectory(parent.to_owned())
        }
        io::ErrorKind::PermissionDenied => ListenError::PathNotAllowed(path.to_owned()),
        // It came between our look and our bind.
        io::ErrorKind::AddrInUse => ListenError::PathInUse(path.to_owned()),
        _ => ListenError::Path {
            path: path.to_owned(),
            source,
        },
    }
}
