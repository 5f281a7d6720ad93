use super::*;

/// What comes of these options, variables and this configuration file.
fn read(args: &BehaviourArgs, set: &[(&str, &str)], file: &str) -> Result<Behaviour, String> {
    let look_up = |name: &str| {
        let (_, value) = set.iter().find(|(set, _)| *set == name)?;
        Some((*value).into())
    };
    let mut mistakes = Mistakes::default();
    let file = ConfigFile::parse("/c.toml".into(), file.to_owned(), &mut mistakes);
    let behaviour = Behaviour::read(args, Variables::new(&look_up), &file, &mut mistakes);
    if mistakes.is_empty() {
        Ok(behaviour)
    } else {
        Err(mistakes.list("x"))
    }
}

fn options(escape: &str, keepalive: &str, silence: &str, resume_for: &str) -> BehaviourArgs {
    let given = |value: &str| (!value.is_empty()).then(|| value.to_owned());
    BehaviourArgs {
        escape_char: given(escape),
        keepalive: given(keepalive),
        silence: given(silence),
        resume_for: given(resume_for),
    }
}

fn limits(behaviour: Behaviour) -> (u64, u64, u64) {
    let timeouts = behaviour.timeouts;
    let seconds = [timeouts.keepalive, timeouts.silence, timeouts.resume].map(|t| t.as_secs());
    (seconds[0], seconds[1], seconds[2])
}

const FILE: &str = "escape-char = '%'\nkeepalive = 20\nsilence = 90\nresume-for = 0\n";
const VARIABLES: [(&str, &str); 4] = [
    ("SSM_SESSION_ESCAPE_CHAR", "^B"),
    ("SSM_SESSION_KEEPALIVE", "10"),
    ("SSM_SESSION_SILENCE", "30"),
    ("SSM_SESSION_RESUME_FOR", "86400"),
];

#[test]
fn an_option_outranks_the_variable_and_that_the_file() {
    let from_file = read(&BehaviourArgs::default(), &[], FILE).unwrap();
    assert_eq!(from_file.escape.to_string(), "%");
    assert_eq!(limits(from_file), (20, 90, 0));
    let from_variables = read(&BehaviourArgs::default(), &VARIABLES, FILE).unwrap();
    assert_eq!(from_variables.escape.to_string(), "^B");
    assert_eq!(limits(from_variables), (10, 30, 86400));
    let args = options("none", "1", "3600", "5");
    let from_options = read(&args, &VARIABLES, FILE).unwrap();
    assert_eq!(from_options.escape, EscapeChar::NONE);
    assert_eq!(limits(from_options), (1, 3600, 5));
}

#[test]
fn nothing_given_is_the_default_and_an_empty_variable_is_nothing() {
    let empty = VARIABLES.map(|(name, _)| (name, ""));
    let behaviour = read(&BehaviourArgs::default(), &empty, "").unwrap();
    assert_eq!(behaviour, Behaviour::default());
}

#[test]
fn every_wrong_value_is_told_with_its_place_and_what_fits() {
    let args = options("ab", "0", "", "");
    let set = [("SSM_SESSION_SILENCE", "3601")];
    let error = read(&args, &set, "\nresume-for = -1\n").unwrap_err();
    for line in [
        "  --escape-char: an escape character is one visible ASCII character",
        "  --keepalive: is not a whole number of seconds from 1 to 3600",
        "  SSM_SESSION_SILENCE: is not a whole number of seconds from 1 to 3600",
        "  /c.toml line 2, resume-for: is not a whole number of seconds from 0 to 86400",
    ] {
        assert!(error.contains(line), "{line}\n{error}");
    }
    assert_eq!(error.lines().count(), 6, "{error}");
    for odd in ["", "1.5", "1s", "+-1", " 1", "99999999999999999999"] {
        let set = [("SSM_SESSION_KEEPALIVE", odd)];
        let read = read(&BehaviourArgs::default(), &set, "");
        assert_eq!(read.is_ok(), odd.is_empty(), "{odd:?}");
    }
}

#[test]
fn silence_must_be_more_than_keepalive_also_where_only_one_is_given() {
    let error = read(&options("", "45", "", ""), &[], "").unwrap_err();
    assert!(
        error.contains("  --keepalive: a connection would be lost after 45 s"),
        "{error}"
    );
    let error = read(&options("", "", "15", ""), &[], "").unwrap_err();
    assert!(error.contains("  --silence: "), "{error}");
    assert!(
        error.contains("only after 15 s; let silence be more"),
        "{error}"
    );
    let error = read(&options("", "30", "", ""), &[], "silence = 20").unwrap_err();
    assert!(error.contains("  /c.toml line 1, silence: "), "{error}");
    read(&options("", "15", "16", ""), &[], "").unwrap();
}
