//! Which steps of connecting fail at this moment.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::plan::ConnectFault;
use crate::plan::ConnectStep;
use crate::plan::Failure;
use crate::service::Service;

/// The faults that are not used up.
#[derive(Debug)]
pub(crate) struct ConnectFaults(Mutex<Vec<Counted>>);

#[derive(Debug)]
struct Counted {
    fault: ConnectFault,
    /// How often it has struck.
    struck: u32,
}

/// A request to be left without an answer, its connection closed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the connection is cut as the plan has it")]
pub(crate) struct Cut;

impl ConnectFaults {
    pub(crate) fn new(faults: Vec<ConnectFault>) -> Self {
        Self(Mutex::new(counted(faults)))
    }

    /// Replaces all of them.
    pub(crate) fn set(&self, faults: Vec<ConnectFault>) {
        *self.counted() = counted(faults);
    }

    /// Whether any fault waits at `step`.
    pub(crate) fn wait_at(&self, step: ConnectStep) -> bool {
        let counted = self.counted();
        let mut here = counted.iter().filter(|counted| counted.fault.step == step);
        here.any(Counted::is_left)
    }

    /// How a client fares that has come to `step`; the first fault that is not used up counts.
    pub(crate) fn strike(&self, step: ConnectStep) -> Option<Failure> {
        self.strike_if(|fault| fault.step == step)
            .map(|fault| fault.failure)
    }

    /// Whether a client fails in this way at `step`, where the two ways have their moments apart.
    pub(crate) fn strikes(&self, failure: Failure, step: ConnectStep) -> bool {
        self.strike_if(|fault| fault.step == step && fault.failure == failure)
            .is_some()
    }

    fn strike_if(&self, wanted: impl Fn(&ConnectFault) -> bool) -> Option<ConnectFault> {
        let mut counted = self.counted();
        let mut ready = counted.iter_mut().filter(|counted| counted.is_left());
        let next = ready.find(|counted| wanted(&counted.fault))?;
        next.struck = next.struck.saturating_add(1);
        tracing::info!(step = %next.fault.step, failure = ?next.fault.failure, "a fault strikes");
        Some(next.fault.clone())
    }

    fn counted(&self) -> MutexGuard<'_, Vec<Counted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// Lets a request pass that has come to `step`, or never answers it, or has its connection cut.
    pub(crate) async fn pass(&self, step: ConnectStep) -> Result<(), Cut> {
        match self.connect_faults.strike(step) {
            None => Ok(()),
            Some(Failure::Cut) => Err(Cut),
            Some(Failure::Stall) => {
                self.stopped().await;
                Err(Cut)
            }
        }
    }
}

impl Counted {
    fn is_left(&self) -> bool {
        self.fault
            .times
            .is_none_or(|times| self.struck < times.get())
    }
}

fn counted(faults: Vec<ConnectFault>) -> Vec<Counted> {
    let counted = faults.into_iter().map(|fault| Counted { fault, struck: 0 });
    counted.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_as_often_as_told_and_the_next_one_takes_over() {
        let fault = |failure, text| ConnectFault::parse(failure, text).unwrap();
        let faults = ConnectFaults::new(vec![
            fault(Failure::Cut, "open*2"),
            fault(Failure::Stall, "open*1"),
            fault(Failure::Stall, "upgrade"),
        ]);
        let strike = |step| faults.strike(step);
        assert!(faults.wait_at(ConnectStep::Open));
        assert_eq!(strike(ConnectStep::Open), Some(Failure::Cut));
        assert_eq!(strike(ConnectStep::Open), Some(Failure::Cut));
        assert!(!faults.strikes(Failure::Cut, ConnectStep::Open));
        assert!(faults.strikes(Failure::Stall, ConnectStep::Open));
        assert_eq!(strike(ConnectStep::Open), None);
        assert!(!faults.wait_at(ConnectStep::Open));
        for _ in 0..10 {
            assert_eq!(strike(ConnectStep::Upgrade), Some(Failure::Stall));
        }
        faults.set(Vec::new());
        assert_eq!(strike(ConnectStep::Upgrade), None);
    }
}
