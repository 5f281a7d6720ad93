//! Answers in pages: MaxResults and NextToken.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::ServiceError;

/// One page of `items`, which come in descending order of `position`, and the token of the next page.
///
/// A token holds the position of the last item given, so pages stay right while items are added in front.
pub(super) fn page<T>(
    items: Vec<T>,
    position: impl Fn(&T) -> u64,
    size: usize,
    token: Option<&str>,
) -> Result<(Vec<T>, Option<String>), ServiceError> {
    let below = token.map(read_token).transpose()?.unwrap_or(u64::MAX);
    let mut rest = items.into_iter().filter(|item| position(item) < below);
    let page: Vec<T> = rest.by_ref().take(size).collect();
    let next = page
        .last()
        .filter(|_| rest.next().is_some())
        .map(|last| token_of(position(last)));
    Ok((page, next))
}

/// MaxResults, or the largest page there is.
pub(super) fn size(
    max_results: Option<i64>,
    allowed: &RangeInclusive<usize>,
) -> Result<usize, ServiceError> {
    let Some(asked) = max_results else {
        return Ok(*allowed.end());
    };
    usize::try_from(asked)
        .ok()
        .filter(|size| allowed.contains(size))
        .ok_or_else(|| {
            ServiceError::validation(format!(
                "MaxResults is {asked}; it must be from {} to {}.",
                allowed.start(),
                allowed.end()
            ))
        })
}

fn token_of(position: u64) -> String {
    URL_SAFE_NO_PAD.encode(position.to_be_bytes())
}

fn read_token(token: &str) -> Result<u64, ServiceError> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    bytes
        .and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?)))
        .ok_or_else(|| {
            ServiceError::new(
                "InvalidNextToken",
                "NextToken is not one this emulator gave out.",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn following_the_tokens_gives_every_item_once() {
        let mut given = Vec::new();
        let mut token = None;
        loop {
            let (page, next) = page((1..=7).rev().collect(), |&n| n, 3, token.as_deref()).unwrap();
            given.push(page);
            token = next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(given, [vec![7, 6, 5], vec![4, 3, 2], vec![1]]);
    }

    #[test]
    fn a_page_that_fits_exactly_has_no_next() {
        let (_, next) = page(vec![2, 1], |&n| n, 2, None).unwrap();
        assert_eq!(next, None);
    }

    #[test]
    fn a_made_up_token_is_refused() {
        for token in ["", "!", "AAAA"] {
            let error = page(vec![1], |&n| n, 2, Some(token)).unwrap_err();
            assert_eq!(error.code(), "InvalidNextToken");
        }
    }

    #[test]
    fn sizes_out_of_range_are_refused() {
        assert_eq!(size(None, &(5..=50)).unwrap(), 50);
        assert_eq!(size(Some(5), &(5..=50)).unwrap(), 5);
        for asked in [-1, 0, 4, 51] {
            let error = size(Some(asked), &(5..=50)).unwrap_err();
            assert_eq!(error.code(), "ValidationException");
        }
    }
}
