//! Public keys that components are signed with: ECDSA on P-256 and Ed25519, as `openssl` and `cosign` write them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;

/// What stands before the point in every key on P-256 (`id-ecPublicKey`, `prime256v1`, an uncompressed point of 65 bytes).
const P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const P256_POINT: usize = 65;
/// The same for Ed25519, whose keys have 32 bytes.
const ED25519_HEAD: &[u8] = &[
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
const ED25519_KEY: usize = 32;

/// A public key. As text, it is the Base64 of its DER: the middle of its PEM, on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: Kind,
    /// `SubjectPublicKeyInfo`.
    der: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    P256,
    Ed25519,
}

/// What is no public key that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// It is not PEM of a public key.
    #[error("it is no public key in PEM (`-----BEGIN PUBLIC KEY-----`)")]
    Pem,
    /// It is not the Base64 of one.
    #[error("it is no public key as the lock has it: the Base64 of its DER")]
    Base64,
    /// It is one of another kind.
    #[error(
        "it is neither a key on P-256 (ECDSA, as `cosign generate-key-pair` makes them) nor an Ed25519 key"
    )]
    Kind,
}

impl PublicKey {
    /// Reads a file `cosign.pub`.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, InvalidKey> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| InvalidKey::Pem)?;
        Self::from_der(der.to_vec())
    }

    fn from_der(der: Vec<u8>) -> Result<Self, InvalidKey> {
        let is = |head: &[u8], key: usize| der.starts_with(head) && der.len() == head.len() + key;
        let kind = if is(P256, P256_POINT) {
            Kind::P256
        } else if is(ED25519_HEAD, ED25519_KEY) {
            Kind::Ed25519
        } else {
            return Err(InvalidKey::Kind);
        };
        Ok(Self { kind, der })
    }

    /// Whether that is its signature of a text.
    pub(super) fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        let verified = match self.kind {
            Kind::P256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.der[P256.len()..])
                .verify(text, signature),
            Kind::Ed25519 => UnparsedPublicKey::new(&ED25519, &self.der[ED25519_HEAD.len()..])
                .verify(text, signature),
        };
        verified.is_ok()
    }
}

impl FromStr for PublicKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let der = STANDARD.decode(text).map_err(|_| InvalidKey::Base64)?;
        Self::from_der(der)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(&self.der))
    }
}
