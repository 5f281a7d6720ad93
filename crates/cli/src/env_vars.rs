//! Every environment variable this program reads itself. The AWS SDK reads its own `AWS_*` besides.

/// What StartSession answered, as JSON: a caller's way to keep the token off the command line. Removed once read.
///
/// Callers may use any name that begins so and pass that name as the first argument (`docs/PROTOCOL.md` 1.3).
pub(crate) const START_SESSION_RESPONSE: &str = "AWS_SSM_START_SESSION_RESPONSE";

/// The token for `connect`. Removed once read.
pub(crate) const TOKEN: &str = "SSM_SESSION_TOKEN";

/// Log file in use as a drop-in, where there is no option for it.
pub(crate) const LOG_FILE: &str = "SSM_SESSION_LOG_FILE";

/// What is logged: `level` or `target=level`, separated by commas. Wins over `-v`.
pub(crate) const RUST_LOG: &str = "RUST_LOG";
