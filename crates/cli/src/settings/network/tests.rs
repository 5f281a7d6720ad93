use super::*;

/// What came of these variables.
fn read(set: &[(&str, &str)]) -> Result<Network, String> {
    let look_up = |name: &str| {
        let (_, value) = set.iter().find(|(set, _)| *set == name)?;
        Some((*value).into())
    };
    let mut mistakes = Mistakes::default();
    let args = NetworkArgs::default();
    let variables = Variables::new(&look_up);
    let file = ConfigFile::read(variables, &mut mistakes);
    let network = Network::read(&args, None, variables, &file, &mut mistakes);
    if mistakes.is_empty() {
        Ok(network)
    } else {
        Err(mistakes.sentence())
    }
}

#[test]
fn an_empty_variable_is_not_set() {
    read(&[
        ("AWS_CA_BUNDLE", ""),
        ("SSL_CERT_FILE", ""),
        ("HTTPS_PROXY", ""),
        ("SSM_SESSION_ALLOW_STREAM_HOSTS", ""),
        ("SSM_SESSION_STREAM_HOST", ""),
        ("SSM_SESSION_CONFIG", ""),
    ])
    .unwrap();
}

#[test]
fn a_proxy_that_is_none_is_named_without_its_password() {
    let error = read(&[("HTTPS_PROXY", "gopher://user:hidden@proxy:1")]).unwrap_err();
    assert!(error.contains("HTTPS_PROXY"), "{error}");
    assert!(!error.contains("hidden"), "{error}");
}

#[test]
fn an_option_outranks_the_variable_and_that_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    std::fs::write(&file, "stream-host = \"file.corp\"\n").unwrap();
    let file = file.display().to_string();
    let host = |option: Option<&str>, variable: &str| {
        let look_up = |name: &str| match name {
            env_vars::CONFIG => Some(file.clone().into()),
            env_vars::STREAM_HOST => Some(variable.into()),
            _ => None,
        };
        let args = NetworkArgs {
            stream_host: option.map(str::to_owned),
            ..NetworkArgs::default()
        };
        let mut mistakes = Mistakes::default();
        let variables = Variables::new(&look_up);
        let file = ConfigFile::read(variables, &mut mistakes);
        let policy = policy(&args, variables, &file, &mut mistakes);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let url = ssm_session::StreamUrl::parse("wss://x.example", &policy).unwrap();
        url.host().to_owned()
    };
    assert_eq!(host(Some("option.corp"), "variable.corp"), "option.corp");
    assert_eq!(host(None, "variable.corp"), "variable.corp");
    assert_eq!(host(None, ""), "file.corp");
}

#[test]
fn a_host_that_is_none_is_told_with_its_place_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    std::fs::write(
        &path,
        "allow-stream-hosts = [\"ok.example\",\n\"not ok\"]\n",
    )
    .unwrap();
    let path = path.display().to_string();
    let error = read(&[("SSM_SESSION_CONFIG", &path)]).unwrap_err();
    let place = format!("{path} line 2, allow-stream-hosts: ");
    assert!(error.starts_with(&place), "{error}");
}
