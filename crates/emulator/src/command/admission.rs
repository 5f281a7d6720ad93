//! Options for who is let in, and what is refused.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use ssm_session_emulator::Credentials;
use ssm_session_emulator::Refusal;
use zeroize::Zeroizing;

/// Signatures and refusals.
#[derive(Debug, Args)]
#[command(next_help_heading = "Who is let in, and what is refused")]
pub(super) struct AdmissionOptions {
    /// Take only requests signed with one of these credentials: a JSON list, each with AccessKeyId, SecretAccessKey
    /// and, as needed, SessionToken and Expiration (such as 2030-01-01T00:00:00Z). Without the option any will do
    #[arg(long, value_name = "FILE")]
    credentials_file: Option<PathBuf>,
    /// Take only signed openings of data channels as well; unsigned ones pass otherwise, wrongly signed ones never
    #[arg(long, requires = "credentials_file")]
    require_signed_channels: bool,
    /// Refuse an operation, as often as needed: always, or the first TIMES calls. The message is AWS's own unless
    /// given. Such as StartSession=AccessDeniedException, ResumeSession=ThrottlingException*3 or
    /// OpenDataChannel=AccessDeniedException
    #[arg(long = "refuse", value_name = "OPERATION=CODE[:MESSAGE][*TIMES]")]
    refusals: Vec<Refusal>,
}

/// What the options come to, files read.
pub(super) struct Admission {
    pub(super) credentials: Vec<Credentials>,
    pub(super) signed_channels: bool,
    pub(super) refusals: Vec<Refusal>,
}

impl AdmissionOptions {
    pub(super) fn read(self) -> anyhow::Result<Admission> {
        let credentials = self.credentials_file.as_deref().map(credentials);
        Ok(Admission {
            credentials: credentials.transpose()?.unwrap_or_default(),
            signed_channels: self.require_signed_channels,
            refusals: self.refusals,
        })
    }
}

fn credentials(file: &Path) -> anyhow::Result<Vec<Credentials>> {
    let name = file.display();
    let text = fs::read_to_string(file)
        .with_context(|| format!("the credentials in {name} could not be read"))?;
    let text = Zeroizing::new(text);
    Credentials::parse_list(&text).with_context(|| format!("the credentials in {name} are none"))
}
