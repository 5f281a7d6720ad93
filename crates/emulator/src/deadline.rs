//! Moments to wait for.

use tokio::time::Instant;

/// Waits until `deadline`; for ever without one.
pub(crate) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
