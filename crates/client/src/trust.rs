//! Which certificate authorities a server may be vouched for by.

use std::fmt;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::version::TLS12;
use rustls::version::TLS13;
use rustls_platform_verifier::Verifier;

/// The certificate authorities servers are checked against: those of the operating system, and
/// any number of others.
#[derive(Clone, Default)]
pub struct Trust {
    added: Vec<Bundle>,
}

/// A PEM text and what it is called in errors.
#[derive(Clone)]
struct Bundle {
    name: String,
    contents: Arc<[u8]>,
}

impl Trust {
    /// Trusts the certificates of a PEM file's contents as well. Text between them is skipped.
    /// They are looked at when first needed, and errors then call them `name`, such as
    /// `AWS_CA_BUNDLE (/etc/ca.pem)`.
    #[must_use]
    pub fn with_pem(mut self, name: impl Into<String>, contents: impl Into<Arc<[u8]>>) -> Self {
        self.added.push(Bundle {
            name: name.into(),
            contents: contents.into(),
        });
        self
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.added.iter().map(|bundle| &bundle.name);
        f.write_str("Trust")?;
        f.debug_list().entry(&"system").entries(names).finish()
    }
}

/// Why the certificate authorities could not be used. `name` is that of [`Trust::with_pem`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The operating system's store is missing, empty or unreadable, and no other authority is
    /// trusted.
    #[error("the certificate authorities of this system could not be loaded")]
    Platform(#[source] rustls::Error),
    /// The PEM text is damaged.
    #[error("{name} is not valid PEM")]
    Pem {
        /// The text.
        name: String,
        /// What is wrong with it.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The PEM text holds no certificate at all.
    #[error("{name} contains no certificate in PEM")]
    NoCertificate {
        /// The text.
        name: String,
    },
    /// One of the certificates cannot be an authority.
    #[error("certificate {number} of {name} is not usable")]
    Certificate {
        /// The text.
        name: String,
        /// The certificate's place in it, from 1.
        number: usize,
        /// What is wrong with it.
        #[source]
        source: rustls::Error,
    },
    /// The cryptography library does not offer the TLS versions needed.
    #[error("TLS is not available")]
    Unavailable(#[source] rustls::Error),
}

/// The TLS settings of every connection: TLS 1.2 or newer, HTTP/1.1. Reads the system's store,
/// which takes milliseconds: not for an asynchronous task's own thread.
pub(crate) fn tls_settings(trust: &Trust) -> Result<ClientConfig, TrustError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(TrustError::Unavailable)?;
    let mut added = Vec::new();
    for bundle in &trust.added {
        added.extend(bundle.certificates()?);
    }
    // With added authorities an empty store of the system's is no error of the verifier's.
    let verifier = Verifier::new_with_extra_roots(added, provider).map_err(TrustError::Platform)?;
    let mut settings = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    settings.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(settings)
}

impl Bundle {
    /// Its certificates, each fit to be an authority: the verifier would not say which is not.
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TrustError> {
        let name = || self.name.clone();
        let mut certificates = Vec::new();
        for (index, certificate) in CertificateDer::pem_slice_iter(&self.contents).enumerate() {
            let certificate = certificate.map_err(|source| TrustError::Pem {
                name: name(),
                source,
            })?;
            RootCertStore::empty()
                .add(certificate.clone())
                .map_err(|source| TrustError::Certificate {
                    name: name(),
                    number: index + 1,
                    source,
                })?;
            certificates.push(certificate);
        }
        if certificates.is_empty() {
            Err(TrustError::NoCertificate { name: name() })
        } else {
            Ok(certificates)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONSENSE: &[u8] = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    fn authority() -> Vec<u8> {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().pem().into_bytes()
    }

    fn error_of(contents: &[u8]) -> TrustError {
        let trust = Trust::default()
            .with_pem("good.pem", authority())
            .with_pem("bad.pem", contents);
        tls_settings(&trust).unwrap_err()
    }

    #[test]
    fn several_texts_are_taken_whatever_the_system_has() {
        let two = [authority(), b"a comment\n".to_vec(), authority()].concat();
        let trust = Trust::default()
            .with_pem("one", authority())
            .with_pem("two", two);
        tls_settings(&trust).unwrap();
    }

    #[test]
    fn text_without_a_certificate_is_refused_by_its_name() {
        for contents in [&b""[..], b"hello\n"] {
            let error = error_of(contents);
            assert!(matches!(error, TrustError::NoCertificate { .. }));
            assert_eq!(error.to_string(), "bad.pem contains no certificate in PEM");
        }
    }

    #[test]
    fn damaged_pem_text_is_refused_by_its_name() {
        let error = error_of(b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
        assert!(matches!(error, TrustError::Pem { .. }));
        assert_eq!(error.to_string(), "bad.pem is not valid PEM");
    }

    #[test]
    fn a_certificate_that_is_none_is_named_by_its_place() {
        let error = error_of(&[&authority(), NONSENSE].concat());
        assert_eq!(error.to_string(), "certificate 2 of bad.pem is not usable");
    }

    #[test]
    fn debug_output_names_the_texts_and_does_not_list_certificates() {
        let trust = Trust::default().with_pem("a.pem", *b"abc");
        assert_eq!(format!("{trust:?}"), r#"Trust["system", "a.pem"]"#);
    }
}
