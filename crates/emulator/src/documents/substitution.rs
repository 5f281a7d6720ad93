//! `{{ name }}` in a document's properties and inputs, as the agent fills it in (`docs/PROTOCOL.md` 1.5).

use std::collections::BTreeMap;

use serde_json::Value;

/// A copy of `template` with every placeholder of a known name filled in.
///
/// Text that is exactly one placeholder becomes the value, whatever its JSON type. Otherwise the value's text is
/// spliced in. Placeholders of unknown names stay, and filled-in text is not searched again.
pub(super) fn substitute(template: &Value, values: &BTreeMap<String, Value>) -> Value {
    match template {
        Value::String(text) => substitute_text(text, values),
        Value::Array(items) => items.iter().map(|item| substitute(item, values)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), substitute(value, values)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
    }
}

fn substitute_text(text: &str, values: &BTreeMap<String, Value>) -> Value {
    if let Some((before, name, after)) = first_placeholder(text)
        && before.is_empty()
        && after.is_empty()
        && let Some(value) = values.get(name)
    {
        return value.clone();
    }
    let mut spliced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, name, after)) = first_placeholder(rest) {
        spliced.push_str(before);
        match values.get(name) {
            Some(value) => spliced.push_str(&as_spliced(value)),
            None => spliced.push_str(&rest[before.len()..rest.len() - after.len()]),
        }
        rest = after;
    }
    spliced.push_str(rest);
    Value::String(spliced)
}

/// Splits at the first `{{ name }}`: what stands before it, its name, what stands after it.
fn first_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + text[from..].find("{{")?;
        let inside = text[open + 2..].trim_start_matches([' ', '\t']);
        let name_length = inside.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let (name, tail) = inside.split_at(name_length);
        if let Some(after) = tail.trim_start_matches([' ', '\t']).strip_prefix("}}")
            && !name.is_empty()
        {
            return Some((&text[..open], name, after));
        }
        // One brace further, so that `{{{name}}` still holds a placeholder.
        from = open + 1;
    }
}

/// The agent hands the value to a regular expression's replacement text, where `$$` stands for one `$`.
fn as_spliced(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.replace("$$", "$")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_whole_placeholder_takes_the_value_with_its_type() {
        let filled = substitute(
            &json!({"a": "{{ yes }}", "b": "{{list}}", "c": "{{text}}"}),
            &values(),
        );
        assert_eq!(filled, json!({"a": true, "b": ["x", "y"], "c": "cost $$5"}));
    }

    #[test]
    fn text_around_a_placeholder_makes_it_text() {
        assert_eq!(substitute(&json!("is {{ yes }}."), &values()), "is true.");
        assert_eq!(
            substitute(&json!("{{list}}{{yes}}"), &values()),
            r#"["x","y"]true"#
        );
        assert_eq!(substitute(&json!(" {{yes}}"), &values()), " true");
    }

    #[test]
    fn two_dollars_in_a_spliced_value_become_one() {
        assert_eq!(
            substitute(&json!("echo {{text}}"), &values()),
            "echo cost $5"
        );
    }

    #[test]
    fn unknown_names_and_broken_placeholders_stay() {
        for text in [
            "{{ unknown }}",
            "a {{b-c}} {{yes",
            "{{}}",
            "{yes}",
            "{{ y es }}",
            "{{",
        ] {
            assert_eq!(substitute(&json!(text), &values()), text);
        }
    }

    #[test]
    fn extra_braces_do_not_hide_a_placeholder() {
        assert_eq!(substitute(&json!("{{{yes}}}"), &values()), "{true}");
    }

    #[test]
    fn filled_in_text_is_not_searched_again() {
        let values = BTreeMap::from([
            ("a".to_owned(), json!("{{b}}")),
            ("b".to_owned(), json!("never")),
        ]);
        assert_eq!(substitute(&json!("x{{a}}"), &values), "x{{b}}");
    }

    #[test]
    fn names_of_fields_and_other_types_are_left_alone() {
        let template = json!({"{{yes}}": [1, null, {"deep": "{{yes}}"}]});
        assert_eq!(
            substitute(&template, &values()),
            json!({"{{yes}}": [1, null, {"deep": true}]})
        );
    }

    fn values() -> BTreeMap<String, Value> {
        BTreeMap::from([
            ("yes".to_owned(), json!(true)),
            ("list".to_owned(), json!(["x", "y"])),
            ("text".to_owned(), json!("cost $$5")),
        ])
    }
}
