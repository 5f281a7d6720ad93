//! The code of a second factor, asked for at the terminal.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering;

use ssm_session::BoxFuture;
use ssm_session_aws::SecondFactor;
use ssm_session_proto::Secret;
use ssm_session_terminal::one_line;

/// Asks for codes while a session is being started. From then on the terminal is the session's, and role credentials that
/// run out are not renewed with a new code.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prompt(Arc<AtomicU8>);

impl Prompt {
    /// Whether a question stands on the terminal.
    pub(crate) fn is_asking(&self) -> bool {
        self.0.load(Ordering::SeqCst) == ASKING
    }

    /// Ends the asking. A question that is open is left without an answer.
    pub(crate) fn close(&self) {
        self.0.store(CLOSED, Ordering::SeqCst);
    }

    /// From one state to another; `false` if it was not in the first.
    fn change(&self, from: u8, to: u8) -> bool {
        let changed = self
            .0
            .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
        changed.is_ok()
    }
}

impl SecondFactor for Prompt {
    fn code(&self, serial: &str) -> BoxFuture<'_, io::Result<Secret>> {
        let question = format!("MFA code for {}: ", one_line(serial));
        Box::pin(async move {
            if !self.change(READY, ASKING) {
                let reason = "the code can be asked for only while a session is being started";
                return Err(io::Error::other(reason));
            }
            // Reading blocks, and is left alone where it is not waited for any more: the program then ends.
            let answer = tokio::task::spawn_blocking(move || ask(&question)).await;
            self.change(ASKING, READY);
            answer.unwrap_or_else(|stopped| Err(io::Error::other(stopped)))
        })
    }
}

/// The first line that is not empty.
fn ask(question: &str) -> io::Result<Secret> {
    let (input, mut output) = terminal().map_err(|error| {
        let reason = format!("there is no terminal to ask for the code at: {error}");
        io::Error::new(error.kind(), reason)
    })?;
    let mut input = BufReader::new(input);
    loop {
        output.write_all(question.as_bytes())?;
        output.flush()?;
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "no code was given",
            ));
        }
        let code = line.trim();
        if !code.is_empty() {
            return Ok(Secret::new(code));
        }
    }
}

/// The terminal this process belongs to, wherever its standard streams lead.
#[cfg(unix)]
fn terminal() -> io::Result<(File, File)> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    Ok((terminal.try_clone()?, terminal))
}

#[cfg(windows)]
fn terminal() -> io::Result<(File, File)> {
    let open = |name| OpenOptions::new().read(true).write(true).open(name);
    Ok((open("CONIN$")?, open("CONOUT$")?))
}

const READY: u8 = 0;
const ASKING: u8 = 1;
const CLOSED: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn once_the_session_has_the_terminal_nothing_is_asked() {
        let prompt = Prompt::default();
        prompt.close();
        let error = prompt.code("arn:aws:iam::1:mfa/x").await.unwrap_err();
        assert!(error.to_string().contains("being started"), "{error}");
        assert!(!prompt.is_asking());
    }
}
