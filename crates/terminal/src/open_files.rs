//! How many files this process may have open, connections included.

/// Raises the limit as far as this process may: many systems give every program 1,024 or 256 to begin with, fewer
/// than a browser's connections and those of its extensions through one forward.
#[cfg(unix)]
pub(crate) fn allow_many() {
    use rustix::process::Resource;
    use rustix::process::Rlimit;

    let limit = rustix::process::getrlimit(Resource::Nofile);
    let most = [limit.maximum, Some(MACOS_MOST)];
    let raised = most.into_iter().find(|current| {
        let wanted = Rlimit {
            current: *current,
            maximum: limit.maximum,
        };
        is_more(*current, limit.current)
            && rustix::process::setrlimit(Resource::Nofile, wanted).is_ok()
    });
    tracing::debug!(before = ?limit.current, now = ?raised, "open files");
}

/// Windows has no such limit.
#[cfg(not(unix))]
pub(crate) fn allow_many() {}

/// Whether one limit is higher than another; none is the highest.
#[cfg(unix)]
fn is_more(limit: Option<u64>, than: Option<u64>) -> bool {
    match (limit, than) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(limit), Some(than)) => limit > than,
    }
}

/// `OPEN_MAX`: macOS refuses more, even where it names no limit.
#[cfg(unix)]
const MACOS_MOST: u64 = 10_240;

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_more_than_any() {
        assert!(is_more(None, Some(1)));
        assert!(!is_more(Some(u64::MAX), None));
        assert!(!is_more(None, None));
        assert!(is_more(Some(2), Some(1)) && !is_more(Some(1), Some(1)));
    }
}
