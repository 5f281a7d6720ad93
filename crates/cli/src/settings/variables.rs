//! The environment, as far as this program reads it itself.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use super::mistakes::Mistakes;
use super::placed::Placed;

/// Looks up environment variables. One that is empty is not set.
#[derive(Clone, Copy)]
pub(crate) struct Variables<'a>(&'a dyn Fn(&str) -> Option<OsString>);

impl<'a> Variables<'a> {
    pub(crate) const fn new(look_up: &'a dyn Fn(&str) -> Option<OsString>) -> Self {
        Self(look_up)
    }

    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        let value = (self.0)(name)?;
        (!value.is_empty()).then(|| value.into())
    }

    /// The text of a variable; what is no text is nothing and a mistake.
    pub(crate) fn text(&self, name: &str, mistakes: &mut Mistakes) -> Option<String> {
        let value = (self.0)(name)?;
        let text = mistakes.keep(name, value.into_string().map_err(|_| "is not UTF-8 text"))?;
        (!text.is_empty()).then_some(text)
    }

    /// [`Self::text`], with the variable's name.
    pub(super) fn placed(&self, name: &str, mistakes: &mut Mistakes) -> Option<Placed> {
        Some(Placed {
            value: self.text(name, mistakes)?,
            place: name.to_owned(),
        })
    }

    /// The text of a variable as it is, also where it is empty; what is no text is not set.
    pub(crate) fn raw(&self, name: &str) -> Option<String> {
        (self.0)(name)?.into_string().ok()
    }
}

impl fmt::Debug for Variables<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variables").finish_non_exhaustive()
    }
}
