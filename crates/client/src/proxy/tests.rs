use super::*;

fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, ProxyError> {
    Proxies::from_variables(|name| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

/// The proxy for a connection over TLS and for a plain one, shown as URLs.
fn chosen(variables: &[(&str, &str)]) -> (Option<String>, Option<String>) {
    let proxies = proxies(variables).unwrap();
    let choose = |port, tls| {
        let proxy = proxies.choose("host.example", port, tls);
        proxy.map(|proxy| proxy.to_string())
    };
    (choose(443, true), choose(80, false))
}

#[test]
fn each_kind_of_connection_has_its_variable_and_all_proxy_stands_in() {
    let a = || Some("http://a:80".to_owned());
    let b = || Some("http://b:80".to_owned());
    for (variables, expected) in [
        (&[][..], (None, None)),
        (&[("HTTPS_PROXY", "a")], (a(), None)),
        (&[("HTTP_PROXY", "a")], (None, a())),
        (&[("ALL_PROXY", "a")], (a(), a())),
        (&[("all_proxy", "a")], (a(), a())),
        (&[("HTTPS_PROXY", "a"), ("ALL_PROXY", "b")], (a(), b())),
        (&[("http_proxy", "a"), ("ALL_PROXY", "b")], (b(), a())),
        (&[("HTTPS_PROXY", ""), ("ALL_PROXY", "b")], (b(), b())),
        (&[("HTTPS_PROXY", " a ")], (a(), None)),
    ] {
        assert_eq!(chosen(variables), expected, "{variables:?}");
    }
}

#[test]
fn the_name_in_lower_case_wins_even_when_empty() {
    let both = [("HTTPS_PROXY", "a"), ("https_proxy", "b")];
    assert_eq!(chosen(&both).0.as_deref(), Some("http://b:80"));
    assert_eq!(chosen(&[("HTTPS_PROXY", "a"), ("https_proxy", "")]).0, None);
    let lists = [
        ("HTTPS_PROXY", "a"),
        ("NO_PROXY", "*"),
        ("no_proxy", "other.example"),
    ];
    assert_eq!(chosen(&lists).0.as_deref(), Some("http://a:80"));
}

#[test]
fn a_web_servers_client_does_not_choose_the_proxy() {
    for name in ["HTTP_PROXY", "http_proxy"] {
        let variables = [(name, "a"), ("HTTPS_PROXY", "b"), ("REQUEST_METHOD", "GET")];
        assert_eq!(chosen(&variables), (Some("http://b:80".to_owned()), None));
    }
    let empty = [("HTTP_PROXY", "a"), ("REQUEST_METHOD", "")];
    assert_eq!(chosen(&empty).1.as_deref(), Some("http://a:80"));
}

#[test]
fn what_is_listed_takes_no_proxy() {
    let proxies = proxies(&[
        ("ALL_PROXY", "a"),
        ("NO_PROXY", "in.example,out.example:443"),
    ])
    .unwrap();
    for (host, port, expected) in [
        ("in.example", 443, false),
        ("x.in.example", 80, false),
        ("out.example", 443, false),
        ("out.example", 80, true),
        ("localhost", 443, false),
        ("169.254.169.254", 80, false),
        ("other.example", 443, true),
    ] {
        let chosen = proxies.choose(host, port, true);
        assert_eq!(chosen.is_some(), expected, "{host}:{port}");
    }
}

#[test]
fn an_error_names_the_variable_that_was_used() {
    let error = proxies(&[("https_proxy", "socks4://a"), ("HTTPS_PROXY", "a")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "https_proxy must begin with http://, https://, socks5:// or socks5h://"
    );
}

#[test]
fn debug_output_shows_no_credentials() {
    let shown = format!("{:?}", proxies(&[("ALL_PROXY", "someone:hunter2@a")]));
    assert!(shown.contains("http://a:80"), "{shown}");
    assert!(
        !shown.contains("someone") && !shown.contains("hunter2"),
        "{shown}"
    );
}
