//! Values with the places they come from.

/// A value, and the place to name if it is a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) value: String,
    pub(super) place: String,
}

impl Placed {
    /// The value of an option, if it was given.
    pub(super) fn option(name: &str, value: Option<&str>) -> Option<Self> {
        Some(Self {
            value: value?.to_owned(),
            place: name.to_owned(),
        })
    }
}
