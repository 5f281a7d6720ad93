//! The local side of a session: raw mode, window size, signals, standard input and output, local ends of forwards,
//! and the loops that join them with an [`ssm_session::Session`].
//!
//! Programs use it, libraries do not: everything here acts on this process's own standard streams and signals.
//! [`Console`] is the whole of it for most callers; [`RawMode`] and [`window_size`] stand alone.
#![warn(missing_docs)]

mod console;
mod end_of_input;
mod escape;
mod input;
mod job_control;
mod local_end;
mod open_files;
mod output;
mod raw_mode;
mod signals;
mod size;
mod stdout_reader;
mod text;
mod texts;

pub use console::Console;
pub use console::Outcome;
pub use console::Setup;
pub use console::Streams;
pub use escape::EscapeChar;
pub use escape::InvalidEscapeChar;
pub use local_end::CannotListen;
pub use local_end::LocalListener;
pub use raw_mode::Keys;
pub use raw_mode::RawMode;
pub use raw_mode::is_raw;
pub use signals::Signal;
pub use size::window_size;
pub use text::one_line;
pub use text::sanitised;
pub use texts::News;
pub use texts::PlainTexts;
pub use texts::Texts;
pub use texts::WayOut;
