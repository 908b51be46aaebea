"""What tests over the wire share."""

import grpc
import pytest


def refusal(call, request) -> tuple[str, str]:
    """Status and message of a call that must be refused."""
    with pytest.raises(grpc.RpcError) as refused:
        call(request, timeout=20)
    return refused.value.code().name, refused.value.details()
