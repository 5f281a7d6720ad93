//! Data keys from KMS (docs/PROTOCOL.md, 6).

use aws_smithy_types::Blob;
use ssm_session::DataKey;
use ssm_session::DataKeyRequest;

use crate::aws::Ready;
use crate::error::AwsError;
use crate::error::Call;
use crate::error::Failure;
use crate::error::KmsError;
use crate::error::Service;

/// Bytes of a data key: one AES-256 key for each direction.
const DATA_KEY_LENGTH: i32 = 64;

pub(crate) async fn data_key(ready: &Ready, request: &DataKeyRequest) -> Result<DataKey, AwsError> {
    let call = Call {
        service: Service::Kms,
        operation: "GenerateDataKey",
        resource: &request.key_id,
        region: &ready.configuration.region,
        profile: ready.profile(),
    };
    tracing::debug!(
        key = request.key_id,
        region = call.region,
        "asking KMS for a data key"
    );
    let context = request.encryption_context.clone();
    let answer = ready
        .configuration
        .kms()
        .generate_data_key()
        .key_id(&request.key_id)
        .number_of_bytes(DATA_KEY_LENGTH)
        .set_encryption_context(Some(context.into_iter().collect()))
        .send()
        .await
        .map_err(|error| KmsError::of(Failure::of(&error), &call))?;
    let (Some(plaintext), Some(ciphertext)) = (answer.plaintext, answer.ciphertext_blob) else {
        return Err(AwsError::incomplete(&call, "a data key"));
    };
    Ok(DataKey {
        plaintext: Blob::into_inner(plaintext).into(),
        ciphertext: ciphertext.into_inner(),
    })
}
