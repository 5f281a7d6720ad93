//! What the test programs of this crate share.

pub(crate) mod clock;
pub(crate) mod ends;
pub(crate) mod memory;
pub(crate) mod random;
pub(crate) mod recording;
pub(crate) mod seal;
pub(crate) mod smux;
pub(crate) mod wire;
