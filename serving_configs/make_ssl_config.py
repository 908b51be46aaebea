"""Writes the file for --ssl_config_file, whose fields hold PEM text, from mounted PEM files.

    python serving_configs/make_ssl_config.py --key tls.key --cert tls.crt [--client-ca ca.crt] > ssl.config

With --client-ca only clients with a certificate of that authority get through. The result holds the private key: write
it where only the server reads it, at start-up, and never into a repository or an image. Needs nothing but Python.
"""

import argparse
import json
import sys
from pathlib import Path


def ssl_config(key: str, cert: str, client_ca: str | None = None) -> str:
    """The text of an `SSLConfig` message."""
    fields = {"server_key": key, "server_cert": cert, **({} if client_ca is None else {"custom_ca": client_ca})}
    # A JSON string is also a string of protobuf's text format, as long as it is ASCII without \u escapes.
    lines = [f"{name}: {json.dumps(text)}" for name, text in fields.items()]
    return "\n".join([*lines, f"client_verify: {str(client_ca is not None).lower()}", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--key", type=Path, required=True, help="PEM file of the server's private key")
    parser.add_argument("--cert", type=Path, required=True, help="PEM file of the server's certificate chain")
    parser.add_argument("--client-ca", type=Path, help="PEM file of the authority of clients' certificates")
    given = parser.parse_args()
    texts = [None if path is None else path.read_text("ascii") for path in (given.key, given.cert, given.client_ca)]
    sys.stdout.write(ssl_config(*texts))


if __name__ == "__main__":
    main()
