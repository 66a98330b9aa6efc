//! Bodies that a server has compressed, which some do unasked: what they stand for.

use std::io::{self, Read};

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use milepost_sdk::artifacts::{Artifact, Writer};
use milepost_sdk::http::Response;
use milepost_sdk::{Error, Result};

/// Most bytes of a text: as many as one may have that was not compressed.
const TEXT: u64 = 8 << 20;
/// Most bytes of an artifact, likewise.
const ARTIFACT: u64 = 1 << 30;

/// The body as text.
pub(crate) fn text(response: &Response) -> Result<String> {
    let Some(coding) = Coding::of(response) else {
        return response.text();
    };
    let body = response.body()?;
    let mut decoded = Vec::new();
    coding.copy(&body, TEXT, &mut decoded)?;
    String::from_utf8(decoded).map_err(|_| invalid("the body is not UTF-8"))
}

/// The body as an artifact. What is compressed may have 8 MiB in that form.
pub(crate) fn save(response: &Response, url: &str) -> Result<Artifact> {
    let Some(coding) = Coding::of(response) else {
        return Ok(response.unencoded()?.save()?);
    };
    let body = response.body()?;
    let kind = response.header("content-type");
    let mut artifact = Writer::create(name(url), kind.unwrap_or("application/octet-stream"))?;
    coding.copy(&body, ARTIFACT, &mut artifact)?;
    Ok(artifact.finish()?)
}

/// How a body was compressed.
enum Coding {
    Gzip,
    /// In the format of zlib.
    Deflate,
}

impl Coding {
    /// `None` where it was not, or in another way.
    fn of(response: &Response) -> Option<Self> {
        let coding = response.header("content-encoding")?;
        match coding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        }
    }

    /// Writes what `body` stands for, which has at most so many bytes: a few can stand for very many.
    fn copy(&self, body: &[u8], most: u64, to: &mut impl io::Write) -> Result<()> {
        // What follows a HEAD or a 304 has the header of the body that it does not have.
        if body.is_empty() {
            return Ok(());
        }
        let mut decoder: Box<dyn Read + '_> = match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(body)),
            Self::Deflate => Box::new(ZlibDecoder::new(body)),
        };
        let copied = io::copy(&mut decoder.by_ref().take(most + 1), to)
            .map_err(|error| invalid(&format!("the body cannot be decompressed: {error}")))?;
        if copied > most {
            let message = format!("the body has more than {most} bytes when it is decompressed");
            return Err(Error::failed("too-large", message).into());
        }
        Ok(())
    }
}

fn invalid(message: &str) -> Error {
    Error::failed("invalid-response", message).into()
}

/// What the artifact of a URL is called.
fn name(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let mut parts = path.rsplit('/').filter(|part| !part.is_empty());
    parts.next().unwrap_or("response")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn response(coding: &str, body: impl Into<Vec<u8>>) -> Response {
        Response::new(200)
            .with_header("content-encoding", coding)
            .with_body(body)
    }

    #[test]
    fn what_is_compressed_becomes_what_it_stands_for() {
        let two_members = [gzip(b"{\"a\":"), gzip(b"1}")].concat();
        for (coding, body) in [
            ("gzip", gzip(b"{\"a\":1}")),
            (" X-GZIP ", two_members),
            ("deflate", zlib(b"{\"a\":1}")),
            ("identity", b"{\"a\":1}".to_vec()),
        ] {
            let response = response(coding, body);
            assert_eq!(text(&response).unwrap(), "{\"a\":1}", "{coding}");
            let kept = save(&response, "https://api.test/a.json?b").unwrap();
            assert_eq!(kept.size, 7, "{coding}");
        }
        assert_eq!(text(&response("gzip", "")).unwrap(), "", "as after a HEAD");
    }

    #[test]
    fn a_few_bytes_do_not_become_very_many() {
        let most = usize::try_from(TEXT).unwrap();
        let fits = text(&response("gzip", gzip(&vec![b'x'; most])));
        assert_eq!(fits.unwrap().len(), most);
        let error = text(&response("gzip", gzip(&vec![b'x'; most + 1]))).unwrap_err();
        assert!(error.to_string().contains("failed (too-large)"), "{error}");
    }

    #[test]
    fn what_is_compressed_otherwise_or_not_at_all_is_an_error() {
        let cut = gzip(b"0123456789")[..12].to_vec();
        for (coding, body, code) in [
            ("br", b"\x0b\x02".to_vec(), "encoded-response"),
            ("gzip, gzip", gzip(b"x"), "encoded-response"),
            ("gzip", b"plain".to_vec(), "invalid-response"),
            ("gzip", cut, "invalid-response"),
            ("deflate", gzip(b"x"), "invalid-response"),
        ] {
            let error = text(&response(coding, body)).unwrap_err().to_string();
            assert!(error.contains(&format!("failed ({code})")), "{error}");
        }
    }

    #[test]
    fn an_artifact_has_the_name_of_what_was_asked_for() {
        assert_eq!(name("https://api.test/a/b.csv?c=/d#e"), "b.csv");
        assert_eq!(name("https://api.test/a/"), "a");
        assert_eq!(name("https://api.test"), "api.test");
    }
}
