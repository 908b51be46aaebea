"""Encoding of queries with sentence-transformers, for an environment that has it and no tfsage.

    python benchmarks/query_encoding_sbert.py FOLDER THREADS

FOLDER holds the vocabulary, the sizes and the weights, as `benchmarks.query_encoding` writes them. Every line of
standard input is a JSON object. `{"texts": [...]}` is answered by their vectors; `{"batches": [[...], ...]}` by the
seconds that `encode` took for each batch.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from query_training_sbert import make_model


def main(folder: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    start = json.loads((folder / "start.json").read_text())
    arrays = {name: torch.from_numpy(value) for name, value in np.load(folder / "start.npz").items()}
    del arrays["products"]
    model = make_model(folder, start, arrays).eval()

    def encode(texts: list[str]) -> np.ndarray:
        return model.encode(texts, batch_size=len(texts), show_progress_bar=False)

    def seconds(texts: list[str]) -> float:
        started = time.perf_counter()
        encode(texts)
        return time.perf_counter() - started

    for line in sys.stdin:
        request = json.loads(line)
        if "texts" in request:
            answer = {"vectors": encode(request["texts"]).tolist()}
        else:
            answer = {"seconds": [seconds(batch) for batch in request["batches"]]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
