//! How long a document may be remembered.

use std::time::{Duration, SystemTime};

use headers::{Age, CacheControl, Date, Expires, HeaderMap, HeaderMapExt};

/// Whatever its headers say: a fetch for each request is a fetch for each stranger's request.
pub(super) const SHORTEST: Duration = Duration::from_secs(60);
/// Whatever its headers say: a client that is gone, or has lost a redirect URI to somebody else, is so within a day.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// If they say nothing.
const UNSAID: Duration = Duration::from_secs(5 * 60);

/// How long an answer with these headers is fresh (RFC 9111 §4.2): `max-age` before `Expires`, less what it has spent in
/// caches, within bounds of our own (§5.2).
pub(super) fn fresh_for(headers: &HeaderMap) -> Duration {
    let cache = headers.typed_get::<CacheControl>().unwrap_or_else(CacheControl::new);
    if cache.no_store() || cache.no_cache() {
        return SHORTEST;
    }
    let spent = headers.typed_get::<Age>().map_or(Duration::ZERO, Duration::from);
    let expires = || {
        let sent = headers.typed_get::<Date>().map_or_else(SystemTime::now, SystemTime::from);
        let expires = SystemTime::from(headers.typed_get::<Expires>()?);
        Some(expires.duration_since(sent).unwrap_or(Duration::ZERO))
    };
    let allowed = cache.max_age().or_else(expires).map_or(UNSAID, |allowed| allowed.saturating_sub(spent));
    allowed.clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use headers::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn what_headers_may_say() {
        let noon = "Sat, 10 Oct 2026 12:00:00 GMT";
        for (headers, seconds) in [
            (&[][..], 300),
            (&[("cache-control", "public, max-age=300")], 300),
            (&[("cache-control", "max-age=3600")], 3600),
            (&[("cache-control", "max-age=3600"), ("age", "600")], 3000),
            (&[("cache-control", "max-age=3600"), ("age", "99999")], 60),
            (&[("cache-control", "max-age=0")], 60),
            (&[("cache-control", "max-age=59")], 60),
            (&[("cache-control", "no-store")], 60),
            (&[("cache-control", "no-cache, max-age=3600")], 60),
            (&[("cache-control", "max-age=31536000, immutable")], 86_400),
            (&[("cache-control", "max-age=18446744073709551615")], 86_400),
            (&[("cache-control", "max-age=-1")], 300),
            (&[("cache-control", "private")], 300),
            (&[("date", noon), ("expires", "Sat, 10 Oct 2026 12:10:00 GMT")], 600),
            (&[("date", noon), ("expires", "Sat, 10 Oct 2026 12:10:00 GMT"), ("age", "60")], 540),
            (&[("date", noon), ("expires", "Sat, 10 Oct 2026 12:10:00 GMT"), ("cache-control", "max-age=120")], 120),
            (&[("date", noon), ("expires", "Fri, 09 Oct 2026 12:00:00 GMT")], 60),
            (&[("expires", "Thu, 01 Jan 1970 00:00:00 GMT")], 60),
            (&[("date", noon), ("expires", "0")], 300),
        ] {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            assert_eq!(fresh_for(&headers).as_secs(), seconds, "{headers:?}");
        }
    }
}
