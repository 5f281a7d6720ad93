//! A session in a process of its own: console, emulated service and agent, and a line by which a test has things go
//! wrong there.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ssm_session::ApiError;
use ssm_session::ApiErrorKind;
use ssm_session::BoxFuture;
use ssm_session::ControlPlane;
use ssm_session::Options;
use ssm_session::Session;
use ssm_session::SessionAccess;
use ssm_session::SessionStart;
use ssm_session::StreamPolicy;
use ssm_session::StreamUrl;
use ssm_session::Timeouts;
use ssm_session_emulator::ChannelClose;
use ssm_session_emulator::EmulatedControlPlane;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Pacing;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartSession;
use ssm_session_proto::LocalEnd;
use ssm_session_terminal::Console;
use ssm_session_terminal::LocalListener;
use ssm_session_terminal::Setup;
use ssm_session_terminal::Streams;
use tempfile::TempDir;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::AsyncWriteExt as _;

use crate::playing::own_test;

/// Where the line is.
const LINE: &str = "SSM_SESSION_TERMINAL_TEST_LINE";
/// What the session is: a document, and its parameters as `name=value`, in words.
const DOCUMENT: &str = "SSM_SESSION_TERMINAL_TEST_DOCUMENT";
const ESCAPE: &str = "SSM_SESSION_TERMINAL_TEST_ESCAPE";
/// Set where the caller is to be followed.
const FOLLOWS: &str = "SSM_SESSION_TERMINAL_TEST_FOLLOWS";
/// Set where the agent does not even answer.
const FROZEN: &str = "SSM_SESSION_TERMINAL_TEST_FROZEN";

/// Only against hanging.
const GUARD: Duration = Duration::from_secs(60);

/// The test's end of the line.
pub(crate) struct Stage {
    listener: UnixListener,
    directory: TempDir,
    line: Option<BufReader<UnixStream>>,
}

impl Stage {
    pub(crate) fn build() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            listener: UnixListener::bind(directory.path().join("line")).unwrap(),
            directory,
            line: None,
        }
    }

    /// The words that start the session.
    pub(crate) fn words() -> Vec<String> {
        own_test("stage::child")
    }

    /// The variables with which it starts, besides these.
    pub(crate) fn variables<'a>(&self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, String)> {
        let line = self.directory.path().join("line").display().to_string();
        let more = more
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        more.chain([(LINE, line)]).collect()
    }

    pub(crate) fn document(words: &str) -> (&'static str, &str) {
        (DOCUMENT, words)
    }

    pub(crate) fn escape(character: &str) -> (&'static str, &str) {
        (ESCAPE, character)
    }

    pub(crate) fn follows() -> (&'static str, &'static str) {
        (FOLLOWS, "1")
    }

    pub(crate) fn frozen() -> (&'static str, &'static str) {
        (FROZEN, "1")
    }

    /// Waits until the session is over, though nobody reads what its process prints. It has been asked for something.
    pub(crate) fn until_over(&mut self) {
        let line = self.line.as_mut().expect("the line is in use");
        line.read_to_end(&mut Vec::new()).unwrap();
    }

    /// How the session ended, once it has.
    pub(crate) fn outcome(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("line.outcome")).unwrap()
    }

    /// Has something happen there, and waits until it has; or asks, and waits for the answer.
    pub(crate) fn ask(&mut self, what: &str) -> String {
        let line = self.line.get_or_insert_with(|| {
            let (stream, _) = self.listener.accept().unwrap();
            stream.set_read_timeout(Some(GUARD)).unwrap();
            BufReader::new(stream)
        });
        line.get_mut()
            .write_all(format!("{what}\n").as_bytes())
            .unwrap();
        let mut answer = String::new();
        line.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }
}

/// Not a test of its own: the other side of those that start it.
#[test]
fn child() {
    let Ok(line) = std::env::var(LINE) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(play(&line));
    // As programs do: whatever has not ended by itself ends with the process.
    runtime.shutdown_background();
}

async fn play(line: &str) {
    let emulator = Emulator::start(Plan {
        pacing: Pacing::None,
        ..Plan::default()
    })
    .await
    .unwrap();
    let control = Arc::new(Control {
        service: emulator.control_plane(),
        lets_resume: AtomicBool::new(true),
        is_mute: AtomicBool::new(false),
        terminated: AtomicUsize::new(0),
    });
    let mut console = Console::open(Streams::Separate).unwrap();
    if std::env::var_os(FOLLOWS).is_some() {
        console.follow_caller().unwrap();
    }
    let mut setup = setup();
    let port = setup.listener.as_ref().and_then(LocalListener::port);
    let session = session(&emulator, &control).await;
    let listening = listen(
        line.to_owned(),
        emulator,
        session.id().to_owned(),
        port,
        Arc::clone(&control),
    );
    tokio::spawn(listening);
    let outcome = console.run_with(session, "the agent", &mut setup).await;
    let kept = setup.listener.is_some();
    let told = format!(
        "outcome {outcome:?}, status {}, terminated {}, listener {kept};",
        outcome.status(),
        control.terminated.load(Ordering::SeqCst)
    );
    std::fs::write(format!("{line}.outcome"), &told).unwrap();
    console.print(&told).await;
    console.close().await;
}

fn setup() -> Setup {
    let escape = std::env::var(ESCAPE).map(|escape| escape.parse().unwrap());
    let document = std::env::var(DOCUMENT).unwrap_or_default();
    let end = LocalEnd::Port(0);
    Setup {
        escape: escape.unwrap_or_default(),
        is_port: document.contains("portNumber"),
        listener: document
            .contains("localPortNumber")
            .then(|| LocalListener::open(end).unwrap()),
        ..Setup::default()
    }
}

async fn session(emulator: &Emulator, control: &Arc<Control>) -> Session {
    let request = std::env::var(DOCUMENT).map_or_else(|_| StartSession::default(), request);
    let started = emulator.start_session(request).unwrap();
    let start = SessionStart {
        session_id: started.session_id,
        stream_url: StreamUrl::parse(&started.stream_url, &StreamPolicy::default()).unwrap(),
        token: started.token,
    };
    if std::env::var_os(FROZEN).is_some() {
        emulator.freeze_agents(true, None).await;
    }
    let control_plane: Arc<dyn ControlPlane> = control.clone();
    let options = Options {
        control_plane: Some(control_plane),
        timeouts: Timeouts {
            unresponsive: Duration::from_millis(500),
            ..Timeouts::default()
        },
        ..Options::default()
    };
    ssm_session::connect(start, options).await.unwrap()
}

fn request(words: String) -> StartSession {
    let mut words = words.split(' ');
    let document = words.next().unwrap().to_owned();
    let parameter = |word: &str| {
        let (name, value) = word.split_once('=').unwrap();
        (name.to_owned(), vec![value.to_owned()])
    };
    StartSession {
        document_name: Some(document),
        parameters: words.map(parameter).collect::<BTreeMap<_, _>>(),
        ..StartSession::default()
    }
}

/// Does what the test asks for.
async fn listen(
    path: String,
    emulator: Emulator,
    session_id: String,
    port: Option<u16>,
    control: Arc<Control>,
) {
    let line = tokio::net::UnixStream::connect(path).await.unwrap();
    let (asked, mut answers) = line.into_split();
    let mut asked = tokio::io::BufReader::new(asked).lines();
    while let Some(word) = asked.next_line().await.unwrap() {
        let answer = match word.as_str() {
            "lose" => {
                control.lets_resume.store(false, Ordering::SeqCst);
                emulator.close_channels(ChannelClose::Bye, None).await
            }
            "find" => {
                control.lets_resume.store(true, Ordering::SeqCst);
                0
            }
            // TerminateSession is not answered from now on.
            "mute" => {
                control.is_mute.store(true, Ordering::SeqCst);
                0
            }
            "freeze" => emulator.freeze_agents(true, None).await,
            "thaw" => emulator.freeze_agents(false, None).await,
            "end" => {
                emulator.terminate_session(&session_id).await;
                1
            }
            "port" => port.unwrap().into(),
            "process" => usize::try_from(std::process::id()).unwrap(),
            other => panic!("{other:?} is not in the play"),
        };
        answers
            .write_all(format!("{answer}\n").as_bytes())
            .await
            .unwrap();
    }
}

/// The emulated service's, out of reach for a while.
struct Control {
    service: EmulatedControlPlane,
    lets_resume: AtomicBool,
    is_mute: AtomicBool,
    terminated: AtomicUsize,
}

impl ControlPlane for Control {
    fn resume_session(&self, session_id: &str) -> BoxFuture<'_, Result<SessionAccess, ApiError>> {
        if self.lets_resume.load(Ordering::SeqCst) {
            return self.service.resume_session(session_id);
        }
        let error = ApiError::new(ApiErrorKind::Transient, "not now");
        Box::pin(std::future::ready(Err(error)))
    }

    fn terminate_session(&self, session_id: &str) -> BoxFuture<'_, Result<(), ApiError>> {
        self.terminated.fetch_add(1, Ordering::SeqCst);
        if self.is_mute.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        self.service.terminate_session(session_id)
    }
}
