//! Asks KMS for a data key the way an encrypted session does, and says whether there is one:
//!
//! ```text
//! cargo run -p ssm-session-aws --example data_key -- <key> [region=…] [profile=…] [name=value …]
//! ```
//!
//! Every other `name=value` goes into the encryption context. The key itself is not shown.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

use std::collections::BTreeMap;
use std::process::ExitCode;

use ssm_session::Connector;
use ssm_session::ControlPlane as _;
use ssm_session::DataKeyRequest;
use ssm_session_aws::KmsDataKeys;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(key_id) = arguments.next() else {
        eprintln!("usage: data_key <key> [region=…] [profile=…] [name=value …]");
        return ExitCode::from(2);
    };
    let mut keys = KmsDataKeys::new(Connector::default());
    let mut encryption_context = BTreeMap::new();
    for argument in arguments {
        match argument.split_once('=') {
            Some(("region", region)) => keys = keys.region(region),
            Some(("profile", profile)) => keys = keys.profile(profile),
            Some((name, value)) => {
                encryption_context.insert(name.to_owned(), value.to_owned());
            }
            None => {
                eprintln!("{argument} is not of the form name=value");
                return ExitCode::from(2);
            }
        }
    }
    match keys
        .data_key(DataKeyRequest {
            key_id,
            encryption_context,
        })
        .await
    {
        Ok(key) => {
            println!(
                "a key of {} bytes, {} bytes under the KMS key",
                key.plaintext.len(),
                key.ciphertext.len()
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
