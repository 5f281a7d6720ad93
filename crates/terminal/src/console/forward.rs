//! A session that forwards the connections of a local end.

use std::collections::VecDeque;
use std::io;
use std::io::IsTerminal as _;

use bytes::Bytes;
use ssm_session::BoxFuture;
use ssm_session::Close;
use ssm_session::Closed;
use ssm_session::LocalConnection;
use ssm_session::Session;
use ssm_session::SessionEvent;
use ssm_session_proto::LocalEnd;
use ssm_session_proto::PortForm;
use tokio::time::Instant;

use super::Console;
use super::LEAVING_LIMIT;
use super::Outcome;
use super::Setup;
use super::outage::Outage;
use super::printable;
use super::until;
use crate::escape::EscapeChar;
use crate::local_end::CannotListen;
use crate::local_end::LocalListener;
use crate::open_files;
use crate::signals::Notice;
use crate::signals::Signal;
use crate::texts::News;
use crate::texts::WayOut;

/// A forward, from the moment its session is established. Standard input is left alone.
///
/// A program that read the texts as far as it needed them may close standard output: its connections go on.
pub(super) struct Forward<'a> {
    console: &'a mut Console,
    session: Session,
    form: PortForm,
    /// Its listener is taken away when the end is asked for, so that nothing new connects.
    setup: &'a mut Setup,
    /// A connection on its way into the session; in a basic one it waits there for its turn.
    handing: Option<BoxFuture<'static, Result<(), Closed>>>,
    has_accepted: bool,
    outage: Outage,
    unwritten: VecDeque<Bytes>,
    ending: Option<(Outcome, Instant)>,
}

enum Step {
    Notice(Notice),
    Event(SessionEvent),
    Connection(io::Result<LocalConnection>),
    Handed,
    Place,
    Outage,
    TimeUp,
}

impl<'a> Forward<'a> {
    pub(super) fn new(
        console: &'a mut Console,
        session: Session,
        form: PortForm,
        setup: &'a mut Setup,
    ) -> Self {
        if setup.stop_ends
            && let Err(error) = console.signals.take_stop()
        {
            tracing::warn!(%error, "SIGTSTP cannot be taken over");
        }
        open_files::allow_many();
        Self {
            console,
            session,
            form,
            setup,
            handing: None,
            has_accepted: false,
            outage: Outage::default(),
            unwritten: VecDeque::new(),
            ending: None,
        }
    }

    /// Runs to the end of the session. `message` is the far end's for the user, fit for a terminal; `end` is where the
    /// session is to take connections.
    pub(super) async fn run(
        mut self,
        message: Option<String>,
        end: Result<LocalEnd, CannotListen>,
    ) -> Outcome {
        if let Some(message) = message {
            self.print(&message);
        }
        self.open(end);
        loop {
            match self.step().await {
                Step::Notice(notice) => {
                    if let Some(signal) = self.handle_notice(notice) {
                        return Outcome::Signalled(signal);
                    }
                }
                Step::Event(SessionEvent::Closed(close)) => return self.close(close).await,
                Step::Event(event) => self.handle_event(&event),
                Step::Connection(accepted) => self.handle_connection(accepted),
                Step::Outage => self.handle_outage(),
                Step::TimeUp => {
                    if let Some((outcome, _)) = self.ending.take() {
                        return outcome;
                    }
                }
                Step::Handed | Step::Place => {}
            }
        }
    }

    /// Opens the local end, unless it is open already.
    fn open(&mut self, end: Result<LocalEnd, CannotListen>) {
        let opened = end.and_then(|end| match self.setup.listener.take() {
            Some(listener) if *listener.end() == end => Ok(listener),
            // What was opened at the request's word is not what the session is for.
            other => {
                drop(other);
                LocalListener::open(end)
            }
        });
        match opened {
            Ok(listener) => {
                tracing::info!(at = %listener, form = ?self.form, "waiting for connections");
                let (form, at) = (self.form, &listener);
                let text = self.setup.texts.text(&News::Opened { form, at });
                self.print(&text.unwrap_or_default());
                self.setup.listener = Some(listener);
            }
            Err(error) => {
                tracing::error!(%error, "there is no local end");
                self.say(&News::CannotListen(&error));
                self.end(Outcome::NoLocalEnd);
            }
        }
    }

    /// Waits for the next thing to happen.
    async fn step(&mut self) -> Step {
        let time_up = self.ending.as_ref().map(|(_, deadline)| *deadline);
        let outage = self.outage.due();
        let is_free = self.handing.is_none();
        tokio::select! {
            notice = self.console.signals.next() => Step::Notice(notice),
            Some(event) = self.session.next_event() => Step::Event(event),
            accepted = accept(&mut self.setup.listener), if is_free => Step::Connection(accepted),
            () = handed(&mut self.handing) => Step::Handed,
            place = self.console.output.place(), if !self.unwritten.is_empty() => {
                if let Some(text) = self.unwritten.pop_front() {
                    place.write(self.console.text_stream(), text);
                }
                Step::Place
            }
            () = until(outage) => Step::Outage,
            () = until(time_up) => Step::TimeUp,
        }
    }

    /// Handles a signal; answers with it when the program is to end now.
    fn handle_notice(&mut self, notice: Notice) -> Option<Signal> {
        let signal = match notice {
            Notice::End(signal) => signal,
            Notice::Quit => Signal::Quit,
            Notice::Stop => Signal::Stop,
            Notice::Resized | Notice::Continued => return None,
        };
        if self.ending.is_some() {
            return signal.if_asked_again();
        }
        self.say(&News::Ending);
        self.console.leave(signal);
        self.end(Outcome::Signalled(signal));
        None
    }

    fn handle_connection(&mut self, accepted: io::Result<LocalConnection>) {
        let connection = match accepted {
            Ok(connection) => connection,
            Err(error) => return self.end(Outcome::ListenFailed(error)),
        };
        tracing::debug!("connection accepted");
        let control = self.session.control();
        self.handing = Some(Box::pin(async move { control.forward(connection).await }));
        if !std::mem::replace(&mut self.has_accepted, true) {
            self.say(&News::Accepted { form: self.form });
        }
    }

    fn handle_outage(&mut self) {
        self.outage.tell();
        // Ctrl-C is a signal here.
        let news = self.outage.news(WayOut {
            interrupt: io::stdin().is_terminal(),
            escape: EscapeChar::NONE,
        });
        if let Some(text) = news.and_then(|news| self.setup.texts.text(&news)) {
            self.print(&text);
        }
    }

    fn handle_event(&mut self, event: &SessionEvent) {
        if let Some(news) = self.outage.handle(event) {
            self.say(&news);
        }
        match event {
            SessionEvent::ConnectionRefused => self.say(&News::Refused),
            SessionEvent::ConnectionOverrun => self.say(&News::Overrun),
            // Events this program does not know carry nothing for its user.
            _ => {}
        }
    }

    /// Has the service end the session; the first reason counts.
    fn end(&mut self, outcome: Outcome) {
        self.setup.listener = None;
        self.handing = None;
        if self.ending.is_none() {
            self.session.terminate();
            self.console.hurry();
            self.ending = Some((outcome, Instant::now() + LEAVING_LIMIT));
        }
    }

    /// The session has ended.
    async fn close(self, close: Close) -> Outcome {
        let stream = self.console.text_stream();
        for text in self.unwritten {
            self.console.write(stream, text).await;
        }
        self.console.flush().await;
        match (self.ending, self.console.signal()) {
            (Some((outcome, _)), _) => outcome,
            (None, Some(signal)) => Outcome::Signalled(signal),
            (None, None) => Outcome::Closed(close),
        }
    }

    fn say(&mut self, news: &News<'_>) {
        if let Some(text) = self.setup.texts.text(news) {
            self.print(&text);
        }
    }

    /// Texts are for whoever reads them: one who does not must not hold up the connections.
    fn print(&mut self, text: &str) {
        if self.unwritten.len() < UNWRITTEN {
            let text = printable(self.console.text_stream(), text);
            self.unwritten.push_back(text);
        } else {
            tracing::debug!("a text was dropped: nobody reads them");
        }
    }
}

async fn accept(listener: &mut Option<LocalListener>) -> io::Result<LocalConnection> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// Waits until the session has taken the connection on its way. That it has closed it says by an event.
async fn handed(handing: &mut Option<BoxFuture<'static, Result<(), Closed>>>) {
    match handing {
        Some(future) => {
            if let Err(Closed { .. }) = future.await {
                tracing::debug!("the session closed before it took a connection");
            }
            *handing = None;
        }
        None => std::future::pending().await,
    }
}

/// Texts besides those in the writer's queue.
const UNWRITTEN: usize = 64;
