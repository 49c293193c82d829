//! What a browser may do with the pages: frame them, keep them, tell others where it is.

use super::{
    found::{Finding, Found, Stop},
    metadata::STRANGER,
    rows::{Area, Needs, Probe, Rows},
    server::Server,
};
use crate::{
    run::shown,
    wire::{Answer, RawRequest},
};

const FRAMES: &str = "RFC 9700 §4.16; RFC 6749 §10.13";
const COOKIES: &str = "RFC 6749 §10.12; CWE-1004, CWE-1275, CWE-614";

pub(super) fn rows() -> Vec<Probe> {
    let login = Needs::LoginPage;
    Rows::of(Area::Pages)
        .breach(("page-framed", "the login page in another site's frame", FRAMES), login, |s| {
            Box::pin(async { of_login(s, framed) })
        })
        .lax(("page-framed-error", "an error page in another site's frame", FRAMES), login, |s| {
            Box::pin(of_error(s, framed))
        })
        .lax(
            ("page-scripts", "no policy says which scripts the login page runs", "RFC 9700 §4.16; CWE-1021"),
            login,
            |s| Box::pin(async { of_login(s, scripts) }),
        )
        .lax(("page-cached", "the login page may be kept", "RFC 9700 §4.2; CWE-525"), login, |s| {
            Box::pin(async { of_login(s, cached) })
        })
        .lax(("page-sniffed", "the browser may guess what the page is", "CWE-430"), login, |s| {
            Box::pin(async { of_login(s, sniffed) })
        })
        .lax(
            ("page-referrer", "the page's URL, with the request in it, is told to others", "RFC 9700 §4.2.4"),
            login,
            |s| Box::pin(async { of_login(s, referrer) }),
        )
        .lax(("cookie-script", "scripts can read the cookie", COOKIES), login, |s| {
            Box::pin(async { of_cookies(s, |cookie| !has(cookie, "httponly")) })
        })
        .lax(("cookie-cross-site", "the cookie goes along from other sites", COOKIES), login, |s| {
            Box::pin(async { of_cookies(s, |cookie| !has(cookie, "samesite=lax") && !has(cookie, "samesite=strict")) })
        })
        .lax(("cookie-plain", "over https, the cookie goes along over http", COOKIES), login, |s| {
            Box::pin(async {
                if s.issuer.url.scheme() != "https" {
                    return Err(Stop::not_run("the server has no https"));
                }
                of_cookies(s, |cookie| !has(cookie, "secure"))
            })
        })
        .lax(("page-readable", "CORS at the authorization endpoint", "RFC 9700 §2.6"), login, |s| {
            Box::pin(readable(s, |answer| answer.header("access-control-allow-origin").is_some()))
        })
        .breach(
            ("page-readable-cookies", "CORS there, with the person's cookies", "RFC 9700 §2.6; CWE-942"),
            login,
            |s| {
                Box::pin(readable(s, |answer| {
                    let origin = answer.header("access-control-allow-origin").unwrap_or_default();
                    origin.contains(STRANGER) && answer.header("access-control-allow-credentials") == Some("true")
                }))
            },
        )
        .done()
}

/// The login page, unless it is another server's.
fn of_login(server: &Server, complaint: fn(&Answer) -> Option<String>) -> Finding {
    let page = server.login()?.visit.last();
    if page.status >= 300 {
        return Err(Stop::not_run("the login is another server's"));
    }
    Ok(Found::complaint(complaint(page), "as it should be").with(page.clone()))
}

async fn of_error(server: &Server, complaint: fn(&Answer) -> Option<String>) -> Finding {
    let client = server.native().or_else(|_| server.exact())?;
    let visit = server.ask(&server.query(client).with("client_id", "mcp-attack-nobody")).await?;
    if visit.location().is_some() || !is_html(visit.last()) {
        return Err(Stop::not_run("an unknown client is not answered with a page"));
    }
    Ok(Found::complaint(complaint(visit.last()), "as it should be").with(visit.last().clone()))
}

fn framed(page: &Answer) -> Option<String> {
    let old = page
        .header("x-frame-options")
        .is_some_and(|value| ["deny", "sameorigin"].iter().any(|wanted| value.trim().eq_ignore_ascii_case(wanted)));
    let ancestors = directive(page, "frame-ancestors");
    let closed = ancestors
        .as_deref()
        .is_some_and(|list| !list.split(' ').any(|source| matches!(source, "*" | "http:" | "https:")));
    (!old && !closed).then(|| "neither X-Frame-Options nor frame-ancestors".to_owned())
}

fn scripts(page: &Answer) -> Option<String> {
    let policy = directive(page, "script-src").or_else(|| directive(page, "default-src"));
    match policy {
        None => Some("no script-src and no default-src".to_owned()),
        Some(list) if list.split(' ').any(|source| matches!(source, "*" | "http:" | "https:" | "data:")) => {
            Some(format!("scripts from anywhere: {}", shown(&list)))
        }
        Some(_) => None,
    }
}

/// The sources of a policy's directive; of several policies, the first that has it.
fn directive(page: &Answer, name: &str) -> Option<String> {
    let policies = page.all("content-security-policy").flat_map(|policy| policy.split([';', ',']));
    let mut found = policies.filter_map(|directive| {
        let mut words = directive.split_whitespace();
        (words.next()?.eq_ignore_ascii_case(name)).then(|| words.collect::<Vec<_>>().join(" "))
    });
    found.next()
}

fn cached(page: &Answer) -> Option<String> {
    let no_store = page.all("cache-control").any(|value| value.to_ascii_lowercase().contains("no-store"));
    (!no_store).then(|| "no Cache-Control: no-store".to_owned())
}

fn sniffed(page: &Answer) -> Option<String> {
    let no = page.header("x-content-type-options").is_some_and(|value| value.trim().eq_ignore_ascii_case("nosniff"));
    (!no).then(|| "no X-Content-Type-Options: nosniff".to_owned())
}

fn referrer(page: &Answer) -> Option<String> {
    const KEPT: [&str; 6] = [
        "no-referrer",
        "same-origin",
        "origin",
        "strict-origin",
        "origin-when-cross-origin",
        "strict-origin-when-cross-origin",
    ];
    // Of a list the last one counts that a browser knows.
    let policy = page.header("referrer-policy").and_then(|value| value.rsplit(',').next()).unwrap_or_default();
    let kept = KEPT.iter().any(|kept| policy.trim().eq_ignore_ascii_case(kept));
    (!kept).then(|| format!("Referrer-Policy: {}", if policy.is_empty() { "none" } else { policy }))
}

fn of_cookies(server: &Server, bad: fn(&str) -> bool) -> Finding {
    cookies(server.login()?.visit.answers(), bad)
}

fn cookies(answers: &[Answer], bad: fn(&str) -> bool) -> Finding {
    let cookies: Vec<&str> = answers.iter().flat_map(|answer| answer.all("set-cookie")).collect();
    if cookies.is_empty() {
        return Err(Stop::not_run("the login page sets no cookie"));
    }
    let name = |cookie: &str| shown(cookie.split('=').next().unwrap_or_default());
    let found = cookies.iter().find(|cookie| bad(cookie)).map(|cookie| format!("the cookie {}", name(cookie)));
    Ok(Found::complaint(found, format!("{} cookies", cookies.len())))
}

/// Whether a cookie has an attribute, which is given in lower case.
fn has(cookie: &str, attribute: &str) -> bool {
    let attributes = cookie.split(';').skip(1);
    attributes.map(|part| part.split_whitespace().collect::<String>()).any(|part| part.eq_ignore_ascii_case(attribute))
}

async fn readable(server: &Server, bad: fn(&Answer) -> bool) -> Finding {
    let client = server.native().or_else(|_| server.exact())?;
    let url = server.authorization_url(&server.query(client))?;
    let request = RawRequest::to("GET", &url).header("Origin", format!("https://{STRANGER}"));
    let answer = server.send(&url, &request).await?;
    let origin = answer.header("access-control-allow-origin").unwrap_or("none");
    let did = format!("{}, Access-Control-Allow-Origin: {}", answer.status, shown(origin));
    Ok(Found::let_in_if(bad(&answer), did).with(answer))
}

/// Whether a browser would read it as a page.
pub(super) fn is_html(answer: &Answer) -> bool {
    let kind = answer.media_type();
    kind.is_empty() || matches!(kind.as_str(), "text/html" | "application/xhtml+xml" | "image/svg+xml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Verdict;

    fn page(headers: &[(&str, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Answer { status: 200, headers, body: String::new() }
    }

    #[test]
    fn what_keeps_others_from_framing_a_page() {
        for (name, value, is_framed) in [
            ("x-frame-options", "DENY", false),
            ("x-frame-options", "sameorigin", false),
            ("x-frame-options", "ALLOW-FROM https://evil.example", true),
            ("content-security-policy", "default-src 'none'; Frame-Ancestors 'none'", false),
            ("content-security-policy", "frame-ancestors 'self' https://partner.example", false),
            ("content-security-policy", "frame-ancestors *", true),
            ("content-security-policy", "frame-ancestors https:", true),
            // It does not stand in for frame-ancestors.
            ("content-security-policy", "default-src 'none'", true),
            ("content-security-policy-report-only", "frame-ancestors 'none'", true),
        ] {
            assert_eq!(framed(&page(&[(name, value)])).is_some(), is_framed, "{name}: {value}");
        }
    }

    #[test]
    fn what_keeps_others_from_the_request() {
        for (value, is_told) in [
            ("no-referrer", false),
            ("Same-Origin", false),
            ("no-referrer-when-downgrade, strict-origin", false),
            ("unsafe-url", true),
            ("", true),
        ] {
            assert_eq!(referrer(&page(&[("referrer-policy", value)])).is_some(), is_told, "{value}");
        }
    }

    #[test]
    fn cookies_of_all_answers() {
        let first = page(&[("set-cookie", "__Host-a=1; Path=/; Secure; HttpOnly; SameSite = Lax")]);
        let second = page(&[("set-cookie", "b=secure; Path=/; Max-Age=1"), ("set-cookie", "c=1; secure")]);
        let insecure = |cookie: &str| !has(cookie, "secure");
        let verdict = |answers: &[Answer], bad| cookies(answers, bad).ok().map(|found| found.verdict);
        let both = [first, second];
        assert_eq!(verdict(&both[..1], insecure), Some(Verdict::Refused));
        assert_eq!(verdict(&both[..1], |cookie| !has(cookie, "samesite=lax")), Some(Verdict::Refused));
        assert_eq!(verdict(&both, insecure), Some(Verdict::LetThrough));
        assert_eq!(cookies(&both, insecure).ok().unwrap().did, "the cookie b");
        assert_eq!(verdict(&[page(&[])], insecure), None, "no cookie, no verdict");
    }
}
