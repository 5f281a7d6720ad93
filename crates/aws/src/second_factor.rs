//! The code of a device that a role asks for.

use std::io;

use ssm_session::BoxFuture;
use ssm_session::Secret;

/// Asks the user for the code of an MFA device.
pub trait SecondFactor: Send + Sync {
    /// The code that the device with this serial number or ARN shows at the moment. The future may
    /// be dropped at any time, for the one who waits may have been cancelled.
    ///
    /// # Errors
    ///
    /// When there is nobody to ask, or the answer cannot be read.
    fn code(&self, serial: &str) -> BoxFuture<'_, io::Result<Secret>>;
}
