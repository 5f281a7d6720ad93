use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::*;

/// Whether this machine has `::1`.
fn has_ipv6() -> bool {
    std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

async fn greet(mut connection: LocalConnection) {
    connection.write_all(b"hello").await.unwrap();
}

#[tokio::test]
async fn both_loopback_addresses_lead_to_one_port() {
    let mut listener = Listener::bind_port(0).unwrap();
    let port = listener.port().unwrap();
    assert_ne!(port, 0);
    let mut addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
    if has_ipv6() {
        addresses.push(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
    }
    for address in addresses {
        let mut program = TcpStream::connect(address).await.unwrap();
        greet(listener.accept().await.unwrap()).await;
        let mut words = String::new();
        program.read_to_string(&mut words).await.unwrap();
        assert_eq!(words, "hello");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_at_one_of_the_addresses_is_refused_by_name() {
    for taken_at in [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ] {
        let Ok(taken) = std::net::TcpListener::bind((taken_at, 0)) else {
            continue;
        };
        let port = taken.local_addr().unwrap().port();
        let error = Listener::bind_port(port).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "port {port} is in use at {taken_at}; choose another with localPortNumber, or 0 \
                 for any that is free"
            )
        );
    }
}

#[tokio::test]
async fn a_port_is_free_again_right_after_its_last_connection() {
    let mut listener = Listener::bind_port(0).unwrap();
    let port = listener.port().unwrap();
    let mut program = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .unwrap();
    // Closed here first, so that this end of it lingers in TIME_WAIT.
    drop(listener.accept().await.unwrap());
    assert_eq!(program.read(&mut [0; 1]).await.unwrap(), 0);
    drop((program, listener));
    assert_eq!(Listener::bind_port(port).unwrap().port(), Some(port));
}

#[tokio::test]
async fn giving_up_the_wait_loses_no_connection() {
    let mut listener = Listener::bind_port(0).unwrap();
    let port = listener.port().unwrap();
    let program = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    tokio::select! {
        biased;
        _ = listener.accept() => panic!("nobody has connected yet"),
        () = std::future::ready(()) => {}
    }
    let mut program = program.await.unwrap();
    greet(listener.accept().await.unwrap()).await;
    assert_eq!(program.read_u8().await.unwrap(), b'h');
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_shortage_of_descriptors_is_waited_out_with_growing_pauses() {
    use rustix::io::Errno;

    let shortage = || io::Error::from(Errno::MFILE);
    let mut listener = Listener::bind_port(0).unwrap();
    let mut pauses = Vec::new();
    for _ in 0..7 {
        listener.on_error(shortage()).unwrap();
        let until = listener.paused_until.take().unwrap();
        pauses.push((until - Instant::now()).as_millis());
    }
    assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000]);

    listener.on_error(shortage()).unwrap();
    let port = listener.port().unwrap();
    let _program = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .unwrap();
    listener.accept().await.unwrap();
    assert_eq!(listener.pause, FIRST_PAUSE);
}

#[cfg(unix)]
#[tokio::test]
async fn a_connection_that_broke_early_is_passed_over_and_a_broken_listener_is_not() {
    use rustix::io::Errno;

    let mut listener = Listener::bind_port(0).unwrap();
    listener.on_error(Errno::CONNABORTED.into()).unwrap();
    assert_eq!(listener.paused_until, None);
    let error = listener.on_error(Errno::BADF.into()).unwrap_err();
    assert_eq!(Errno::from_io_error(&error), Some(Errno::BADF));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::FileTypeExt as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::path::PathBuf;

    use tempfile::TempDir;
    use tokio::net::UnixStream;

    use super::*;

    fn place() -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("forward.sock");
        (directory, path)
    }

    fn refusal(path: &Path) -> String {
        Listener::bind_unix(path).unwrap_err().to_string()
    }

    #[tokio::test]
    async fn programs_of_this_user_alone_connect_and_the_file_goes_with_the_listener() {
        let (_directory, path) = place();
        let mut listener = Listener::bind_unix(&path).unwrap();
        assert_eq!((listener.path(), listener.port()), (Some(&*path), None));
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);

        let mut program = UnixStream::connect(&path).await.unwrap();
        greet(listener.accept().await.unwrap()).await;
        assert_eq!(program.read_u8().await.unwrap(), b'h');
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_that_nobody_listens_on_is_replaced() {
        let (_directory, path) = place();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the standard library leaves the file");
        let mut listener = Listener::bind_unix(&path).unwrap();
        let _program = UnixStream::connect(&path).await.unwrap();
        listener.accept().await.unwrap();
    }

    #[tokio::test]
    async fn a_socket_somebody_listens_on_is_refused_even_if_nobody_accepts() {
        let (_directory, path) = place();
        let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let expected = format!(
            "another program listens on the Unix socket {}; end it, or choose another path",
            path.display()
        );
        assert_eq!(refusal(&path), expected);
        // With its queue full, connecting would wait.
        rustix::net::listen(&other, 0).unwrap();
        let _waiting: Vec<_> = std::iter::from_fn(|| {
            let socket = tokio::net::UnixSocket::new_stream().unwrap();
            let address = rustix::net::SocketAddrUnix::new(&path).unwrap();
            rustix::net::connect(&socket, &address)
                .ok()
                .map(|()| socket)
        })
        .take(1000)
        .collect();
        assert_eq!(refusal(&path), expected);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn what_is_no_socket_is_refused_and_left_alone() {
        let (directory, path) = place();
        std::fs::write(&path, "precious").unwrap();
        assert_eq!(
            refusal(&path),
            format!(
                "{} exists and is not a socket, so it is left alone; remove it, or choose \
                 another path",
                path.display()
            )
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");

        let link = directory.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        for other in [&link, directory.path()] {
            let error = Listener::bind_unix(other).unwrap_err();
            assert!(matches!(error, ListenError::NotASocket(_)), "{error:?}");
            assert!(std::fs::symlink_metadata(other).is_ok());
        }
    }

    #[tokio::test]
    async fn a_path_that_does_not_fit_is_told_with_the_limit() {
        let (directory, _) = place();
        let path = directory.path().join("x".repeat(200));
        let length = path.as_os_str().len();
        let limit = if cfg!(target_os = "linux") { 107 } else { 103 };
        assert_eq!(
            refusal(&path),
            format!(
                "the path {} has {length} bytes, and the path of a Unix socket at most {limit}; \
                 choose a shorter one",
                path.display()
            )
        );
        let fits = directory
            .path()
            .join("x".repeat(limit - directory.path().as_os_str().len() - 1));
        assert!(Listener::bind_unix(&fits).is_ok());
        let mut too_long = fits.into_os_string();
        too_long.push("x");
        let error = Listener::bind_unix(Path::new(&too_long)).unwrap_err();
        assert!(
            matches!(error, ListenError::PathTooLong { .. }),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn a_missing_directory_is_named() {
        let (directory, path) = place();
        let missing = directory.path().join("missing");
        assert_eq!(
            refusal(&missing.join("forward.sock")),
            format!(
                "the directory {} does not exist; create it, or choose another",
                missing.display()
            )
        );
        std::fs::write(&path, "a file").unwrap();
        let error = Listener::bind_unix(&path.join("forward.sock")).unwrap_err();
        assert!(matches!(error, ListenError::NoDirectory(_)), "{error:?}");
        for invalid in ["", "a\0b"] {
            let error = Listener::bind_unix(Path::new(invalid)).unwrap_err();
            assert!(matches!(error, ListenError::PathInvalid(_)), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_file_that_took_the_place_of_ours_is_not_removed() {
        let (_directory, path) = place();
        let listener = Listener::bind_unix(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let _other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(listener);
        assert!(path.exists());
    }
}
