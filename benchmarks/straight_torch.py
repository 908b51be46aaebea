"""The training step of ItemSage as one writes it first in PyTorch, for an environment that has PyTorch and no tfsage.

    python benchmarks/straight_torch.py FILE

FILE (.npz) holds the batch and the weights to start from, as `benchmarks.train_step_torch` writes them. Then every
line `step` on standard input runs one training step, and is answered by one JSON object: its seconds and its loss.
"""

import json
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class StraightProductTower(nn.Module):
    """The function of benchmarks/straight.py out of the parts that PyTorch offers for it, all weights read from FILE.

    A bag is one `nn.EmbeddingBag` look-up of both rows of every token, weighted by its two importances.
    """

    def __init__(self, arrays: dict[str, torch.Tensor], fields: int, slots: int):
        super().__init__()
        self.fields, self.slots = fields, slots
        buckets, size = arrays["table"].shape
        width = arrays["cls"].shape[0]
        self.buckets_of_token = arrays["buckets_of_token"].long()
        self.table = nn.EmbeddingBag(buckets, size, mode="sum", sparse=True, include_last_offset=True)
        self.importance = nn.Embedding(len(self.buckets_of_token), 2, sparse=True)
        self.cls = nn.Parameter(arrays["cls"])
        self.image_map, self.text_map = nn.Linear(arrays["images"].shape[1], width), nn.Linear(size, width)
        hidden, heads = arrays["inner/kernel"].shape[1], int(arrays["heads"])
        self.transformer = nn.TransformerEncoderLayer(width, heads, hidden, dropout=0.0, batch_first=True)
        head = arrays["head_0/kernel"].shape[1], arrays["head_1/kernel"].shape[1]
        self.head = nn.Sequential(nn.Linear(width, head[0]), nn.ReLU(), nn.Linear(*head))
        self.log_scale = nn.Parameter(arrays["log_scale"])
        self._set_weights(arrays)

    @torch.no_grad()
    def _set_weights(self, arrays: dict[str, torch.Tensor]) -> None:
        self.table.weight.copy_(arrays["table"])
        self.importance.weight.copy_(arrays["importance"])
        block = self.transformer
        linear = {"image_map": self.image_map, "text_map": self.text_map, "attended": block.self_attn.out_proj}
        linear |= {"inner": block.linear1, "outer": block.linear2, "head_0": self.head[0], "head_1": self.head[2]}
        for name, layer in linear.items():
            layer.weight.copy_(arrays[f"{name}/kernel"].T)
            layer.bias.copy_(arrays[f"{name}/bias"])
        names = ("query", "key", "value")
        block.self_attn.in_proj_weight.copy_(torch.cat([arrays[f"{name}/kernel"].T for name in names]))
        block.self_attn.in_proj_bias.copy_(torch.cat([arrays[f"{name}/bias"] for name in names]))
        for name, norm in {"attention_norm": block.norm1, "feed_forward_norm": block.norm2}.items():
            norm.weight.copy_(arrays[f"{name}/gamma"])
            norm.bias.copy_(arrays[f"{name}/beta"])

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        ids, lengths = batch["token_ids"], batch["token_lengths"]
        rows = len(lengths)
        offsets = functional.pad(lengths.reshape(-1).cumsum(0), (1, 0)) * 2
        indices = self.buckets_of_token[ids].reshape(-1)
        bags = self.table(indices, offsets, per_sample_weights=self.importance(ids).reshape(-1))
        text = _rms_normalize(bags).reshape(rows, self.fields, -1)
        images = _rms_normalize(batch["images"]).reshape(rows, self.slots, -1)
        sequence = torch.cat([self.cls.expand(rows, 1, -1), self.image_map(images), self.text_map(text)], dim=1)
        return functional.normalize(self.head(self.transformer(sequence)[:, 0]), dim=-1)


def loss_of(tower: StraightProductTower, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """L_pos + L_neg with logQ, as `benchmarks.straight.straight_loss`."""
    pairs = len(batch["queries"])
    logits = tower.log_scale.exp() * batch["queries"] @ tower(batch).T
    own = torch.arange(pairs)
    same_query = batch["query_ids"][:, None] == batch["query_ids"][None, :]
    same_query.fill_diagonal_(False)
    in_batch = (logits[:, :pairs] - batch["log_q"][:pairs]).masked_fill(same_query, -torch.inf)
    copies = batch["candidate_ids"][:pairs, None] == batch["candidate_ids"][None, pairs:]
    random = torch.cat([logits[own, own, None], logits[:, pairs:].masked_fill(copies, -torch.inf)], dim=1)
    return functional.cross_entropy(in_batch, own) + functional.cross_entropy(random, torch.zeros_like(own))


def _rms_normalize(vectors: torch.Tensor) -> torch.Tensor:
    return vectors * torch.rsqrt(vectors.square().mean(-1, keepdim=True) + 1e-6)


def main(file: str) -> None:
    torch.set_num_threads(2)
    batch = {name: torch.from_numpy(value) for name, value in np.load(file).items()}
    # Image slots are filled, so that a plain reshape makes the sequence.
    slots = int(batch["image_lengths"][0])
    assert bool((batch["image_lengths"] == slots).all())
    tower = StraightProductTower(batch, batch["token_lengths"].shape[1], slots)
    tables = [tower.table.weight, tower.importance.weight]
    rest = [parameter for parameter in tower.parameters() if not any(parameter is table for table in tables)]
    optimizers = [torch.optim.Adagrad(tables, lr=0.05), torch.optim.Adam(rest, lr=1e-3, fused=True)]
    for line in sys.stdin:
        if line.strip() != "step":
            raise SystemExit(f"unknown request {line!r}: only `step` is known")
        start = time.perf_counter()
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss = loss_of(tower, batch)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        answer = {"seconds": time.perf_counter() - start, "loss": loss.item()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
