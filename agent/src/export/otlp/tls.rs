//! TLS of an OTLP exporter: what it trusts and who it is.

use std::{path::Path, sync::Arc};

use hyper_rustls::ConfigBuilderExt;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};

use super::settings::OtlpSettings;
use crate::export::ExportError;

const CERTIFICATE: &str = "the trusted certificates (OTEL_EXPORTER_OTLP_CERTIFICATE)";
const CLIENT_CERTIFICATE: &str =
    "the client's certificate (OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE)";
const CLIENT_KEY: &str = "the client's key (OTEL_EXPORTER_OTLP_CLIENT_KEY)";

/// Makes the client's configuration. Files that are configured are read even if `needed` is false
/// (plain HTTP), so that a wrong one is noticed; the system's certificates are not.
pub(super) fn client_config(
    settings: &OtlpSettings,
    needed: bool,
) -> Result<ClientConfig, ExportError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ExportError::ClientCertificate {
            reason: error.to_string(),
        })?;
    let builder = match &settings.certificate {
        Some(path) => builder.with_root_certificates(roots(path)?),
        None if needed => builder
            .with_native_roots()
            .map_err(|error| ExportError::Roots {
                reason: error.to_string(),
            })?,
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    match (&settings.client_certificate, &settings.client_key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate, CLIENT_CERTIFICATE)?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unreadable(CLIENT_KEY, key, &error))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| ExportError::ClientCertificate {
                    reason: error.to_string(),
                })
        }
        _ => Err(ExportError::ClientCertificate {
            reason: "only one of the two is set".to_owned(),
        }),
    }
}

fn roots(path: &Path) -> Result<RootCertStore, ExportError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path, CERTIFICATE)? {
        store
            .add(certificate)
            .map_err(|error| unusable(CERTIFICATE, path, error.to_string()))?;
    }
    Ok(store)
}

fn certificates(
    path: &Path,
    what: &'static str,
) -> Result<Vec<CertificateDer<'static>>, ExportError> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(what, path, &error))?;
    if found.is_empty() {
        return Err(unusable(what, path, "no certificate is in it".to_owned()));
    }
    Ok(found)
}

fn unreadable(what: &'static str, path: &Path, error: &pem::Error) -> ExportError {
    let reason = match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "nothing of this kind is in it".to_owned(),
        other => other.to_string(),
    };
    unusable(what, path, reason)
}

fn unusable(what: &'static str, path: &Path, reason: String) -> ExportError {
    ExportError::Pem {
        what,
        path: path.to_owned(),
        reason,
    }
}
