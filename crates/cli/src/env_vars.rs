//! Every environment variable this program reads itself. The AWS SDK reads its own `AWS_*` besides.

/// What StartSession answered, as JSON: a caller's way to keep the token off the command line. Removed once read.
///
/// Callers may use any name that begins so and pass that name as the first argument (`docs/PROTOCOL.md` 1.3).
pub(crate) const START_SESSION_RESPONSE: &str = "AWS_SSM_START_SESSION_RESPONSE";

/// The token for `connect`. Removed once read.
pub(crate) const TOKEN: &str = "SSM_SESSION_TOKEN";

/// The level of the user's own log, also in use as a drop-in; `1` for debug, `0` or `off` for no log.
pub(crate) const LOG: &str = "SSM_SESSION_LOG";

/// Log file in use as a drop-in, where there is no option for it.
pub(crate) const LOG_FILE: &str = "SSM_SESSION_LOG_FILE";

/// What is logged: `level` or `target=level`, separated by commas. Wins over `-v`.
pub(crate) const RUST_LOG: &str = "RUST_LOG";

/// Hosts the session's connection may lead to besides AWS's, separated by commas.
pub(crate) const ALLOW_STREAM_HOSTS: &str = "SSM_SESSION_ALLOW_STREAM_HOSTS";

/// Host, with or without a port, that takes the place of the stream URL's.
pub(crate) const STREAM_HOST: &str = "SSM_SESSION_STREAM_HOST";

/// The character that begins an escape, or `none`.
pub(crate) const ESCAPE_CHAR: &str = "SSM_SESSION_ESCAPE_CHAR";

/// Seconds between two pings.
pub(crate) const KEEPALIVE: &str = "SSM_SESSION_KEEPALIVE";

/// Seconds of silence after which a connection is lost.
pub(crate) const SILENCE: &str = "SSM_SESSION_SILENCE";

/// Seconds for which a lost connection is to be resumed.
pub(crate) const RESUME_FOR: &str = "SSM_SESSION_RESUME_FOR";

/// Path of the configuration file.
pub(crate) const CONFIG: &str = "SSM_SESSION_CONFIG";

/// `true` leaves the session's connection unsigned, so that no credentials are looked up for it. AWS's plugin looks none
/// up at all then; here what cannot do without them still does: KMS, resuming, ending by the API.
pub(crate) const SKIP_CLIENT_CONFIGURE: &str = "SSM_PLUGIN_SKIP_CLIENT_CONFIGURE";

/// The profile where none is named, as everywhere in AWS's tools.
pub(crate) const AWS_PROFILE: &str = "AWS_PROFILE";

/// A PEM file with certificate authorities, as everywhere in AWS's tools.
pub(crate) const AWS_CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// A PEM file with certificate authorities, as in programs that use OpenSSL: there it takes the place of the system's, and
/// so it does here where the system's are OpenSSL's.
pub(crate) const SSL_CERT_FILE: &str = "SSL_CERT_FILE";
