//! What the names of AWS's hosts say.

/// A regional host of AWS: `<service>.<region>.<domain>`, or a PrivateLink name of one,
/// `….<service>.<region>.vpce.<domain>`, in any of AWS's partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AwsHost<'a> {
    /// Such as `ssm`, or `ssmmessages-fips`.
    pub service: &'a str,
    /// Such as `us-gov-west-1`.
    pub region: &'a str,
}

impl<'a> AwsHost<'a> {
    /// Reads a host name in lower case; `None` if it is not a regional host of AWS.
    pub fn parse(host: &'a str) -> Option<Self> {
        let name = below_aws(host)?;
        let name = name.strip_suffix(".vpce").unwrap_or(name);
        let mut labels = name.rsplit('.');
        let region = labels.next().filter(|label| is_region(label))?;
        let service = labels.next()?;
        labels
            .all(|label| !label.is_empty())
            .then_some(Self { service, region })
    }

    /// Whether a host name, in lower case, belongs to AWS, regional or not.
    pub fn is_aws(host: &str) -> bool {
        below_aws(host).is_some()
    }

    /// Whether it is Session Manager's gateway, or a variant of it.
    ///
    /// One label that says so is not enough: customers choose names of their own below AWS's
    /// domains, for their buckets and load balancers.
    pub fn is_session_manager(&self) -> bool {
        let variant = self.service.strip_prefix("ssmmessages");
        variant.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

/// What stands before the domain of one of AWS's partitions.
fn below_aws(host: &str) -> Option<&str> {
    DOMAINS
        .iter()
        .find_map(|domain| host.strip_suffix(domain)?.strip_suffix('.'))
        .filter(|name| !name.is_empty())
}

/// Whether `label` has the shape of a region's name, such as `us-gov-west-1`.
fn is_region(label: &str) -> bool {
    let mut parts = label.split('-');
    let (Some(area), Some(number)) = (parts.next(), parts.next_back()) else {
        return false;
    };
    let mut between = parts.peekable();
    let is_word = |part: &str| part.bytes().all(|byte| byte.is_ascii_lowercase());
    (2..=4).contains(&area.len())
        && is_word(area)
        && between.peek().is_some()
        && between.all(|part| !part.is_empty() && is_word(part))
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// The domains of AWS's partitions in its SDKs' list of partitions, for IPv4 and for dual stack.
const DOMAINS: [&str; 14] = [
    "amazonaws.com",
    "api.aws",
    "amazonaws.com.cn",
    "api.amazonwebservices.com.cn",
    "amazonaws.eu",
    "api.amazonwebservices.eu",
    "c2s.ic.gov",
    "api.aws.ic.gov",
    "sc2s.sgov.gov",
    "api.aws.scloud",
    "cloud.adc-e.uk",
    "api.cloud-aws.adc-e.uk",
    "csp.hci.ic.gov",
    "api.aws.hci.ic.gov",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_and_region_are_read_from_regional_names() {
        for (host, service, region) in [
            ("ssm.us-east-1.amazonaws.com", "ssm", "us-east-1"),
            (
                "ssm-fips.us-gov-west-1.amazonaws.com",
                "ssm-fips",
                "us-gov-west-1",
            ),
            ("ecs.cn-north-1.amazonaws.com.cn", "ecs", "cn-north-1"),
            ("kms.eu-west-1.api.aws", "kms", "eu-west-1"),
            (
                "vpce-0a1b-2c3d.ssmmessages.us-east-1.vpce.amazonaws.com",
                "ssmmessages",
                "us-east-1",
            ),
        ] {
            assert_eq!(
                AwsHost::parse(host),
                Some(AwsHost { service, region }),
                "{host}"
            );
        }
    }

    #[test]
    fn other_names_are_not_regional_though_they_may_be_awss() {
        for host in [
            "sts.amazonaws.com",
            "bucket.s3.amazonaws.com",
            "us-east-1.amazonaws.com",
        ] {
            assert_eq!(AwsHost::parse(host), None, "{host}");
            assert!(AwsHost::is_aws(host), "{host}");
        }
        for host in [
            "amazonaws.com",
            "notamazonaws.com",
            "ssm.us-east-1.example.com",
            "",
        ] {
            assert_eq!(AwsHost::parse(host), None, "{host}");
            assert!(!AwsHost::is_aws(host), "{host}");
        }
    }
}
