//! What values must look like. Each complaint completes a sentence that begins with the option's name.

use crate::endpoint;

/// A name of up to `limit` characters, without control characters.
pub(crate) fn name(value: String, limit: usize) -> Result<String, String> {
    let length = value.chars().count();
    if (1..=limit).contains(&length) && !value.chars().any(char::is_control) {
        Ok(value)
    } else {
        Err(format!("is not a name of 1 to {limit} characters"))
    }
}

pub(crate) fn region(value: String) -> Result<String, String> {
    let fits =
        |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    if !value.is_empty() && value.bytes().all(fits) {
        Ok(value)
    } else {
        Err("is not a region's name, such as us-east-1".to_owned())
    }
}

/// The URL of a Systems Manager endpoint.
pub(crate) fn endpoint(value: String) -> Result<String, String> {
    if !endpoint::is_url(&value) {
        return Err("is not a URL that begins with https:// or http://".to_owned());
    }
    match endpoint::systems_manager(&value) {
        Some(_) => Ok(value),
        None => Err(
            "is the endpoint of another service of AWS; that of Systems Manager belongs here"
                .to_owned(),
        ),
    }
}
