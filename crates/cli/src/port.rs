//! What a StartSession request says of a port session, before its agent says it.

use serde_json::Value;
use ssm_session_proto::LocalEnd;
use ssm_session_proto::SessionType;
use ssm_session_terminal::CannotListen;
use ssm_session_terminal::LocalListener;

/// The part of a request that is about ports.
///
/// A document may call its parameters what it likes, so nothing here is certain: the properties that the agent names
/// win, and what makes no sense here is left for them to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PortRequest {
    /// Whether the session is one of type Port, as far as the request tells.
    pub is_port: bool,
    /// The local end, if the request names one. Any free port is none: it cannot be taken by others.
    pub local_end: Option<LocalEnd>,
}

impl PortRequest {
    /// Reads document, session type and parameters of a request; `Null` where there are no parameters.
    pub(crate) fn new(
        document: Option<&str>,
        session_type: Option<&str>,
        parameters: &Value,
    ) -> Self {
        let local_end = local_end(parameters).filter(|end| *end != LocalEnd::Port(0));
        let has_port_document = document.is_some_and(|name| {
            name == "AWS-StartSSHSession" || name.starts_with("AWS-StartPortForwardingSession")
        });
        let is_port = local_end.is_some()
            || has_port_document
            || session_type == Some(SessionType::PORT.as_str());
        Self { is_port, local_end }
    }

    /// Opens the local end, if the request names one.
    ///
    /// # Errors
    ///
    /// Names it and says what to do.
    pub(crate) fn listen(&self) -> Result<Option<LocalListener>, CannotListen> {
        self.local_end.clone().map(LocalListener::open).transpose()
    }
}

fn local_end(parameters: &Value) -> Option<LocalEnd> {
    let names = |name: &str| parameters.get(name).is_some();
    if names("localUnixSocket") && !names("localPortNumber") && !names("localConnectionType") {
        // The document for sockets has no parameter for what is always the same.
        let mut parameters = parameters.clone();
        parameters["localConnectionType"] = "unix".into();
        return LocalEnd::from_properties(&parameters).ok();
    }
    LocalEnd::from_properties(parameters).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(document: &str, parameters: &Value) -> PortRequest {
        PortRequest::new(Some(document), None, parameters)
    }

    #[test]
    fn a_local_end_is_read_as_the_aws_cli_hands_it_on() {
        let parameters = json!({"portNumber": ["80"], "localPortNumber": ["8080"]});
        let expected = PortRequest {
            is_port: true,
            local_end: Some(LocalEnd::Port(8080)),
        };
        assert_eq!(
            request("AWS-StartPortForwardingSession", &parameters),
            expected
        );
        for parameters in [
            json!({"localConnectionType": ["unix"], "localUnixSocket": ["/x"]}),
            json!({"portNumber": ["80"], "localUnixSocket": ["/x"]}),
        ] {
            let local_end = request("Own-Document", &parameters).local_end;
            assert_eq!(local_end, Some(LocalEnd::UnixSocket("/x".to_owned())));
        }
    }

    #[test]
    fn any_free_port_and_what_makes_no_sense_are_left_for_the_agent_to_name() {
        for parameters in [
            json!({"localPortNumber": ["0"]}),
            json!({"localPortNumber": [""]}),
            json!({"localPortNumber": ["nonsense"]}),
            json!({"portNumber": ["22"]}),
            Value::Null,
        ] {
            let request = request("AWS-StartPortForwardingSessionToRemoteHost", &parameters);
            assert_eq!((request.is_port, request.local_end), (true, None));
        }
    }

    #[test]
    fn a_shell_is_no_port() {
        let shell = PortRequest::new(None, Some("Standard_Stream"), &json!({"command": ["ls"]}));
        assert_eq!(shell, PortRequest::default());
        assert!(PortRequest::new(None, Some("Port"), &Value::Null).is_port);
        assert!(request("AWS-StartSSHSession", &json!({"portNumber": ["22"]})).is_port);
    }
}
