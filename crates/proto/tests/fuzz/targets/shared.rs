//! The fuzzing targets: each takes any bytes, and panics if a promise of the crate is broken.

mod bodies;
mod choices;
mod frames;
mod pair;
mod smux;

pub(crate) use bodies::run as bodies;
pub(crate) use frames::run as frames;
pub(crate) use pair::run as pair;
pub(crate) use smux::run as smux;
