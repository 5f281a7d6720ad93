//! Which certificate authorities a server may be vouched for by.

use std::fmt;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::version::TLS12;
use rustls::version::TLS13;
use rustls_platform_verifier::Verifier;

/// The certificate authorities servers are checked against.
#[derive(Clone, Default)]
pub enum Trust {
    /// Those of the operating system.
    #[default]
    Platform,
    /// Those in this PEM text, and no others. Text between the certificates is skipped.
    Pem(Arc<[u8]>),
}

impl Trust {
    /// Trust in the certificates of a PEM file's contents, and no others.
    pub fn pem(contents: impl Into<Arc<[u8]>>) -> Self {
        Self::Pem(contents.into())
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform => f.write_str("Platform"),
            Self::Pem(contents) => write!(f, "Pem({} bytes)", contents.len()),
        }
    }
}

/// Why the certificate authorities could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The operating system's store is missing, empty or unreadable.
    #[error("the certificate authorities of this system could not be loaded")]
    Platform(#[source] rustls::Error),
    /// The PEM text is damaged.
    #[error("the certificate authorities are not valid PEM")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// The PEM text holds no certificate at all.
    #[error("the PEM text of certificate authorities contains no certificate")]
    NoCertificate,
    /// One of the certificates cannot be an authority.
    #[error("certificate {number} of the certificate authorities is not usable")]
    Certificate {
        /// Its place in the text, from 1.
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
    let mut settings = match trust {
        Trust::Platform => builder
            .dangerous()
            .with_custom_certificate_verifier(platform_verifier(provider)?)
            .with_no_client_auth(),
        Trust::Pem(contents) => builder
            .with_root_certificates(pem_roots(contents)?)
            .with_no_client_auth(),
    };
    settings.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(settings)
}

fn platform_verifier(provider: Arc<CryptoProvider>) -> Result<Arc<Verifier>, TrustError> {
    Verifier::new(provider)
        .map(Arc::new)
        .map_err(TrustError::Platform)
}

fn pem_roots(contents: &[u8]) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(contents).enumerate() {
        let certificate = certificate.map_err(TrustError::Pem)?;
        roots
            .add(certificate)
            .map_err(|source| TrustError::Certificate {
                number: index + 1,
                source,
            })?;
    }
    if roots.is_empty() {
        Err(TrustError::NoCertificate)
    } else {
        Ok(roots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(contents: &[u8]) -> TrustError {
        tls_settings(&Trust::pem(contents)).unwrap_err()
    }

    #[test]
    fn pem_text_without_a_certificate_is_refused() {
        assert!(matches!(error_of(b""), TrustError::NoCertificate));
        assert!(matches!(error_of(b"hello\n"), TrustError::NoCertificate));
    }

    #[test]
    fn damaged_pem_text_is_refused() {
        let damaged = b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
        assert!(matches!(error_of(damaged), TrustError::Pem(_)));
    }

    #[test]
    fn a_certificate_that_is_none_is_named_by_its_place() {
        let nonsense = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            error_of(nonsense),
            TrustError::Certificate { number: 1, .. }
        ));
    }

    #[test]
    fn debug_output_does_not_list_certificates() {
        assert_eq!(format!("{:?}", Trust::pem(*b"abc")), "Pem(3 bytes)");
    }
}
