//! What the document of a port session says (docs/PROTOCOL.md 1.5, 5 and 7.4 to 7.6).

use serde_json::Value;

use super::Established;
use super::SessionType;
use crate::version::Gate;

/// How a port session carries connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortForm {
    /// One connection for the whole session, which is the session's input and output
    /// (docs/PROTOCOL.md 7.4).
    Stdio,
    /// One connection at a time, as agents up to 3.0.196.0 know it (docs/PROTOCOL.md 7.5).
    Basic,
    /// Any number of connections, each a stream of a [`Mux`](crate::Mux)
    /// (docs/PROTOCOL.md 7.6).
    Multiplexed,
}

impl Established {
    /// The form of a port session; none for any other.
    pub fn port_form(&self) -> Option<PortForm> {
        if self.session_type != SessionType::PORT {
            return None;
        }
        let forwards = text(&self.properties, "type") == Some("LocalPortForwarding");
        let multiplexes = Gate::AgentMultiplexing.admits(self.agent_version.as_ref());
        Some(match (forwards, multiplexes) {
            (false, _) => PortForm::Stdio,
            (true, false) => PortForm::Basic,
            (true, true) => PortForm::Multiplexed,
        })
    }
}

/// Where a forward takes local connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalEnd {
    /// A TCP port on loopback; 0 for any free one.
    Port(u16),
    /// A socket file.
    UnixSocket(String),
}

impl LocalEnd {
    /// Reads `localPortNumber`, `localConnectionType` and `localUnixSocket` from a session's
    /// properties, or from the parameters of a StartSession request, where each value is a list
    /// of one.
    ///
    /// # Errors
    ///
    /// What makes no sense, and what would.
    pub fn from_properties(properties: &Value) -> Result<Self, LocalEndError> {
        let kind = text(properties, "localConnectionType").unwrap_or_default();
        if kind == "unix" {
            let path = text(properties, "localUnixSocket").unwrap_or_default();
            return match path {
                "" => Err(LocalEndError::NoPath),
                path => Ok(Self::UnixSocket(path.to_owned())),
            };
        }
        let port = text(properties, "localPortNumber").unwrap_or_default();
        if port.is_empty() {
            return Ok(Self::Port(0));
        }
        let number = port.parse().ok();
        let number = number.filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()));
        number
            .map(Self::Port)
            .ok_or_else(|| LocalEndError::Port(port.to_owned()))
    }
}

/// Why properties name no local end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LocalEndError {
    /// The port is no number from 0 to 65535.
    #[error("localPortNumber is `{0}`; give a number from 1 to 65535, or 0 for any free port")]
    Port(String),
    /// A unix socket without a path.
    #[error("localConnectionType is `unix`, and localUnixSocket names no path; give one")]
    NoPath,
}

/// The text of a property, or the first of a list.
fn text<'a>(properties: &'a Value, name: &str) -> Option<&'a str> {
    let value = properties.get(name)?;
    value.as_str().or_else(|| value.get(0)?.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::version::Version;

    fn established(session_type: SessionType, properties: Value, agent: &str) -> Established {
        Established {
            session_type,
            agent_version: Some(Version::new(agent)),
            customer_message: String::new(),
            encrypted: false,
            properties,
        }
    }

    #[test]
    fn the_form_follows_from_the_document_and_the_agents_version() {
        let forward = json!({"type": "LocalPortForwarding", "portNumber": "80"});
        let ssh = json!({"portNumber": "22"});
        for (properties, agent, form) in [
            (&forward, "3.3.0.0", PortForm::Multiplexed),
            (&forward, "3.0.196.0", PortForm::Basic),
            (&ssh, "3.3.0.0", PortForm::Stdio),
        ] {
            let session = established(SessionType::PORT, properties.clone(), agent);
            assert_eq!(session.port_form(), Some(form));
        }
        let shell = established(SessionType::STANDARD_STREAM, forward, "3.3.0.0");
        assert_eq!(shell.port_form(), None);
    }

    #[test]
    fn the_local_end_is_read_from_properties_and_from_parameters() {
        for (properties, local) in [
            (json!({"localPortNumber": "8080"}), LocalEnd::Port(8080)),
            (json!({"localPortNumber": ["8080"]}), LocalEnd::Port(8080)),
            (json!({"localPortNumber": "0"}), LocalEnd::Port(0)),
            (json!({"localPortNumber": ""}), LocalEnd::Port(0)),
            (json!({}), LocalEnd::Port(0)),
            (Value::Null, LocalEnd::Port(0)),
            (
                json!({"localConnectionType": "unix", "localUnixSocket": "/run/x"}),
                LocalEnd::UnixSocket("/run/x".to_owned()),
            ),
        ] {
            assert_eq!(LocalEnd::from_properties(&properties), Ok(local));
        }
    }

    #[test]
    fn a_local_end_that_makes_no_sense_is_named() {
        for (port, shown) in [("65536", "`65536`"), ("http", "`http`"), ("+1", "`+1`")] {
            let error = LocalEnd::from_properties(&json!({"localPortNumber": port}));
            let text = error.unwrap_err().to_string();
            assert!(text.contains(shown), "{text}");
        }
        let pathless = json!({"localConnectionType": "unix"});
        assert_eq!(
            LocalEnd::from_properties(&pathless),
            Err(LocalEndError::NoPath)
        );
    }
}
