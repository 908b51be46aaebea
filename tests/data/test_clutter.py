import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tfsage.data.synthetic import write_shop
from tfsage.data.synthetic.clutter import DEALERS, write_cluttered_shop

SIZES = {"queries": 150, "pins": 200, "engagements": 4000, "dimension": 128}


@pytest.fixture(scope="module")
def shops(tmp_path_factory):
    """The plain shop, and what became of it."""
    folder = tmp_path_factory.mktemp("clutter")
    write_shop(folder / "plain", 300, seed=2, **SIZES)
    write_cluttered_shop(folder / "cluttered", 300, copied=0.5, strays=4.0, pictureless=0.2, seed=2, **SIZES)
    return folder / "plain", folder / "cluttered"


def rows(shop, name="products"):
    return pq.read_table(shop / f"{name}.parquet")


def by_id(shop):
    return {row["product_id"]: row for row in rows(shop).to_pylist()}


def pictureless(products):
    """The products that share their only image with others; no other two have one in common."""
    single = [tuple(row["image_embeddings"][0]) for row in products.values() if len(row["image_embeddings"]) == 1]
    placeholder = max(set(single), key=single.count)
    return {name for name, row in products.items() if tuple(row["image_embeddings"][0]) == placeholder}


def test_copies_are_listings_of_dealers_that_nobody_engages_with(shops):
    plain, cluttered = map(by_id, shops)
    copies = {name: row for name, row in cluttered.items() if name.startswith("copy-")}
    assert cluttered.keys() - copies.keys() == plain.keys() and 110 < len(copies) < 190
    for name, row in copies.items():
        original = plain[name.removeprefix("copy-")]
        assert row["merchant_domain"] in DEALERS and original["merchant_domain"] not in DEALERS
        assert row["title"] == original["title"] and row["product_types"] == original["product_types"]
    assert rows(shops[1], "engagements").equals(rows(shops[0], "engagements"))
    assert not pc.any(pc.starts_with(rows(shops[1], "engagements")["entity_id"], "copy-")).as_py()


def test_products_without_a_photograph_and_their_copies_show_one_placeholder(shops):
    plain, cluttered = map(by_id, shops)
    bare = pictureless(cluttered)
    assert 40 < len(bare & plain.keys()) < 80
    assert all(len(cluttered[name]["image_embeddings"]) == 1 for name in bare)
    copies = {name for name in cluttered if name.startswith("copy-")}
    assert bare & copies == {name for name in copies if name.removeprefix("copy-") in bare}
    assert len(pictureless(plain)) == 1, "nothing is shared in the plain shop"


def test_images_are_those_of_the_product_and_stray_ones_at_any_place(shops):
    plain, cluttered = map(by_id, shops)
    extra, places = [], []
    for name in plain.keys() - pictureless(cluttered):
        row = plain[name]
        own, now = np.array(row["image_embeddings"]), np.array(cluttered[name]["image_embeddings"])
        assert len(now) <= 20
        same = (now[:, None] == own).all(-1)
        assert same.any(0).all(), "every image of its own is still there"
        extra.append(len(now) - len(own))
        places += [place / len(now) for place in np.flatnonzero(~same.any(1))]
    assert 3 < np.mean(extra) < 5
    assert 0.35 < np.mean(places) < 0.55, "neither first nor last"


def test_what_copies_and_strays_have_in_common_can_be_seen(shops):
    plain, cluttered = map(by_id, shops)
    own = np.concatenate([row["image_embeddings"] for row in plain.values()])
    known = {tuple(image) for image in own.tolist()}
    strays = np.array(
        [
            image
            for name in plain.keys() - pictureless(cluttered)
            for image in cluttered[name]["image_embeddings"]
            if tuple(image) not in known
        ]
    )
    assert np.linalg.norm(strays, axis=1) == pytest.approx(1, abs=1e-5)
    scene = strays.mean(0) / np.linalg.norm(strays.mean(0))
    assert (strays @ scene > 0.4).mean() > 0.95 and (own @ scene > 0.4).mean() < 0.05


def test_products_and_pins_share_boards(shops):
    def mixed(shop):
        kinds = {}
        for row in rows(shop, "boards").to_pylist():
            kinds.setdefault(row["board_id"], {}).setdefault(row["title"], set()).add(row["entity_type"])
        assert all(len(titles) == 1 for titles in kinds.values())
        return np.mean([len(*titles.values()) == 2 for titles in kinds.values()])

    assert mixed(shops[0]) == 0.0 and mixed(shops[1]) > 0.05
    assert rows(shops[1], "boards")["entity_id"].equals(rows(shops[0], "boards")["entity_id"])


def test_the_same_seed_gives_the_same_shop(shops, tmp_path):
    write_cluttered_shop(tmp_path / "again", 300, copied=0.5, strays=4.0, pictureless=0.2, seed=2, **SIZES)
    for name in ("products", "boards"):
        assert rows(tmp_path / "again", name).equals(rows(shops[1], name))
