//! Local connections through a session.

mod basic;
mod ending;
mod half_close;
mod many;
pub(crate) mod rig;
mod transparency;
