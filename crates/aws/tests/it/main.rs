//! The example program `data_key`, each time as a process of its own with an environment of its
//! own, against a KMS on loopback.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod failures;
mod kms;
mod program;
mod requests;
