"""TLS of the gRPC face, from TensorFlow Serving's `--ssl_config_file`."""

import ssl
import tempfile
from pathlib import Path

import grpc

from tfsage.errors import TfsageError
from tfsage.serving.protos import SSLConfig, read_textproto


def read_credentials(path: str | Path) -> grpc.ServerCredentials:
    """The server's key and certificate; with `client_verify` clients need a certificate of `custom_ca`.

    The fields of the file hold PEM text, not paths. REST is not encrypted, as under TensorFlow Serving.

    Raises:
        TfsageError: the file cannot be read, or key and certificate are missing, damaged, or not of each other.
    """
    config = read_textproto(path, SSLConfig())
    _check(config, path)
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )


def _check(config, path: str | Path) -> None:
    """gRPC would only say that a handshake failed, and not before the first client."""
    if config.client_verify and not config.custom_ca:
        raise TfsageError(f"{path}: client_verify needs custom_ca, the authority that clients' certificates are of")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as pem:
        pem.write(f"{config.server_cert}\n{config.server_key}\n")
        pem.flush()
        try:
            context.load_cert_chain(pem.name)
            if config.custom_ca:
                context.load_verify_locations(cadata=config.custom_ca)
        except (ssl.SSLError, ValueError) as error:
            raise TfsageError(
                f"{path}: key and certificate cannot be used ({error}); the fields hold PEM text, not paths: see "
                f"serving_configs/make_ssl_config.py"
            ) from None
