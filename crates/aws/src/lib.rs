//! What a Session Manager client needs of AWS besides the session itself: the data key of an
//! encrypted session, from KMS.
//!
//! [`KmsDataKeys`] is the source of data keys for [`ssm_session::Options`]. Credentials, region and
//! endpoint are found where the AWS CLI finds them; every connection goes through the
//! [`Connector`](ssm_session::Connector) of the session library, and so through the same TLS and
//! time limits.
//!
//! ```
//! use std::sync::Arc;
//! use ssm_session::{Connector, Options};
//! use ssm_session_aws::KmsDataKeys;
//!
//! let keys = KmsDataKeys::new(Connector::default()).region("eu-west-1").profile("work");
//! let options = Options {
//!     target: Some("i-0123456789abcdef0".to_owned()),
//!     control_plane: Some(Arc::new(keys)),
//!     ..Options::default()
//! };
//! ```
#![warn(missing_docs)]

mod error;
mod http;
mod kms;

pub use error::KmsError;
pub use kms::KmsDataKeys;
