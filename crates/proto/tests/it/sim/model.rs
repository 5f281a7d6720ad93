//! What must come out: the reference that the ends are compared with.

/// The bytes of one direction or stream.
#[derive(Default)]
pub(crate) struct Flow {
    written: Vec<u8>,
    arrived: usize,
}

impl Flow {
    pub(crate) fn write(&mut self, data: &[u8]) {
        self.written.extend_from_slice(data);
    }

    /// Takes what came out, which must be what comes next.
    pub(crate) fn arrive(&mut self, what: &str, data: &[u8]) {
        let from = self.arrived;
        self.arrived += data.len();
        let expected = self.written.get(from..self.arrived);
        assert!(
            expected == Some(data),
            "{what} is not what was written: {} bytes at {from} of {}",
            data.len(),
            self.written.len()
        );
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.arrived == self.written.len()
    }

    /// How far it is, for failures.
    pub(crate) fn progress(&self) -> (usize, usize) {
        (self.arrived, self.written.len())
    }
}
