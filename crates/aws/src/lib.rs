//! What a Session Manager client needs of AWS: sessions started, resumed and ended, data keys of
//! encrypted sessions, and the signature of a data channel's opening.
//!
//! [`Aws`] is the [`ControlPlane`](ssm_session::ControlPlane) of [`ssm_session::Options`].
//! Credentials, region and endpoints are found where the AWS CLI finds them, when they are first
//! needed; every connection goes through the [`Connector`](ssm_session::Connector) of the session
//! library, and so through the same proxies, the same trust and the same time limits.
//!
//! ```
//! use std::sync::Arc;
//! use ssm_session::{Connector, Options};
//! use ssm_session_aws::Aws;
//!
//! let aws = Aws::new(Connector::default()).region("eu-west-1").profile("work");
//! let options = Options {
//!     target: Some("i-0123456789abcdef0".to_owned()),
//!     control_plane: Some(Arc::new(aws)),
//!     ..Options::default()
//! };
//! ```
//!
//! Errors, their `Debug` included, and what this crate logs hold no secret. The AWS SDK below it
//! logs requests and answers as they are: see [`SECRETIVE_TARGETS`].
#![warn(missing_docs)]

mod aws;
mod clock;
mod configuration;
mod credentials;
mod error;
mod http;
mod kms;
mod second_factor;
mod sessions;
mod settings;
mod sign;

pub use aws::Aws;
pub use error::AwsError;
pub use error::CredentialsError;
pub use error::KmsError;
pub use error::SessionError;
pub use second_factor::SecondFactor;
pub use sessions::ConnectionStatus;
pub use settings::NetworkSettings;
pub use settings::settings;

/// Targets of `tracing` events, by their beginnings, that may hold secrets: whole requests and
/// answers and the command of a `credential_process` at TRACE, answers that could not be understood
/// at every level. A program that logs must leave them out; what they are good for is said again
/// here, without the secrets.
pub const SECRETIVE_TARGETS: [&str; 2] = ["aws_", "hyper"];
