"""Training the DistilBERT query tower, against sentence-transformers training the same model on the same pairs.

    python -m benchmarks.query_training [--smoke]

A step is all that a batch of query texts and the frozen vectors of their products need: tokens, DistilBERT, [CLS]
through one linear map, normalised; softmax over the batch; gradients; Adam. Both sides start from the same weights
and the same vocabulary, without dropout, and have to show the same losses. sentence-transformers runs in an environment
of its own (.venv-sbert), made on demand, in PyTorch's usual loop around its model, without what its Trainer adds. Both
sides get two threads, and pad a batch to its own longest query.
"""

import itertools
import json
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow as tf
import tf_keras
import typer

from benchmarks.environments import python_of
from benchmarks.timing import interleave
from benchmarks.worker import Worker
from tfsage.config import DistilBertTowerConfig
from tfsage.data.synthetic import write_shop
from tfsage.text.wordpiece import learn_wordpiece
from tfsage.towers.distilbert import DistilBertTower

ENVIRONMENT = Path(".venv-sbert")
REQUIREMENTS = ("torch==2.13.0", "sentence-transformers==6.2.0", "transformers==5.23.0")
DISTILBERT = {"layers": 6, "heads": 12, "width": 768, "feed_forward": 3072, "vocabulary_size": 30_522}
SMALL = {"layers": 2, "heads": 2, "width": 32, "feed_forward": 64, "vocabulary_size": 1000}
TEMPERATURE, LEARNING_RATE = 0.05, 2e-5
TOLERANCE, DRIFT = 1e-4, 1e-2
"""Largest difference of the first losses, and of later ones: Adam's steps make much of small gradients' rounding."""


def main(
    smoke: Annotated[bool, typer.Option(help="Small sizes, to see that it runs.")] = False,
    pairs: Annotated[int, typer.Option(help="Pairs in a batch.")] = 128,
    rounds: Annotated[int, typer.Option(help="Rounds; the median is taken.")] = 7,
) -> None:
    """Prints seconds per step and, as the last line, one JSON object."""
    sizes = SMALL if smoke else DISTILBERT
    if smoke:
        pairs, rounds = 16, 2
    tf.config.threading.set_intra_op_parallelism_threads(2)
    tf.config.threading.set_inter_op_parallelism_threads(2)
    python = python_of(ENVIRONMENT, REQUIREMENTS)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        texts, products = training_pairs(folder, pairs, batches=4)
        tower = make_tower(sizes, texts, folder / "vocabulary.txt")
        write_start(tower, sizes, texts, products, folder)
        step = our_step(tower, texts, products)
        with Worker([str(python), str(Path(__file__).with_name("query_training_sbert.py")), str(folder)]) as theirs:
            losses = {"sentence-transformers": [], "tfsage": []}
            seconds = interleave(
                {
                    "sentence-transformers": lambda: losses["sentence-transformers"].append(theirs.ask("step")["loss"]),
                    "tfsage": lambda: losses["tfsage"].append(step()),
                },
                rounds,
            )
    print(describe(tower, texts))
    for name, value in seconds.items():
        print(f"{name:>22} {value * 1e3:8.0f} ms a step")
    apart = np.abs(np.subtract(*losses.values()))
    if not (apart[0] < TOLERANCE and apart.max() < DRIFT):
        raise SystemExit(f"the losses differ, {losses}: the two do not train the same function")
    print(
        f"losses of {len(apart)} steps, from {losses['tfsage'][0]:.4f} to {losses['tfsage'][-1]:.4f}: they differ by "
        f"{apart[0]:.1g} at first, by {apart.max():.1g} at most"
    )
    result = {"name": "query_training", "against": f"sentence-transformers ({REQUIREMENTS[1]})"}
    ratio = seconds["sentence-transformers"] / seconds["tfsage"]
    print(json.dumps({**result, "ratio": round(ratio, 2), "rounds": rounds}))


def training_pairs(folder: Path, pairs: int, batches: int) -> tuple[list[list[str]], np.ndarray]:
    """Texts of synthetic queries, [batches][pairs], and a unit vector for each, float32 [batches, pairs, 256].

    In ASCII: the two tokenizers have different views of accents.
    """
    write_shop(folder / "shop", products=4 * pairs * batches, seed=1, engagements=1)
    table = pq.read_table(folder / "shop" / "queries.parquet", columns=["text", "embedding"])
    table = table.filter(pc.string_is_ascii(table["text"]))
    order = np.random.default_rng(1).permutation(len(table))[: pairs * batches].reshape(batches, pairs)
    texts, vectors = np.array(table["text"].to_pylist(), object), np.array(table["embedding"].to_pylist(), np.float32)
    return [texts[rows].tolist() for rows in order], vectors[order]


def make_tower(sizes: dict, texts: list[list[str]], vocabulary: Path) -> DistilBertTower:
    """A built tower; its vocabulary is learned, then filled up to the size of DistilBERT's."""
    learn_wordpiece(itertools.chain(*texts), sizes["vocabulary_size"], vocabulary)
    tokens = vocabulary.read_text().splitlines()
    tokens += [f"[unused{number}]" for number in range(sizes["vocabulary_size"] - len(tokens))]
    vocabulary.write_text("".join(f"{token}\n" for token in tokens))
    tf_keras.utils.set_random_seed(1)
    tower = DistilBertTower(DistilBertTowerConfig(kind="distilbert", dropout=0.0, **sizes), vocabulary)
    tower.embed({"query": tf.constant(["a"])})
    return tower


def our_step(tower: DistilBertTower, texts: list[list[str]], products: np.ndarray):
    """A function that trains on the next batch and returns its loss."""
    optimizer = tf_keras.optimizers.Adam(LEARNING_RATE)
    optimizer.build(tower.trainable_variables)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([None, 256], tf.float32)])
    def step(queries, candidates):
        with tf.GradientTape() as tape:
            vectors = tower(tower.featurize({"query": queries}), training=True)
            logits = tf.matmul(vectors, candidates, transpose_b=True) / TEMPERATURE
            labels = tf.range(tf.shape(logits)[0])
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        gradients = tape.gradient(loss, tower.trainable_variables)
        optimizer.apply_gradients(zip(gradients, tower.trainable_variables, strict=True))
        return loss

    turn = itertools.cycle(zip(texts, products, strict=True))
    return lambda: float(step(*next(turn)))


def write_start(tower: DistilBertTower, sizes: dict, texts, products: np.ndarray, folder: Path) -> None:
    """What the other side starts from: sizes and texts as JSON, weights under their names in PyTorch, vectors."""
    start = {**sizes, "texts": texts, "positions": tower.backbone.max_sequence_length}
    start |= {"temperature": TEMPERATURE, "learning_rate": LEARNING_RATE}
    (folder / "start.json").write_text(json.dumps(start))
    np.savez(folder / "start.npz", products=products, **torch_weights(tower))


def torch_weights(tower: DistilBertTower) -> dict[str, np.ndarray]:
    """Every weight of the tower under its name in Hugging Face's DistilBERT, the projection as `projection.*`."""
    backbone = tower.backbone
    weights = {
        "embeddings.word_embeddings.weight": backbone.embeddings.token_embedding.embeddings,
        "embeddings.position_embeddings.weight": backbone.embeddings.position_embedding.position_embeddings,
        **_norm("embeddings.LayerNorm", backbone.embeddings_layer_norm),
        **_dense("projection", tower.projection),
    }
    for place, block in enumerate(backbone.transformer_layers):
        name, attention = f"transformer.layer.{place}", block._self_attention_layer
        weights |= _dense(f"{name}.attention.q_lin", attention._query_dense)
        weights |= _dense(f"{name}.attention.k_lin", attention._key_dense)
        weights |= _dense(f"{name}.attention.v_lin", attention._value_dense)
        weights |= _dense(f"{name}.attention.out_lin", attention._output_dense, inputs=2)
        weights |= _norm(f"{name}.sa_layer_norm", block._self_attention_layer_norm)
        weights |= _dense(f"{name}.ffn.lin1", block._feedforward_intermediate_dense)
        weights |= _dense(f"{name}.ffn.lin2", block._feedforward_output_dense)
        weights |= _norm(f"{name}.output_layer_norm", block._feedforward_layer_norm)
    return {name: np.asarray(value) for name, value in weights.items()}


def _dense(name: str, layer, inputs: int = 1) -> dict[str, np.ndarray]:
    """PyTorch's matrix is [outputs, inputs]; Keras' kernel has `inputs` axes of inputs, heads stand apart."""
    kernel = layer.kernel.numpy()
    size = int(np.prod(kernel.shape[:inputs]))
    return {f"{name}.weight": kernel.reshape(size, -1).T, f"{name}.bias": layer.bias.numpy().reshape(-1)}


def _norm(name: str, layer) -> dict[str, np.ndarray]:
    return {f"{name}.weight": layer.gamma.numpy(), f"{name}.bias": layer.beta.numpy()}


def describe(tower: DistilBertTower, texts: list[list[str]]) -> str:
    masks = [tower.featurize({"query": tf.constant(batch)})["padding_mask"].numpy() for batch in texts]
    filled = np.mean([mask.mean() for mask in masks])
    parameters = sum(int(np.prod(variable.shape)) for variable in tower.trainable_variables)
    longest = max(mask.shape[1] for mask in masks)
    return (
        f"{len(texts[0])} queries of at most {longest} tokens, {1 - filled:.0%} of a batch is padding; "
        f"{parameters / 1e6:.0f} M parameters"
    )


if __name__ == "__main__":
    typer.run(main)
