//! What all connections of one emulator share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;

use crate::agent::Guard;
use crate::connect_faults::ConnectFaults;
use crate::documents::Documents;
use crate::kms::Kms;
use crate::plan::Plan;
use crate::plan::Target;
use crate::refusals::Refusals;
use crate::sessions::Sessions;
use crate::strangers::Strangers;
use crate::tasks::Tasks;

/// The account every ARN names.
pub(crate) const ACCOUNT: &str = "123456789012";
/// Whom every session belongs to, whoever signed the request.
pub(crate) const PRINCIPAL: &str = "emulator";

/// The ARN of [`PRINCIPAL`].
pub(crate) fn owner_arn() -> String {
    format!("arn:aws:iam::{ACCOUNT}:user/{PRINCIPAL}")
}

/// One emulated AWS account in one region.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) plan: Plan,
    pub(crate) address: SocketAddr,
    pub(crate) started: SystemTime,
    pub(crate) documents: Documents,
    pub(crate) kms: Arc<Kms>,
    pub(crate) refusals: Refusals,
    pub(crate) connect_faults: ConnectFaults,
    pub(crate) sessions: Sessions,
    pub(crate) tasks: Tasks,
    pub(crate) strangers: Strangers,
    pub(crate) guard: Arc<Guard>,
    /// Becomes true when the emulator ends.
    stopping: watch::Receiver<bool>,
}

impl Service {
    pub(crate) fn new(
        mut plan: Plan,
        address: SocketAddr,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let documents = Documents::new(std::mem::take(&mut plan.documents));
        let keys = std::mem::take(&mut plan.kms_keys);
        let refusals = std::mem::take(&mut plan.refusals);
        let connect_faults = std::mem::take(&mut plan.connect_faults);
        if !plan.targets.iter().any(Target::is_container) {
            plan.targets.push(Target::default_container());
        }
        Self {
            kms: Arc::new(Kms::new(&plan.region, ACCOUNT, keys)),
            address,
            started: SystemTime::now(),
            documents,
            refusals: Refusals::new(refusals),
            connect_faults: ConnectFaults::new(connect_faults),
            sessions: Sessions::default(),
            tasks: Tasks::default(),
            strangers: Strangers::default(),
            guard: Arc::default(),
            stopping,
            plan,
        }
    }

    /// Waits until the emulator ends.
    pub(crate) async fn stopped(&self) {
        // An error means that the emulator was dropped: it has ended as well.
        self.stopping.clone().wait_for(|stop| *stop).await.ok();
    }

    pub(crate) fn target(&self, id: &str) -> Option<&Target> {
        self.plan.targets.iter().find(|target| target.id() == id)
    }

    /// Host and port a client on this machine can reach.
    pub(crate) fn authority(&self) -> String {
        reachable(self.address).to_string()
    }
}

/// An address that says "all of them" cannot be connected to everywhere; loopback is one of them.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_all_interfaces_is_reached_through_loopback() {
        for (listening, told) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("192.0.2.1:80", "192.0.2.1:80"),
        ] {
            assert_eq!(reachable(listening.parse().unwrap()).to_string(), told);
        }
    }
}
