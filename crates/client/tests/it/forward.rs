//! Local connections through a session.

mod basic;
mod ending;
mod half_close;
mod many;
mod rig;
mod transparency;
