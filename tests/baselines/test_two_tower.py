import numpy as np
import pytest

from tfsage.baselines.two_tower import Rows, embed, train_two_tower


def rows(count, letter, text):
    return Rows(
        np.array([f"{letter}{i}" for i in range(count)], object), np.array([text(i) for i in range(count)], object)
    )


@pytest.fixture(scope="module")
def trained():
    """Query i goes with product i mod 8; queries 40 to 47 are not trained, but say what product they want."""
    queries = rows(48, "q", lambda i: f"wants thing{i % 8} please")
    products = rows(8, "p", lambda i: "" if i == 7 else f"the product {i}")
    pairs = np.arange(40), np.arange(40) % 8
    model = train_two_tower(queries, products, pairs, steps=60, batch_size=16, seed=1)
    return embed(model.query_tower, queries), embed(model.product_tower, products)


def test_it_learns_ids_and_words(trained):
    queries, products = trained
    best = (queries @ products.T).argmax(axis=1)
    assert (best[:40] == np.arange(40) % 8).mean() > 0.9
    assert (best[40:] == np.arange(8)).mean() > 0.7, "unknown ids are told by their words"


def test_no_vector_is_longer_than_one_and_the_order_of_products_is_kept(trained):
    for vectors in trained:
        lengths = np.linalg.norm(vectors, axis=1)
        assert lengths.max() <= 1.0 and lengths.std() > 0, "scaled as a whole, not one by one"
