//! What `connect` was given, checked as a whole: every mistake is reported, by the name of what it is in.

use std::ffi::OsString;
use std::io::BufRead;
use std::io::Read as _;

use serde::Deserialize as _;
use serde_json::Value;
use ssm_session::SessionStart;
use ssm_session::StreamUrl;
use ssm_session_proto::Secret;
use ssm_session_proto::SessionType;
use uuid::Uuid;

use super::behaviour::Behaviour;
use super::checks;
use super::config_file::ConfigFile;
use super::mistakes::Mistakes;
use super::network::refusal;
use super::variables::Variables;
use crate::api;
use crate::api::ApiSettings;
use crate::args::AwsArgs;
use crate::args::ConnectArgs;
use crate::args::NetworkArgs;
use crate::env_vars;
use crate::port::PortRequest;
use crate::response::Response;
use crate::response::kind;
use crate::session::SessionSettings;

/// Takes arguments, environment and, where a `-` asks for it, standard input together.
///
/// # Errors
///
/// All mistakes at once.
pub(super) fn resolve(
    args: ConnectArgs,
    response: Option<OsString>,
    token: Option<OsString>,
    variables: Variables<'_>,
    stdin: &mut dyn BufRead,
) -> Result<SessionSettings, Mistakes> {
    let mut mistakes = Mistakes::default();
    let mut given = Given {
        response: read_response(&args, response, stdin, &mut mistakes),
        mistakes,
    };
    let token_option = match args.token_value {
        Some(dash) if dash.expose() == "-" => given.read_token(stdin),
        option => option,
    };
    let token = given.token(token_option, token);
    let session_id = given.required("--session-id", "SessionId", args.session_id);
    let stream_url = given.required(
        "--stream-url",
        "StreamUrl",
        args.stream_url.map(|url| url.expose().to_owned()),
    );
    let target = given.name("--target", "Target", args.target, 400);
    let document = given.name("--document-name", "DocumentName", args.document_name, 128);
    let session_type = given.session_type(args.session_type);
    let parameters = given.parameters(args.parameters);
    let client_id = given.option("--client-id", "ClientId", args.client_id);
    let client_id = client_id.and_then(|id| {
        let parsed = Uuid::parse_str(&id).map_err(|_| "is not a UUID");
        given.mistakes.keep("--client-id", parsed)
    });
    let file = ConfigFile::read(variables, &mut given.mistakes);
    let behaviour = Behaviour::read(&args.behaviour, variables, &file, &mut given.mistakes);
    let mut api = given.api(args.aws, &args.network, variables, &file);
    api.region = api::region(api.region, stream_url.as_deref().unwrap_or_default());
    if args.allow_plain {
        api.network.policy = api.network.policy.allow_plain();
    }
    let stream_url = stream_url.and_then(|url| {
        let parsed = StreamUrl::parse(&url, &api.network.policy).map_err(|error| refusal(&error));
        given.mistakes.keep("--stream-url", parsed)
    });
    match (session_id, stream_url, token) {
        (Some(session_id), Some(stream_url), Some(token)) if given.mistakes.is_empty() => {
            Ok(SessionSettings {
                start: SessionStart {
                    session_id,
                    stream_url,
                    token,
                },
                target,
                client_id,
                api,
                behaviour,
                port: PortRequest::new(document.as_deref(), session_type.as_deref(), &parameters),
            })
        }
        _ => Err(given.mistakes),
    }
}

/// The response as JSON: the argument's, standard input's, or the environment's where nothing else names a session.
fn read_response(
    args: &ConnectArgs,
    variable: Option<OsString>,
    stdin: &mut dyn BufRead,
    mistakes: &mut Mistakes,
) -> Option<Response> {
    let (place, parsed) = match args.response.as_slice() {
        [] if args.session_id.is_some()
            || args.stream_url.is_some()
            || args.token_value.is_some() =>
        {
            return None;
        }
        [] => {
            let text = variable?.into_string().map(Secret::new);
            let parsed = match text {
                Ok(text) => Response::parse(&text),
                Err(_) => Err("is not UTF-8 text".to_owned()),
            };
            (env_vars::START_SESSION_RESPONSE, parsed)
        }
        [dash] if dash.expose() == "-" => ("JSON on standard input", read_object(stdin)),
        [text] => ("JSON", Response::parse(text)),
        [_, _, ..] => (
            "JSON",
            Err("is given more than once, or an option lacks its name".to_owned()),
        ),
    };
    mistakes.keep(place, parsed)
}

/// Reads one JSON object and the rest of its last line, and not a byte more: that is the session's input.
fn read_object(stdin: &mut dyn BufRead) -> Result<Response, String> {
    let mut limited = stdin.take(RESPONSE_LIMIT);
    let object = Value::deserialize(&mut serde_json::Deserializer::from_reader(&mut limited))
        .map_err(|error| format!("is not JSON: {error}"))?;
    let mut rest = Vec::new();
    limited
        .read_until(b'\n', &mut rest)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if !rest.trim_ascii().is_empty() {
        return Err("goes on behind the object, on the same line".to_owned());
    }
    Response::from_value(object)
}

/// The values by their AWS names, and the mistakes found so far.
struct Given {
    response: Option<Response>,
    mistakes: Mistakes,
}

impl Given {
    /// An option, or else what the response has by that name; both at once is a mistake.
    fn option(&mut self, option: &str, name: &str, value: Option<String>) -> Option<String> {
        let in_response = match self
            .response
            .as_mut()
            .map(|response| response.take_text(name))
        {
            None | Some(Ok(None)) => None,
            Some(Ok(text)) => text,
            Some(Err(fault)) => {
                self.mistakes.add("JSON", fault);
                None
            }
        };
        if value.is_some() && in_response.is_some() {
            self.mistakes
                .add(option, format_args!("is given in the JSON as {name} too"));
        }
        value.or(in_response)
    }

    fn required(&mut self, option: &str, name: &str, value: Option<String>) -> Option<String> {
        let before = self.mistakes.count();
        let value = self.option(option, name, value);
        match &value {
            Some(text) if text.is_empty() => {
                self.mistakes.add(option, "is empty");
                None
            }
            None if self.mistakes.count() == before => {
                self.add_missing(option, name);
                None
            }
            _ => value,
        }
    }

    fn add_missing(&mut self, option: &str, name: &str) {
        if self.response.is_some() {
            self.mistakes.add(
                option,
                format_args!("is missing, and the JSON has no {name}"),
            );
        } else {
            self.mistakes.add(option, "is missing");
        }
    }

    fn name(
        &mut self,
        option: &str,
        name: &str,
        value: Option<String>,
        limit: usize,
    ) -> Option<String> {
        let value = self.option(option, name, value)?;
        self.mistakes.keep(option, checks::name(value, limit))
    }

    fn api(
        &mut self,
        args: AwsArgs,
        network: &NetworkArgs,
        variables: Variables<'_>,
        file: &ConfigFile,
    ) -> ApiSettings {
        let args = AwsArgs {
            profile: self.option("--profile", "Profile", args.profile),
            region: self.option("--region", "Region", args.region),
            endpoint_url: self.option("--endpoint-url", "EndpointUrl", args.endpoint_url),
        };
        ApiSettings::read(args, network, variables, file, &mut self.mistakes)
    }

    fn token(&mut self, option: Option<Secret>, variable: Option<OsString>) -> Option<Secret> {
        let from_variable = match variable.map(OsString::into_string) {
            None => None,
            Some(Ok(text)) => Some(Secret::new(text)),
            Some(Err(_)) => {
                self.mistakes.add(env_vars::TOKEN, "is not UTF-8 text");
                return None;
            }
        };
        let in_response = self
            .response
            .is_some()
            .then(|| self.option("JSON", "TokenValue", None));
        match (option, in_response.flatten(), from_variable) {
            (Some(_), Some(_), _) => {
                self.mistakes
                    .add("--token-value", "is given in the JSON as TokenValue too");
                None
            }
            (Some(token), None, _) => self.whole_token("--token-value", token),
            (None, Some(token), _) => {
                self.whole_token("TokenValue in the JSON", Secret::new(token))
            }
            (None, None, Some(token)) => self.whole_token(env_vars::TOKEN, token),
            (None, None, None) => {
                self.mistakes.add(
                    "--token-value",
                    format_args!("is missing, and {} is not set", env_vars::TOKEN),
                );
                None
            }
        }
    }

    fn whole_token(&mut self, place: &str, token: Secret) -> Option<Secret> {
        self.mistakes
            .check(place, !token.expose().is_empty(), "is empty")
            .then_some(token)
    }

    /// The token as the first line of standard input.
    fn read_token(&mut self, stdin: &mut dyn BufRead) -> Option<Secret> {
        let mut line = Vec::new();
        let read = stdin.take(RESPONSE_LIMIT).read_until(b'\n', &mut line);
        let text = read
            .map_err(|error| format!("cannot be read from standard input: {error}"))
            .and_then(|_| {
                String::from_utf8(line)
                    .map_err(|_| "on standard input is not UTF-8 text".to_owned())
            });
        let text = self.mistakes.keep("--token-value", text)?;
        Some(Secret::new(text.trim_end_matches(['\r', '\n'])))
    }

    fn session_type(&mut self, value: Option<String>) -> Option<String> {
        let value = self.option("--session-type", "SessionType", value)?;
        let known = [
            SessionType::STANDARD_STREAM,
            SessionType::INTERACTIVE_COMMANDS,
            SessionType::NON_INTERACTIVE_COMMANDS,
            SessionType::PORT,
        ];
        self.mistakes
            .check(
                "--session-type",
                known.iter().any(|known| known.as_str() == value),
                "is not Standard_Stream, InteractiveCommands, NonInteractiveCommands or Port",
            )
            .then_some(value)
    }

    /// The parameters, `Null` without any.
    fn parameters(&mut self, option: Option<Secret>) -> Value {
        let in_response = self
            .response
            .as_mut()
            .and_then(|response| response.take("Parameters"));
        if let Some(parameters) = &in_response
            && !parameters.is_object()
        {
            self.mistakes.add(
                "Parameters in the JSON",
                format_args!("is {}, not a JSON object", kind(parameters)),
            );
        }
        let Some(text) = option else {
            return in_response.unwrap_or_default();
        };
        if in_response.is_some() {
            self.mistakes
                .add("--parameters", "is given in the JSON as Parameters too");
        }
        self.mistakes
            .keep("--parameters", Response::parse(&text))
            .map(Response::into_value)
            .unwrap_or_default()
    }
}

/// Bytes; a real response has a few kilobytes.
const RESPONSE_LIMIT: u64 = 1 << 20;

#[cfg(test)]
mod tests;
