"""What a server says about its models: GetModelStatus and GetModelMetadata, shared by gRPC and REST."""

from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from tfsage.serving.registry import Registry
from tfsage.serving.status import invalid

SIGNATURE_DEF = "signature_def"


def model_status(
    registry: Registry, request: get_model_status_pb2.GetModelStatusRequest
) -> get_model_status_pb2.GetModelStatusResponse:
    """The state of the requested version, or of every version, newest first.

    Raises:
        ServingError: no model_spec (INVALID_ARGUMENT), or nothing by that name or version (NOT_FOUND).
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    response = get_model_status_pb2.GetModelStatusResponse()
    for version, state, error in registry.status(request.model_spec):
        entry = response.model_version_status.add(version=version, state=state)
        entry.status.SetInParent()
        if error is not None:
            entry.status.error_code = error.code.value[0]
            entry.status.error_message = error.message
    return response


def model_metadata(
    registry: Registry, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """The signatures of a model, verbatim.

    Raises:
        ServingError: no model_spec, no field or one that is not `signature_def` (INVALID_ARGUMENT), or no such model.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != SIGNATURE_DEF:
            raise invalid(f"Metadata field {field} is not supported")
    model = registry.find(request.model_spec)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = model.name
    response.model_spec.version.value = model.version
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, proto in model.meta_graph.signature_def.items():
        signatures.signature_def[name].CopyFrom(proto)
    response.metadata[SIGNATURE_DEF].Pack(signatures)
    return response
