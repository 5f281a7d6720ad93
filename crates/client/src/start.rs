//! A session from its very beginning.

use crate::control_plane::ApiError;
use crate::control_plane::ApiErrorKind;
use crate::control_plane::StartRequest;
use crate::control_plane::terminate;
use crate::error::ConnectError;
use crate::options::Options;
use crate::options::SessionStart;
use crate::session::Session;
use crate::session::connect;
use crate::url::StreamUrlError;

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// StartSession failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// StartSession answered with an address that is not to be trusted. The session was ended.
    #[error(transparent)]
    StreamUrl(#[from] StreamUrlError),
    /// The session was started, and could not be reached. It was ended. Or nothing was started,
    /// for the time limits make no sense.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// Starts a session through [`Options::control_plane`] and [connects](connect) to it. The target
/// is that of `request`.
///
/// Given up while StartSession is under way, it may leave a session behind: rather wait for it and
/// [terminate](Session::terminate) then.
///
/// # Errors
///
/// [`StartError`] says which step failed. Nothing is left at the service, as far as it can be
/// reached.
///
/// # Panics
///
/// Outside a Tokio runtime with I/O and time enabled.
pub async fn start(request: StartRequest, options: Options) -> Result<Session, StartError> {
    let Some(control_plane) = options.control_plane.clone() else {
        let reason = "nobody is there to start sessions: the options name no control plane";
        return Err(ApiError::new(ApiErrorKind::Unsupported, reason).into());
    };
    let options = Options {
        target: Some(request.target.clone()),
        ..options
    };
    let options = options.checked().map_err(ConnectError::from)?;
    let access = control_plane.start_session(request).await?;
    let session_id = access.session_id.clone();
    tracing::info!(session_id, "started");
    let limit = options.timeouts.terminate;
    let connected = match SessionStart::new(access, &options.stream_policy) {
        Ok(start) => connect(start, options).await.map_err(StartError::from),
        Err(error) => Err(error.into()),
    };
    if connected.is_err() {
        terminate(control_plane.as_ref(), &session_id, limit).await;
    }
    connected
}
