//! Versions, compared as the peers compare them, and every behaviour that hangs on one
//! (docs/PROTOCOL.md 5.1 and 5.2).

use std::cmp::Ordering;
use std::fmt;

/// What this client calls itself, on the wire and to callers that ask for its version.
///
/// Agents give old clients old behaviour, AWS supports nothing before this number, and larger
/// ones claim features of AWS's own plugin (docs/PROTOCOL.md 1.6 and 5.1).
pub const CLIENT_VERSION: &str = "1.2.764.0";

/// A version as a peer wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(String);

impl Version {
    /// Any text is a version; comparing decides what it is worth.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn components(&self) -> usize {
        self.0.split('.').count()
    }

    /// Component by component, as numbers where both are numbers and as text otherwise; of two
    /// that agree so far the one with fewer components is the lower.
    fn compare(&self, other: &str) -> Ordering {
        let mut ours = self.0.split('.');
        let mut theirs = other.split('.');
        loop {
            let order = match (ours.next(), theirs.next()) {
                (None, None) => return Ordering::Equal,
                (None, Some(_)) => return Ordering::Less,
                (Some(_), None) => return Ordering::Greater,
                (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                    (Ok(a), Ok(b)) => a.cmp(&b),
                    (Err(_), _) | (_, Err(_)) => a.cmp(b),
                },
            };
            if order != Ordering::Equal {
                return order;
            }
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A behaviour that the other end's version decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// The agent ends the session at [`ControlFlag::TERMINATE_SESSION`](crate::ControlFlag).
    AgentTerminateFlag,
    /// The agent speaks smux in port sessions.
    AgentMultiplexing,
    /// The agent needs no smux keepalive from the client.
    AgentKeepaliveOff,
    /// The client speaks smux in port sessions.
    ClientMultiplexing,
    /// The client needs no smux keepalive from the agent.
    ClientKeepaliveOff,
    /// The client must be told to update before it gets separate output streams.
    ClientSeparateOutputUnknown,
}

/// Every version test there is: the rule each [`Gate`] stands for.
const GATES: [(Gate, Rule); 6] = [
    (Gate::AgentTerminateFlag, Rule::AgentAbove("2.3.722.0")),
    (Gate::AgentMultiplexing, Rule::AgentAbove("3.0.196.0")),
    (Gate::AgentKeepaliveOff, Rule::AgentAbove("3.1.1511.0")),
    (Gate::ClientMultiplexing, Rule::From("1.1.70")),
    (Gate::ClientKeepaliveOff, Rule::Above("1.2.331.0")),
    (Gate::ClientSeparateOutputUnknown, Rule::UpTo("1.2.295")),
];

#[derive(Clone, Copy, Debug)]
enum Rule {
    /// Strictly greater, and only between versions of as many components.
    AgentAbove(&'static str),
    Above(&'static str),
    From(&'static str),
    UpTo(&'static str),
}

impl Gate {
    /// Whether `version` has the behaviour. No version counts as the oldest.
    pub fn admits(self, version: Option<&Version>) -> bool {
        let oldest = Version::new("");
        let version = version.unwrap_or(&oldest);
        GATES
            .iter()
            .filter(|(gate, _)| *gate == self)
            .any(|(_, rule)| match *rule {
                Rule::AgentAbove(limit) => {
                    version.components() == limit.split('.').count()
                        && version.compare(limit) == Ordering::Greater
                }
                Rule::Above(limit) => version.compare(limit) == Ordering::Greater,
                Rule::From(limit) => version.compare(limit) != Ordering::Less,
                Rule::UpTo(limit) => version.compare(limit) != Ordering::Greater,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(gate: Gate, version: &str) -> bool {
        gate.admits(Some(&Version::new(version)))
    }

    #[test]
    fn each_gate_opens_where_the_peers_open_it() {
        for (gate, below, above) in [
            (Gate::AgentTerminateFlag, "2.3.722.0", "2.3.723.0"),
            (Gate::AgentMultiplexing, "3.0.196.0", "3.0.196.1"),
            (Gate::AgentKeepaliveOff, "3.1.1511.0", "3.1.1512.0"),
            (Gate::ClientMultiplexing, "1.1.69.9", "1.1.70"),
            (Gate::ClientKeepaliveOff, "1.2.331.0", "1.2.331.1"),
        ] {
            assert!(!admits(gate, below), "{gate:?} {below}");
            assert!(admits(gate, above), "{gate:?} {above}");
            assert!(!gate.admits(None), "{gate:?} without a version");
        }
    }

    #[test]
    fn old_clients_are_told_to_update() {
        assert!(admits(Gate::ClientSeparateOutputUnknown, "1.2.0.0"));
        assert!(admits(Gate::ClientSeparateOutputUnknown, "1.2.295"));
        assert!(!admits(Gate::ClientSeparateOutputUnknown, "1.2.295.0"));
        assert!(Gate::ClientSeparateOutputUnknown.admits(None));
    }

    #[test]
    fn agent_versions_of_another_shape_are_not_compared() {
        assert!(!admits(Gate::AgentTerminateFlag, "3.0.0"));
        assert!(!admits(Gate::AgentTerminateFlag, "9"));
    }

    #[test]
    fn numbers_are_compared_as_numbers_and_words_as_words() {
        assert_eq!(Version::new("1.10").compare("1.9"), Ordering::Greater);
        assert_eq!(Version::new("1.b").compare("1.a"), Ordering::Greater);
        assert_eq!(Version::new("1.2").compare("1.2.0"), Ordering::Less);
        assert_eq!(Version::new("1.2.0").compare("1.2.0"), Ordering::Equal);
    }

    #[test]
    fn this_client_counts_as_new_at_every_agent() {
        assert!(admits(Gate::ClientMultiplexing, CLIENT_VERSION));
        assert!(admits(Gate::ClientKeepaliveOff, CLIENT_VERSION));
        assert!(!admits(Gate::ClientSeparateOutputUnknown, CLIENT_VERSION));
    }
}
