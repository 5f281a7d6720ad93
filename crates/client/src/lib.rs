//! A client of AWS Systems Manager Session Manager: shells and commands on managed nodes, and
//! connections to what they can reach.
//!
//! What StartSession answered goes into [`connect`], out comes a [`Session`]: events are taken
//! from it, input is written to it or to any of its [`SessionControl`]s. A task of its own drives
//! it, acknowledges, sends again and keeps the connection alive, whatever the application is busy
//! with.
//!
//! ```ignore-windows
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use ssm_session::{Options, SessionEvent, SessionStart, StreamPolicy, StreamUrl};
//! # use ssm_session_emulator::{Emulator, Plan, StartSession};
//! # let emulator = Emulator::start(Plan::default()).await?;
//! # let started = emulator.start_session(StartSession::default())?;
//!
//! let start = SessionStart {
//!     session_id: started.session_id,
//!     stream_url: StreamUrl::parse(&started.stream_url, &StreamPolicy::default())?,
//!     token: started.token,
//! };
//! let mut session = ssm_session::connect(start, Options::default()).await?;
//! session.write(b"echo $((6 * 7)); exit\r").await?;
//! let mut screen = Vec::new();
//! while let Some(event) = session.next_event().await {
//!     match event {
//!         SessionEvent::Output { data, .. } => screen.extend(data),
//!         SessionEvent::Closed(close) => assert!(!close.is_failure(), "{}", close.message),
//!         _ => {}
//!     }
//! }
//! assert!(String::from_utf8_lossy(&screen).contains("42"));
//! # emulator.shutdown().await;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! A session for a port forwards the connections of local programs. [`Listener`] takes them,
//! [`SessionControl::forward`] hands each to the session's driver, which carries them side by side
//! from then on; a program inside this process gets one half of [`tokio::io::duplex`] instead.
//!
//! ```ignore-windows
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! # use ssm_session::{Options, SessionStart, StreamPolicy, StreamUrl};
//! use ssm_session::{Listener, SessionEvent};
//! # use ssm_session_emulator::{Emulator, Plan, StartSession};
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # use tokio::net::{TcpListener, TcpStream};
//! # let emulator = Emulator::start(Plan::default()).await?;
//! # let server = TcpListener::bind("127.0.0.1:0").await?;
//! # let server_port = server.local_addr()?.port().to_string();
//! # let started = emulator.start_session(StartSession {
//! #     document_name: Some("AWS-StartPortForwardingSession".to_owned()),
//! #     parameters: [("portNumber".to_owned(), vec![server_port])].into(),
//! #     ..StartSession::default()
//! # })?;
//! # let start = SessionStart {
//! #     session_id: started.session_id,
//! #     stream_url: StreamUrl::parse(&started.stream_url, &StreamPolicy::default())?,
//! #     token: started.token,
//! # };
//! # tokio::spawn(async move {
//! #     let (mut connection, _) = server.accept().await.unwrap();
//! #     connection.write_all(b"hello from the node").await.unwrap();
//! # });
//!
//! // Started with the document AWS-StartPortForwardingSession.
//! let mut session = ssm_session::connect(start, Options::default()).await?;
//! let mut listener = Listener::bind_port(0)?;
//! println!("connect to port {:?} of this machine", listener.port());
//! # let port = listener.port().unwrap();
//! # let control = session.control();
//! # let program = tokio::spawn(async move {
//! #     let mut said = String::new();
//! #     let mut connection = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
//! #     connection.read_to_string(&mut said).await.unwrap();
//! #     control.terminate();
//! #     said
//! # });
//! loop {
//!     tokio::select! {
//!         connection = listener.accept() => {
//!             let control = session.control();
//!             let connection = connection?;
//!             // Its turn may come later; events must be taken meanwhile.
//!             tokio::spawn(async move { control.forward(connection).await });
//!         }
//!         event = session.next_event() => match event {
//!             Some(SessionEvent::ConnectionRefused) => eprintln!("nobody listens on the node"),
//!             Some(SessionEvent::Closed(_)) | None => break,
//!             _ => {}
//!         },
//!     }
//! }
//! # assert_eq!(program.await?, "hello from the node");
//! # emulator.shutdown().await;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! AWS's API is reached through a [`ControlPlane`], where [`Options`] name one: the crate
//! `ssm-session-aws` has that of AWS itself. With it [`start`] starts sessions, connections are
//! signed, lost ones resumed, sessions ended at the service, and encrypted with KMS.
//!
//! Nothing is printed, no environment variable is read, and no terminal is touched.
#![warn(missing_docs)]

mod authority;
mod aws_host;
mod backlog;
mod backoff;
mod close;
mod connection;
mod connector;
mod control_plane;
mod dial;
mod driver;
mod error;
mod listener;
mod local_connection;
mod options;
mod proxy;
mod session;
mod signature;
mod start;
mod stream_policy;
mod text;
mod timeouts;
mod transport;
mod trust;
mod upgrade;
mod url;
mod web_socket;

pub use aws_host::AwsHost;
pub use backoff::Backoff;
pub use close::Close;
pub use close::EndedBy;
pub use connection::Connection;
pub use connector::Connector;
pub use control_plane::ApiError;
pub use control_plane::ApiErrorKind;
pub use control_plane::ControlPlane;
pub use control_plane::Field;
pub use control_plane::SessionAccess;
pub use control_plane::SessionDescription;
pub use control_plane::StartRequest;
pub use control_plane::UpgradeRequest;
pub use error::ConnectError;
pub use error::NotWebSocket;
pub use error::Refusal;
pub use error::Step;
pub use futures_util::future::BoxFuture;
pub use listener::ListenError;
pub use listener::Listener;
pub use local_connection::LocalConnection;
pub use options::Options;
pub use options::SessionStart;
pub use proxy::Proxies;
pub use proxy::ProxyError;
pub use proxy::ProxyFailure;
pub use session::Closed;
pub use session::Session;
pub use session::SessionControl;
pub use session::SessionEvent;
pub use session::connect;
pub use session::connect_over;
pub use signature::Signing;
pub use ssm_session_proto::DataKey;
pub use ssm_session_proto::DataKeyRequest;
pub use ssm_session_proto::Established;
pub use ssm_session_proto::OutputStream;
pub use ssm_session_proto::PortForm;
pub use ssm_session_proto::Secret;
pub use ssm_session_proto::SessionType;
pub use ssm_session_proto::TerminalSize;
pub use ssm_session_proto::Version;
pub use start::StartError;
pub use start::start;
pub use stream_policy::StreamPolicy;
pub use stream_policy::StreamPolicyError;
pub use timeouts::Timeouts;
pub use timeouts::TimeoutsError;
pub use trust::Trust;
pub use trust::TrustError;
pub use url::StreamUrl;
pub use url::StreamUrlError;
