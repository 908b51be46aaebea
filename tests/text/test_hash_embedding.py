import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.text import reference
from tfsage.config import HashEmbeddingConfig, TextConfig
from tfsage.errors import TfsageError
from tfsage.text.hash_embedding import HashEmbedding


def _layer(size=50, **options) -> HashEmbedding:
    return HashEmbedding(size, HashEmbeddingConfig(**{"buckets": 20, "dimension": 4} | options))


def _reference(layer, token_ids, lengths, upstream):
    """Bags, dE and dW with every token of every bag computed for itself, in float64."""
    table, importance = layer.table.numpy().astype(np.float64), layer.importance.numpy().astype(np.float64)
    first, second = (buckets.numpy() for buckets in layer.buckets_of(tf.constant(token_ids)))
    bags, d_table, d_importance = np.zeros_like(upstream), np.zeros_like(table), np.zeros_like(importance)
    owners = np.repeat(np.arange(len(lengths)), lengths)
    for token, h1, h2, bag in zip(token_ids, first[np.arange(len(first))], second, owners, strict=True):
        w1, w2 = importance[token]
        bags[bag] += w1 * table[h1] + w2 * table[h2]
        d_table[h1] += w1 * upstream[bag]
        d_table[h2] += w2 * upstream[bag]
        d_importance[token] += [upstream[bag] @ table[h1], upstream[bag] @ table[h2]]
    return bags, d_table, d_importance


def test_worked_example():
    """Oracle O9 of the notes: 3 tokens with given buckets, 3 bags of which the last is empty."""
    layer = _layer(3, buckets=4, dimension=2)
    layer.buckets_of = lambda ids: (tf.gather([0, 2, 1], ids), tf.gather([1, 3, 1], ids))
    layer.table.assign([[1, 0], [0, 1], [2, -1], [-1, 3]])
    layer.importance.assign([[0.5, -0.25], [1, 2], [0.3, 0.4]])
    with tf.GradientTape() as tape:
        bags = layer(tf.constant([0, 1, 2]), tf.constant([2, 1, 0]))
    d_table, d_importance = tape.gradient(
        bags, [layer.table, layer.importance], tf.constant([[1.0, 2], [3, 4], [5, 6]])
    )
    np.testing.assert_allclose(layer.token_vectors(tf.range(3)), [[0.5, -0.25], [0, 5], [0, 0.7]], atol=1e-6)
    np.testing.assert_allclose(bags, [[0.5, 4.75], [0, 0.7], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(tf.convert_to_tensor(d_table), [[0.5, 1], [1.85, 2.3], [1, 2], [2, 4]], atol=1e-6)
    np.testing.assert_allclose(tf.convert_to_tensor(d_importance), [[1, 2], [0, 5], [4, 4]], atol=1e-6)


@pytest.mark.parametrize("lengths", [[3, 0, 6, 1, 0, 0], [0, 0], [12], [0, 5]])
def test_equals_gathering_every_token_in_value_and_gradient(lengths):
    rng = np.random.default_rng(5)
    layer = _layer()
    token_ids = rng.integers(8, size=sum(lengths)).astype(np.int32)
    upstream = rng.normal(size=(len(lengths), 4))

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            bags = layer(tf.constant(token_ids), tf.constant(lengths))
        return bags, tape.gradient(bags, [layer.table, layer.importance], tf.constant(upstream, tf.float32))

    bags, gradients = run()
    assert all(isinstance(gradient, tf.IndexedSlices) for gradient in gradients)
    expected = _reference(layer, token_ids, lengths, upstream)
    for value, wanted in zip((bags, *map(tf.convert_to_tensor, gradients)), expected, strict=True):
        np.testing.assert_allclose(value, wanted, atol=1e-5)


def test_gradient_of_importance_has_one_row_per_distinct_token():
    layer = _layer()
    with tf.GradientTape() as tape:
        bags = layer(tf.constant([4, 4, 9, 4]), tf.constant([2, 2]))
    gradient = tape.gradient(bags, layer.importance)
    assert sorted(gradient.indices.numpy()) == [4, 9]


def test_lengths_of_any_shape():
    layer = _layer()
    token_ids = tf.constant([1, 2, 3, 4, 5])
    flat = layer(token_ids, tf.constant([2, 0, 1, 2, 0, 0]))
    square = layer(token_ids, tf.constant([[2, 0, 1], [2, 0, 0]]))
    np.testing.assert_array_equal(square, tf.reshape(flat, [2, 3, 4]))
    assert layer(tf.zeros([0], tf.int32), tf.zeros([0, 3], tf.int32)).shape == (0, 3, 4)


def test_two_different_buckets_for_every_token():
    for buckets in (2, 3, 1000):
        first, second = _layer(buckets=buckets).buckets_of(tf.range(20_000))
        assert (first != second).numpy().all()
        for part in (first, second):
            counts = np.bincount(part, minlength=buckets)
            chi_square = ((counts - 20_000 / buckets) ** 2).sum() / (20_000 / buckets)
            assert abs(chi_square - (buckets - 1)) < 5 * np.sqrt(2 * (buckets - 1)), "buckets are not equally likely"


def test_pairs_of_buckets_collide_as_independent_hashes_do():
    """60,000 tokens in 1,000 × 999 ordered pairs of buckets: about 1,800 pairs of tokens share both.

    One hash alone would make 1.8 million.
    """
    first, second = _layer(buckets=1000).buckets_of(tf.range(60_000))
    _, repeats = np.unique(first.numpy().astype(np.int64) * 1000 + second.numpy(), return_counts=True)
    collisions = (repeats * (repeats - 1) / 2).sum()
    assert abs(collisions - 60_000**2 / 2 / 999_000) < 5 * np.sqrt(1_800)


def test_buckets_depend_on_the_seed_alone():
    first = _layer(buckets=1000, seed=1).buckets_of(tf.range(1000))
    again = _layer(buckets=1000, seed=1, importance="normal", dimension=8).buckets_of(tf.range(1000))
    other = _layer(buckets=1000, seed=2).buckets_of(tf.range(1000))
    np.testing.assert_array_equal(first, again)
    assert np.mean(np.equal(first, other)) < 0.02


def test_token_vectors_start_about_unit_long():
    layer = _layer(4000, buckets=3000, dimension=64)
    norms = np.linalg.norm(layer.token_vectors(tf.range(4000)), axis=1)
    np.testing.assert_allclose(np.mean(norms**2), 1.0, rtol=0.1)
    np.testing.assert_allclose(np.std(layer.importance), 1.0, rtol=0.05)


@pytest.mark.parametrize("importance, lengths", [("idf", lambda idf: idf), ("sqrt_idf", np.sqrt)])
def test_token_vectors_start_as_long_as_their_idf_times_the_scale_of_their_kind(importance, lengths):
    idf = np.linspace(1.0, 9.0, 3000)
    config = HashEmbeddingConfig(
        buckets=5000, dimension=512, importance=importance, bigram_scale=0.5, character_scale=0.25
    )
    layer = HashEmbedding(3000, config, idf=idf, kind_sizes=(1000, 1200, 800))
    norms = np.linalg.norm(layer.token_vectors(tf.range(3000)), axis=1)
    expected = lengths(idf) / lengths(idf).mean() * np.repeat([1.0, 0.5, 0.25], [1000, 1200, 800])
    np.testing.assert_allclose(norms, expected, rtol=0.25)
    assert abs(np.polyfit(np.log(idf), np.log(norms / expected), 1)[0]) < 0.05, "grows with another power of idf"
    angles = np.arctan2(layer.importance[:, 0], layer.importance[:, 1])
    assert abs(np.mean(np.exp(2j * angles))) < 0.1, "the two buckets of a token should share its weight at random"


def test_scales_hold_for_normal_importance_too():
    plain = HashEmbedding(6, HashEmbeddingConfig(buckets=9, dimension=2), kind_sizes=(1, 2, 3))
    scaled = HashEmbedding(
        6, HashEmbeddingConfig(buckets=9, dimension=2, bigram_scale=2, character_scale=3), kind_sizes=(1, 2, 3)
    )
    ratio = scaled.importance.numpy() / plain.importance.numpy()
    np.testing.assert_allclose(ratio, np.repeat([[1.0], [2.0], [3.0]], [1, 2, 3], axis=0) * np.ones(2), rtol=1e-6)


def test_embeddings_of_one_config_start_equal():
    one, two = _layer(), _layer()
    np.testing.assert_array_equal(one.table, two.table)
    np.testing.assert_array_equal(one.importance, two.importance)
    assert not np.array_equal(one.table, _layer(seed=5).table)


def test_for_vocabulary():
    vocabulary = reference.vocabulary(reference.TEXTS, TextConfig())
    config = HashEmbeddingConfig(buckets=9, dimension=2, importance="idf", bigram_scale=0.5)
    layer = HashEmbedding.for_vocabulary(vocabulary, config)
    norms = np.linalg.norm(layer.importance, axis=1)
    scale = np.repeat([1.0, 0.5, 1.0], vocabulary.kind_sizes)
    np.testing.assert_allclose(norms, np.sqrt(2) * scale * vocabulary.idf() / vocabulary.idf().mean(), rtol=1e-5)


def test_parameters_of_the_paper():
    layer = HashEmbedding(1_264_000, HashEmbeddingConfig())
    assert layer.count_params() == 100_000 * 256 + 1_264_000 * 2


def test_sums_stay_float32_under_mixed_precision():
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        layer = _layer()
        assert layer(tf.constant([1, 2]), tf.constant([2])).dtype == tf.float32
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")


def test_one_bucket_is_refused():
    with pytest.raises(TfsageError, match="at least 2 buckets"):
        _layer(buckets=1)


@pytest.mark.parametrize("importance", ["idf", "sqrt_idf"])
def test_idf_without_idf_is_refused(importance):
    with pytest.raises(TfsageError, match=f"{importance}.*document frequencies"):
        _layer(importance=importance)
