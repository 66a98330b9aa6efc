//! An API that answers page by page.

use milepost_sdk::{Context, Error, Result, Schema, Step, memo, progress};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::encoding;
use crate::request::{self, Access};

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PagesInput {
    /// The first page.
    url: String,
    /// Where the items stand in the JSON of a page, as a JSON pointer: `/data/items`. The whole page, which has to be a list, when left
    /// out.
    #[serde(default)]
    items: String,
    /// Where the URL of the next page stands, likewise. Without it, the header `link` says (`rel="next"`).
    next: Option<String>,
    /// More pages than this are an error.
    #[serde(default = "hundred")]
    max_pages: u32,
    /// How to ask.
    #[serde(default)]
    access: Access,
}

fn hundred() -> u32 {
    100
}

#[derive(Serialize, Schema)]
pub(crate) struct PagesOutput {
    /// Of all pages, in their order.
    items: Vec<Value>,
    pages: u32,
}

/// What is remembered of a page that was there.
#[derive(Serialize, Deserialize)]
struct Page {
    items: Vec<Value>,
    next: Option<String>,
}

pub(crate) struct Pages;

impl Step for Pages {
    const NAME: &'static str = "pages";
    const DESCRIPTION: &'static str =
        "Gets all pages of a list. Pages that came are not asked for again by later attempts.";
    type Input = PagesInput;
    type Output = PagesOutput;

    fn run(input: PagesInput, ctx: &Context) -> Result<PagesOutput> {
        let mut items = Vec::new();
        let mut next = Some(input.url.clone());
        let mut pages = 0;
        while let Some(url) = next {
            if pages == input.max_pages {
                let message = format!("there are more than {pages} pages");
                return Err(Error::failed("too-many-pages", message).into());
            }
            pages += 1;
            let page = memo::once(&format!("page-{pages}"), || page(&input, &url, ctx))?;
            items.extend(page.items);
            next = page.next;
            progress::report(pages.into(), None, &format!("{} items", items.len()));
        }
        Ok(PagesOutput { items, pages })
    }
}

fn page(input: &PagesInput, url: &str, ctx: &Context) -> Result<Page> {
    let response = input.access.send("GET", url, None, ctx)?;
    let mut body = request::parsed(&encoding::text(&response)?)?;
    let next = match &input.next {
        Some(pointer) => body.pointer(pointer).and_then(Value::as_str),
        None => response.next_page(),
    };
    let next = match next {
        Some(next) if !next.is_empty() => Some(absolute(url, next)?),
        _ => None,
    };
    match body.pointer_mut(&input.items).map(Value::take) {
        Some(Value::Array(items)) => Ok(Page { items, next }),
        _ => {
            let message = format!("there is no list at `{}` of the page", input.items);
            Err(Error::failed("invalid-response", message).into())
        }
    }
}

/// The URL of a page, which may be stated from where the page before stands. Dots in it are resolved by the host.
fn absolute(from: &str, to: &str) -> Result<String> {
    let to = to.trim();
    let is_web = |url: &str| {
        let scheme = url.split_once("://").map(|(scheme, _)| scheme);
        scheme.is_some_and(|scheme| {
            scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
        })
    };
    if is_web(to) {
        return Ok(to.to_owned());
    }
    // In front of the first `/`, a colon ends a scheme.
    let first = to.split(['/', '?', '#']).next().unwrap_or_default();
    if to.is_empty() || to.starts_with('#') || first.contains(':') {
        let message = format!("the next page is neither a URL of the web nor a path: `{to}`");
        return Err(Error::failed("invalid-response", message).into());
    }
    let page = from.split(['?', '#']).next().unwrap_or(from);
    let after_scheme = page.find("//").map_or(0, |at| at + 2);
    let end = page[after_scheme..]
        .find('/')
        .map_or(page.len(), |at| after_scheme + at);
    let (origin, path) = page.split_at(end);
    Ok(if to.starts_with("//") {
        format!("{}{to}", &from[..after_scheme.saturating_sub(2)])
    } else if to.starts_with('/') {
        format!("{origin}{to}")
    } else if to.starts_with('?') {
        format!("{page}{to}")
    } else {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{origin}{folder}/{to}")
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::cell::RefCell;
    use std::rc::Rc;

    use milepost_sdk::http::{self, Response};

    use super::*;
    use crate::PLUGIN;

    #[test]
    fn pages_are_asked_for_once_over_all_attempts() {
        let asked = Rc::new(RefCell::new(Vec::new()));
        let noted = Rc::clone(&asked);
        http::answer(move |request| {
            let mut asked = noted.borrow_mut();
            asked.push(request.url().to_owned());
            let tries = asked.iter().filter(|url| *url == request.url()).count();
            Ok(match request.url() {
                "https://api.test/list" => Response::new(200)
                    .with_header("link", "</list?page=2>; rel=next")
                    .with_body("[1,2]"),
                // The second page is not there at first.
                "https://api.test/list?page=2" if tries == 1 => Response::new(503),
                _ => Response::new(200).with_body("[3]"),
            })
        });
        let input = r#"{"url":"https://api.test/list"}"#;
        let attempt = |n| PLUGIN.run("pages", input, &Context::fake().with_attempt(n));
        let error = attempt(1).unwrap_err().to_string();
        assert!(error.contains("retryable (http-503)"), "{error}");
        let output: Value = serde_json::from_str(&attempt(2).unwrap()).unwrap();
        assert_eq!(output, serde_json::json!({"items": [1, 2, 3], "pages": 2}));
        let urls = ["", "?page=2", "?page=2"].map(|query| format!("https://api.test/list{query}"));
        assert_eq!(*asked.borrow(), urls);
    }

    #[test]
    fn an_api_may_say_in_the_body_where_the_next_page_is_and_has_an_end() {
        http::answer(|_| {
            Ok(Response::new(200)
                .with_body(r#"{"data":{"rows":[1]},"next":"https://api.test/more"}"#))
        });
        let input =
            r#"{"url":"https://api.test/","items":"/data/rows","next":"/next","max_pages":3}"#;
        let error = PLUGIN
            .run("pages", input, &Context::fake())
            .unwrap_err()
            .to_string();
        assert!(error.contains("failed (too-many-pages)"), "{error}");
        let input = r#"{"url":"https://other.test/","items":"/rows"}"#;
        let error = std::thread::spawn(move || {
            http::answer(|_| Ok(Response::new(200).with_body("{}")));
            PLUGIN
                .run("pages", input, &Context::fake())
                .unwrap_err()
                .to_string()
        });
        let error = error.join().unwrap();
        assert!(error.contains("there is no list at `/rows`"), "{error}");
    }

    #[test]
    fn the_next_page_may_be_a_path() {
        let next = |to: &str| absolute("https://api.test:8443/a/b?page=1#x", to).ok();
        assert_eq!(
            next("https://other.test/").as_deref(),
            Some("https://other.test/")
        );
        assert_eq!(
            next("/c?page=2").as_deref(),
            Some("https://api.test:8443/c?page=2")
        );
        assert_eq!(
            next("?page=2").as_deref(),
            Some("https://api.test:8443/a/b?page=2")
        );
        for (to, url) in [
            ("//other.test/", "https://other.test/"),
            ("c", "https://api.test:8443/a/c"),
            ("x?p=2", "https://api.test:8443/a/x?p=2"),
            ("../x?at=10:30", "https://api.test:8443/a/../x?at=10:30"),
            ("HTTPS://other.test/", "HTTPS://other.test/"),
        ] {
            assert_eq!(next(to).as_deref(), Some(url), "{to}");
        }
        let from_root = absolute("https://api.test?page=1", "x").ok();
        assert_eq!(from_root.as_deref(), Some("https://api.test/x"));
        for odd in ["", "#top", "ftp://x/", "javascript:x"] {
            assert_eq!(next(odd), None, "{odd}");
        }
        assert_eq!(
            absolute("https://api.test", "/c").ok().as_deref(),
            Some("https://api.test/c")
        );
    }
}
