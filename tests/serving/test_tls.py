"""TLS of the gRPC face: a stock client with the authority's certificate gets through, others do not."""

import grpc
import pytest
import trustme
from google.protobuf import text_format
from tensorflow_serving.apis import prediction_service_pb2_grpc

from tests.serving.models import predict_request
from tfsage.errors import TfsageError
from tfsage.serving.protos import SSLConfig
from tfsage.serving.registry import load_registry
from tfsage.serving.server import ModelServer, base_paths
from tfsage.serving.tls import read_credentials


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def config(authority) -> dict:
    certificate = authority.issue_cert("localhost")
    return {
        "server_key": certificate.private_key_pem.bytes().decode(),
        "server_cert": certificate.cert_chain_pems[0].bytes().decode(),
    }


def written(tmp_path, **fields):
    file = tmp_path / "ssl.config"
    file.write_text(text_format.MessageToString(SSLConfig(**fields)))
    return file


def test_with_and_without_a_clients_certificate(authority, config, bundle, tmp_path):
    ca = authority.cert_pem.bytes()
    file = written(tmp_path, **config, custom_ca=ca.decode(), client_verify=True)
    registry = load_registry({"query_tower": base_paths(bundle)["query_tower"]})
    with ModelServer(registry, "localhost", credentials=read_credentials(file)) as server:

        def ask(credentials: grpc.ChannelCredentials | None):
            make = grpc.insecure_channel if credentials is None else grpc.secure_channel
            with make(server.grpc_address, *([] if credentials is None else [credentials])) as channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                return stub.Predict(predict_request("query_tower", query=["a"]), timeout=20)

        own = authority.issue_cert("client")
        pair = own.private_key_pem.bytes(), own.cert_chain_pems[0].bytes()
        assert ask(grpc.ssl_channel_credentials(ca, *pair)).outputs["embedding"].float_val
        stranger = trustme.CA().cert_pem.bytes()
        for credentials in (None, grpc.ssl_channel_credentials(ca), grpc.ssl_channel_credentials(stranger, *pair)):
            with pytest.raises(grpc.RpcError) as refused:
                ask(credentials)
            assert refused.value.code() == grpc.StatusCode.UNAVAILABLE


def test_what_cannot_be_used_is_said_before_anything_listens(authority, config, tmp_path):
    other = authority.issue_cert("localhost").private_key_pem.bytes().decode()
    for fields in ({**config, "server_key": other}, {"server_key": "/run/key.pem", "server_cert": "/run/cert.pem"}, {}):
        with pytest.raises(TfsageError, match="ssl.config: key and certificate cannot be used .*PEM text, not paths"):
            read_credentials(written(tmp_path, **fields))
    with pytest.raises(TfsageError, match="client_verify needs custom_ca"):
        read_credentials(written(tmp_path, **config, client_verify=True))
    with pytest.raises(TfsageError, match="key and certificate cannot be used"):
        read_credentials(written(tmp_path, **config, custom_ca="no certificate"))
    (tmp_path / "broken").write_text("server_key: 5")
    with pytest.raises(TfsageError, match="broken: Error parsing text-format tensorflow.serving.SSLConfig"):
        read_credentials(tmp_path / "broken")
