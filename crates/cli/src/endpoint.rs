//! What the hosts of URLs say about what is there.

use ssm_session::AwsHost;

/// The endpoint of the Systems Manager API, if that is what a caller's endpoint is.
///
/// Callers hand on whatever they reached their own API by (`docs/PROTOCOL.md` 1.3, 1.4): nothing, that of ECS, or the
/// stream URL. A host that is not AWS's is one that stands in for all of it.
pub(crate) fn systems_manager(endpoint: &str) -> Option<&str> {
    let host = name(host(endpoint, "http")?);
    let is_ours =
        AwsHost::parse(&host).is_some_and(|host| ["ssm", "ssm-fips"].contains(&host.service));
    (is_ours || !AwsHost::is_aws(&host)).then_some(endpoint)
}

/// The host of a URL with this scheme or the same with an `s`, without brackets.
fn host<'a>(url: &'a str, scheme: &str) -> Option<&'a str> {
    let (given, rest) = url.split_once("://")?;
    let given = given.to_ascii_lowercase();
    if given.strip_suffix('s').unwrap_or(&given) != scheme {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = match authority.strip_prefix('[') {
        Some(literal) => literal.split(']').next(),
        None => authority.split(':').next(),
    }?;
    let fits = !host.is_empty()
        && !authority.contains('@')
        && url.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(host)
}

/// Whether a text is a URL that begins with `https://` or `http://`.
pub(crate) fn is_url(text: &str) -> bool {
    host(text, "http").is_some()
}

/// The region in the name of the host of a stream URL: `ssmmessages.REGION…`, also with FIPS, dual stack, or behind the
/// name of a VPC endpoint.
pub(crate) fn region_of_stream(url: &str) -> Option<String> {
    let host = name(host(url, "ws")?);
    let host = AwsHost::parse(&host).filter(AwsHost::is_session_manager)?;
    Some(host.region.to_owned())
}

/// A host in the form in which names are compared.
fn name(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_of_systems_manager_and_of_nobody_known_are_used() {
        for endpoint in [
            "https://ssm.us-east-1.amazonaws.com",
            "https://ssm.us-east-1.amazonaws.com/",
            "https://SSM.eu-west-1.amazonaws.com:443",
            "https://ssm-fips.us-gov-west-1.amazonaws.com",
            "https://ssm.cn-north-1.amazonaws.com.cn",
            "https://ssm.us-east-1.api.aws",
            "https://vpce-0a1b-2c3d.ssm.us-east-1.vpce.amazonaws.com",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "http://localhost:4566",
            "https://10.0.0.7",
            "https://ssm.corp.example",
            "https://ecs.notamazonaws.com",
        ] {
            assert_eq!(systems_manager(endpoint), Some(endpoint));
        }
    }

    #[test]
    fn endpoints_of_other_services_and_what_is_none_are_not() {
        for endpoint in [
            "",
            "https://ecs.us-east-1.amazonaws.com",
            "https://ecs-fips.us-east-1.amazonaws.com",
            "https://ecs.us-east-1.api.aws",
            "https://vpce-0a1b.ecs.us-east-1.vpce.amazonaws.com",
            "wss://ssmmessages.us-east-1.amazonaws.com/v1/data-channel/s?role=x",
            "wss://127.0.0.1:80/x",
            "nonsense",
            "https://",
            "https://a b",
            "https://user:password@host",
        ] {
            assert_eq!(systems_manager(endpoint), None, "{endpoint}");
        }
    }

    #[test]
    fn the_region_stands_behind_the_gateways_name() {
        for (host, region) in [
            ("ssmmessages.eu-west-1.amazonaws.com", "eu-west-1"),
            (
                "ssmmessages-fips.us-gov-west-1.amazonaws.com",
                "us-gov-west-1",
            ),
            ("ssmmessages.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("ssmmessages.eu-west-1.api.aws", "eu-west-1"),
            (
                "vpce-0a1b-2c3d.ssmmessages.us-east-1.vpce.amazonaws.com",
                "us-east-1",
            ),
        ] {
            let url = format!("wss://{host}/v1/data-channel/s?role=x");
            assert_eq!(region_of_stream(&url).as_deref(), Some(region));
        }
        for host in [
            "127.0.0.1",
            "ssmmessages.example.com",
            "ssm.us-east-1.amazonaws.com",
        ] {
            assert_eq!(region_of_stream(&format!("ws://{host}")), None, "{host}");
        }
    }
}
