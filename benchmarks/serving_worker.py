"""A process that serves a query tower, and times calls of its session within itself.

    python -m benchmarks.serving_worker FOLDER [--batch N] [--threads N]

Every line of standard input is a JSON object: `{}` is answered by the gRPC address, `{"session": TEXT}` by the
seconds that `Session.run` took for this text.
"""

import json
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tensorflow.core.protobuf import config_pb2

from benchmarks.worker import answer_requests
from tfsage.quiet import quiet_tensorflow
from tfsage.serving.batching import Batcher
from tfsage.serving.batching_options import BatchingOptions
from tfsage.serving.client import INPUT, MODEL, OUTPUT
from tfsage.serving.registry import Registry
from tfsage.serving.server import ModelServer


def main(
    folder: Path,
    batch: Annotated[int, typer.Option(help="Rows of the largest batch; 0 for no batching.")] = 0,
    threads: Annotated[int, typer.Option(help="Threads of the session; 0 for one a core.")] = 0,
) -> None:
    """Answers until standard input ends."""
    quiet_tensorflow()
    batcher = None
    if batch:
        batcher = Batcher(BatchingOptions(max_batch_size=batch, max_enqueued_batches=64))
    session_config = config_pb2.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads)
    registry = Registry(session_config, batcher)
    model = registry.load(MODEL, folder)
    session, signature = model.session, model.signatures["serving_default"]
    query, embedding = signature.inputs[INPUT], signature.outputs[OUTPUT]

    def seconds(text: str) -> float:
        fed = np.array([text.encode()], object)
        started = time.perf_counter()
        session.run([embedding], {query: fed})
        return time.perf_counter() - started

    with ModelServer(registry) as server:

        def answer(line: str) -> dict:
            request = json.loads(line)
            if "session" in request:
                return {"seconds": seconds(request["session"])}
            return {"address": server.grpc_address}

        answer_requests(answer)


if __name__ == "__main__":
    typer.run(main)
