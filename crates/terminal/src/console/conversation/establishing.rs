//! The moment from which it is known what is at the far end.

use ssm_session_proto::Established;
use ssm_session_proto::LocalEnd;
use ssm_session_proto::PortForm;
use ssm_session_proto::SessionType;

use super::Conversation;
use super::Outcome;
use super::Phase;
use crate::console::forward::Forward;
use crate::console::relay::Relay;
use crate::input::Input;
use crate::local_end::CannotListen;
use crate::raw_mode::Keys;
use crate::size::window_size;
use crate::text::sanitised;

impl Conversation<'_> {
    /// Hands over to what runs port sessions.
    pub(super) async fn forward(self, form: PortForm, established: &Established) -> Outcome {
        drop(self.raw);
        let message = message(established);
        if form == PortForm::Stdio {
            return Relay::new(self.console, self.session).run(message).await;
        }
        let end = LocalEnd::from_properties(&established.properties);
        Forward::new(self.console, self.session, form, self.setup)
            .run(message, end.map_err(CannotListen::from))
            .await
    }

    pub(super) fn establish(&mut self, established: &Established) {
        if established.session_type.is_interactive_shell() {
            self.open_terminal();
        } else if established.session_type == SessionType::NON_INTERACTIVE_COMMANDS {
            // The agent throws input of such a session away, except the bytes of Ctrl-C and Ctrl-\ anywhere in it
            // (`docs/PROTOCOL.md` 7.3): standard input is left alone, and the terminal with it.
            self.phase = Phase::Command;
            self.raw = None;
        } else {
            self.phase = Phase::Command;
            self.end(Outcome::Unsupported(established.session_type.clone()));
            return;
        }
        if let Some(message) = message(established) {
            self.say(&message);
        }
        self.session.resize(window_size());
    }

    fn open_terminal(&mut self) {
        self.phase = Phase::Terminal;
        if let Some(Err(error)) = self.raw.as_ref().map(|raw| raw.switch(Keys::Raw)) {
            tracing::warn!(%error, "raw mode could not be set");
        }
        if let Err(error) = self.console.signals.take_stop() {
            tracing::warn!(%error, "SIGTSTP cannot be passed on");
        }
        match Input::stdin() {
            Ok(input) => self.input = Some(input),
            Err(error) => self.end(Outcome::InputFailed(error)),
        }
    }
}

pub(super) fn log(established: &Established) {
    tracing::info!(
        session_type = established.session_type.as_str(),
        agent_version = established
            .agent_version
            .as_ref()
            .map(tracing::field::display),
        encrypted = established.encrypted,
        "session established"
    );
}

/// The agent's message for the user, fit for a terminal.
fn message(established: &Established) -> Option<String> {
    let message = &established.customer_message;
    (!message.is_empty()).then(|| format!("{}\n", sanitised(message)))
}
