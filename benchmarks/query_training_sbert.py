"""Training of a query encoder with sentence-transformers, for an environment that has it and no tfsage.

    python benchmarks/query_training_sbert.py FOLDER

FOLDER holds the vocabulary, the sizes, the batches and the weights to start from, as `benchmarks.query_training` writes
them. Then every line `step` on standard input trains on the next batch, and is answered by one JSON object: its loss.
"""

import itertools
import json
import sys
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from torch.nn import functional
from transformers import BertTokenizerFast, DistilBertConfig, DistilBertModel


def make_model(folder: Path, start: dict, weights: dict[str, torch.Tensor]) -> SentenceTransformer:
    """DistilBERT, the output at [CLS], one linear map, L2; all weights as given."""
    config = DistilBertConfig(
        vocab_size=start["vocabulary_size"],
        max_position_embeddings=start["positions"],
        n_layers=start["layers"],
        n_heads=start["heads"],
        dim=start["width"],
        hidden_dim=start["feed_forward"],
        dropout=0.0,
        attention_dropout=0.0,
    )
    bert = DistilBertModel(config)
    bert.load_state_dict({name: value for name, value in weights.items() if not name.startswith("projection.")})
    bert.save_pretrained(folder / "model")
    BertTokenizerFast(str(folder / "vocabulary.txt"), do_lower_case=True).save_pretrained(folder / "model")
    projection = Dense(start["width"], len(weights["projection.bias"]), activation_function=torch.nn.Identity())
    projection.linear.load_state_dict({"weight": weights["projection.weight"], "bias": weights["projection.bias"]})
    transformer = Transformer(str(folder / "model"), max_seq_length=start["positions"])
    return SentenceTransformer(
        modules=[transformer, Pooling(start["width"], "cls"), projection, Normalize()], device="cpu"
    )


def main(folder: Path) -> None:
    torch.set_num_threads(2)
    start = json.loads((folder / "start.json").read_text())
    arrays = {name: torch.from_numpy(value) for name, value in np.load(folder / "start.npz").items()}
    products = arrays.pop("products")
    model = make_model(folder, start, arrays).train()
    # What its Trainer takes by default, without weight decay: the other side has none.
    optimizer = torch.optim.AdamW(model.parameters(), lr=start["learning_rate"], weight_decay=0.0, fused=True)
    turn = itertools.cycle(zip(start["texts"], products, strict=True))
    for line in sys.stdin:
        if line.strip() != "step":
            raise SystemExit(f"unknown request {line!r}: only `step` is known")
        texts, candidates = next(turn)
        optimizer.zero_grad()
        vectors = model(model.preprocess(texts))["sentence_embedding"]
        logits = vectors @ candidates.T / start["temperature"]
        loss = functional.cross_entropy(logits, torch.arange(len(texts)))
        loss.backward()
        optimizer.step()
        print(json.dumps({"loss": loss.item()}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
