//! KMS: GenerateDataKey and Decrypt.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Serialize;
use zeroize::Zeroizing;

use super::admission::Subject;
use crate::error::ServiceError;
use crate::service::Service;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GenerateDataKey {
    key_id: String,
    number_of_bytes: Option<usize>,
    key_spec: Option<String>,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GeneratedDataKey {
    ciphertext_blob: String,
    plaintext: Zeroizing<String>,
    key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Decrypt {
    ciphertext_blob: String,
    key_id: Option<String>,
    encryption_algorithm: Option<String>,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Decrypted {
    key_id: String,
    plaintext: Zeroizing<String>,
    encryption_algorithm: &'static str,
}

impl Subject for GenerateDataKey {
    fn subject(&self) -> &str {
        &self.key_id
    }
}

impl Subject for Decrypt {
    fn subject(&self) -> &str {
        self.key_id.as_deref().unwrap_or("*")
    }
}

impl GenerateDataKey {
    fn length(&self) -> Result<usize, ServiceError> {
        match (self.number_of_bytes, self.key_spec.as_deref()) {
            (Some(length), None) if (1..=MAX_DATA_KEY).contains(&length) => Ok(length),
            (Some(length), None) => Err(ServiceError::validation(format!(
                "NumberOfBytes is {length}; it must be from 1 to {MAX_DATA_KEY}."
            ))),
            (None, Some("AES_256")) => Ok(32),
            (None, Some("AES_128")) => Ok(16),
            (None, Some(other)) => Err(ServiceError::validation(format!(
                "KeySpec is {other}; it must be AES_256 or AES_128."
            ))),
            _ => Err(ServiceError::validation(
                "Please specify either number of bytes or key spec.",
            )),
        }
    }
}

impl Service {
    pub(super) fn generate_data_key(
        &self,
        request: &GenerateDataKey,
    ) -> Result<GeneratedDataKey, ServiceError> {
        let key = self.kms.generate_data_key(
            &request.key_id,
            request.length()?,
            &request.encryption_context,
        )?;
        Ok(GeneratedDataKey {
            ciphertext_blob: STANDARD.encode(&key.ciphertext),
            plaintext: STANDARD.encode(key.plaintext.as_slice()).into(),
            key_id: key.key_arn,
        })
    }

    pub(super) fn decrypt(&self, request: &Decrypt) -> Result<Decrypted, ServiceError> {
        if let Some(other) = request
            .encryption_algorithm
            .as_deref()
            .filter(|&name| name != ALGORITHM)
        {
            return Err(ServiceError::validation(format!(
                "EncryptionAlgorithm is {other}; every key here is {ALGORITHM}."
            )));
        }
        let ciphertext = STANDARD.decode(&request.ciphertext_blob).map_err(|error| {
            ServiceError::validation(format!("CiphertextBlob is not base64: {error}."))
        })?;
        let key = self.kms.decrypt(
            &ciphertext,
            request.key_id.as_deref(),
            &request.encryption_context,
        )?;
        Ok(Decrypted {
            key_id: key.key_arn,
            plaintext: STANDARD.encode(key.plaintext.as_slice()).into(),
            encryption_algorithm: ALGORITHM,
        })
    }
}

const ALGORITHM: &str = "SYMMETRIC_DEFAULT";
/// KMS's own limit, in bytes.
const MAX_DATA_KEY: usize = 1024;
