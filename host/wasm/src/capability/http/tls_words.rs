//! Why a connection is not secure, in words: the library has names for it.

use rustls::{CertificateError, Error};

pub(super) fn of(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(why) => certificate(why),
        Error::AlertReceived(alert) => format!("the server refused it ({})", plain(alert)),
        Error::PeerIncompatible(_) => {
            "the server speaks no version of TLS, or no cipher, that is secure".to_owned()
        }
        Error::InvalidMessage(_) => "what the server answers is no TLS".to_owned(),
        Error::PeerMisbehaved(_) => "the server breaks the rules of TLS".to_owned(),
        Error::NoCertificatesPresented => "the server has no certificate".to_owned(),
        _ => error.to_string(),
    }
}

fn certificate(why: &CertificateError) -> String {
    use CertificateError as Why;
    match why {
        Why::Expired | Why::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        Why::NotValidYet | Why::NotValidYetContext { .. } => {
            "its certificate is not valid yet".to_owned()
        }
        Why::UnknownIssuer => {
            "its certificate is from nobody that this machine trusts (`SSL_CERT_FILE` names a file with others)".to_owned()
        }
        Why::NotValidForName | Why::NotValidForNameContext { .. } => {
            "its certificate is for another name".to_owned()
        }
        Why::Revoked => "its certificate has been revoked".to_owned(),
        Why::BadSignature => "the signature of its certificate is wrong".to_owned(),
        Why::Other(other) if plain(&other.0).contains("ca used as end entity") => {
            "its certificate is that of an authority, and not of a server".to_owned()
        }
        Why::Other(other) => format!("its certificate cannot be used ({})", plain(&other.0)),
        other => format!("its certificate cannot be used ({})", plain(other)),
    }
}

/// The name of a reason as words: `HandshakeFailure` as `handshake failure`.
fn plain(reason: &impl std::fmt::Debug) -> String {
    let name = format!("{reason:?}");
    // What is inside says more than what is around it.
    let name = name
        .rsplit(['(', ' '])
        .map(|part| part.trim_matches(|c: char| !c.is_ascii_alphanumeric()))
        .find(|part| !part.is_empty())
        .unwrap_or_default();
    let mut words = String::with_capacity(name.len() + 8);
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{AlertDescription, OtherError};

    use super::*;

    #[test]
    fn reasons_are_words() {
        #[derive(Debug)]
        struct CaUsedAsEndEntity;
        #[derive(Debug)]
        struct UnsupportedCriticalExtension;
        impl std::fmt::Display for CaUsedAsEndEntity {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{self:?}")
            }
        }
        impl std::fmt::Display for UnsupportedCriticalExtension {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{self:?}")
            }
        }
        impl std::error::Error for CaUsedAsEndEntity {}
        impl std::error::Error for UnsupportedCriticalExtension {}
        let other = |error| Error::InvalidCertificate(CertificateError::Other(OtherError(error)));
        for (error, words) in [
            (
                other(Arc::new(CaUsedAsEndEntity)),
                "its certificate is that of an authority, and not of a server",
            ),
            (
                other(Arc::new(UnsupportedCriticalExtension)),
                "its certificate cannot be used (unsupported critical extension)",
            ),
            (
                Error::AlertReceived(AlertDescription::HandshakeFailure),
                "the server refused it (handshake failure)",
            ),
            (
                Error::InvalidCertificate(CertificateError::Expired),
                "its certificate has expired",
            ),
        ] {
            assert_eq!(of(&error), words);
        }
    }
}
