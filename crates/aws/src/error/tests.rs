use super::*;

const DENIED: &str = "User: arn:aws:sts::123456789012:assumed-role/dev/me is not authorized to perform: \
    ssm:StartSession on resource: arn:aws:ssm:eu-west-1::document/SSM-SessionManagerRunShell because no \
    identity-based policy allows the ssm:StartSession action";

fn call() -> Call<'static> {
    Call {
        service: Service::Ssm,
        operation: "StartSession",
        resource: "i-1",
        region: "eu-west-1",
        profile: Some("work"),
    }
}

fn refused(code: &str, status: u16, words: &str) -> AwsError {
    let failure = Failure::Refused {
        code: code.to_owned(),
        status,
        words: words.to_owned(),
    };
    AwsError::common(failure, &call())
}

#[test]
fn denied_access_names_action_and_resource_as_aws_does() {
    let sentence = refused("AccessDeniedException", 400, DENIED).to_string();
    let end =
        "; ask for ssm:StartSession on arn:aws:ssm:eu-west-1::document/SSM-SessionManagerRunShell";
    assert_eq!(sentence, format!("access is denied: {DENIED}{end}"));
}

#[test]
fn denied_access_without_details_names_what_was_asked() {
    let sentence = refused("AccessDeniedException", 400, "no").to_string();
    assert_eq!(
        sentence,
        "access is denied: no; ask for ssm:StartSession on i-1"
    );
}

#[test]
fn what_may_pass_is_transient_and_the_rest_is_not() {
    let kind = |code, status| refused(code, status, "x").kind();
    for (code, status) in [
        ("ThrottlingException", 400),
        ("Anything", 429),
        ("Anything", 503),
        ("InternalServerError", 400),
        ("ExpiredTokenException", 400),
    ] {
        assert_eq!(kind(code, status), ApiErrorKind::Transient, "{code}");
    }
    for code in [
        "AccessDeniedException",
        "ValidationException",
        "UnrecognizedClientException",
    ] {
        assert_eq!(kind(code, 400), ApiErrorKind::Refused, "{code}");
    }
    let unreachable = AwsError::common(Failure::Unreachable("x".to_owned()), &call());
    assert_eq!(unreachable.kind(), ApiErrorKind::Transient);
}
