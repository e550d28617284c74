//! Requests for certificates: made by whoever wants one, read by whoever gives them.

use rcgen::{
    CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _,
    SubjectPublicKeyInfo,
};
use std::fmt;
use x509_parser::{
    certification_request::X509CertificationRequest,
    prelude::{FromDer as _, Pem},
};

/// The largest request that is read, in bytes; one of ours has some 400.
pub const MAX_REQUEST_BYTES: usize = 8192;
/// A point of P-256 as it is: a mark and two coordinates.
const POINT_BYTES: usize = 65;

/// Why a request for a certificate is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    #[error("has more than {MAX_REQUEST_BYTES} bytes")]
    TooLarge,
    #[error("is no certificate request (PKCS #10, PEM)")]
    Form,
    #[error("is not for an ECDSA P-256 key, the only kind there is here")]
    Key,
    #[error("is not signed by the key that it names")]
    Signature,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot make a key: {0}")]
    Make(#[from] rcgen::Error),
    #[error("is no ECDSA P-256 key in PKCS #8")]
    Form,
}

/// A key of one's own, and the request for a certificate over it. The key never leaves whoever made it but for its
/// file.
pub struct Request {
    key: KeyPair,
    csr: String,
}

impl Request {
    /// Makes a key and asks for a certificate over it.
    ///
    /// # Errors
    ///
    /// If the system gives no randomness.
    pub fn new() -> Result<Self, KeyError> {
        Self::of(new_key()?)
    }

    /// Asks again with a key that was made before: for a renewal, or when an answer was lost.
    ///
    /// # Errors
    ///
    /// [`KeyError::Form`].
    pub fn with_key(key_pem: &str) -> Result<Self, KeyError> {
        Self::of(read_key(key_pem)?)
    }

    fn of(key: KeyPair) -> Result<Self, KeyError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new(); // the authority chooses the name
        let csr = params.serialize_request(&key)?.pem()?;
        Ok(Self { key, csr })
    }

    /// In PKCS #8.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    pub fn csr_pem(&self) -> &str {
        &self.csr
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// The public half of whoever asks, who has proved to have the other one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskersKey(SubjectPublicKeyInfo);

impl AskersKey {
    /// Reads a request (PKCS #10, PEM). Whatever else it says, of names above all, is not looked at.
    ///
    /// # Errors
    ///
    /// If it is none, or is not signed by its own key.
    pub fn of_request(csr_pem: &str) -> Result<Self, InvalidRequest> {
        if csr_pem.len() > MAX_REQUEST_BYTES {
            return Err(InvalidRequest::TooLarge);
        }
        let pem = only_pem(csr_pem, "CERTIFICATE REQUEST").ok_or(InvalidRequest::Form)?;
        let (rest, csr) =
            X509CertificationRequest::from_der(&pem.contents).map_err(|_| InvalidRequest::Form)?;
        if !rest.is_empty() {
            return Err(InvalidRequest::Form);
        }
        let named = SubjectPublicKeyInfo::from_der(csr.certification_request_info.subject_pki.raw);
        let key = named.map_err(|_| InvalidRequest::Key)?;
        if key.algorithm() != &PKCS_ECDSA_P256_SHA256 || key.der_bytes().len() != POINT_BYTES {
            return Err(InvalidRequest::Key);
        }
        csr.verify_signature().map_err(|_| InvalidRequest::Signature)?;
        Ok(Self(key))
    }

    pub(crate) fn public(&self) -> &SubjectPublicKeyInfo {
        &self.0
    }

    /// The key as it is: 65 bytes, the same for each request with it.
    pub fn bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }
}

pub(crate) fn read_key(pem: &str) -> Result<KeyPair, KeyError> {
    // Its error is not passed on: it might show what it could not read.
    KeyPair::from_pkcs8_pem_and_sign_algo(pem, &PKCS_ECDSA_P256_SHA256).map_err(|_| KeyError::Form)
}

pub(crate) fn new_key() -> Result<KeyPair, KeyError> {
    Ok(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)
}

/// The one block of a PEM file that should have one.
pub(crate) fn only_pem(text: &str, label: &str) -> Option<Pem> {
    let mut blocks = Pem::iter_from_buffer(text.as_bytes());
    let first = blocks.next()?.ok()?;
    (blocks.next().is_none() && first.label == label).then_some(first)
}
