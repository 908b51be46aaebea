"""A BLIP checkpoint captions pictures, where transformers and torch are installed (extra `captions`)."""

import importlib.util
import io

import numpy as np
import pyarrow as pa
import pytest

from tests.data.tiny import tiny_shop, write_tables
from tfsage.data.enrichment.jobs import enrich_captions
from tfsage.errors import TfsageError

LACKING = [name for name in ("transformers", "torch", "PIL") if importlib.util.find_spec(name) is None]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[ENC]", "[DEC]", "a", "red", "walnut", "desk", "lamp", "rug"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A BLIP of two tiny layers with random weights, or None where the extra is not installed."""
    if LACKING:
        print(f"\nLeft out: captions by a BLIP checkpoint, for want of {', '.join(LACKING)}")
        return None
    import torch
    from transformers import (
        BertTokenizerFast,
        BlipConfig,
        BlipForConditionalGeneration,
        BlipImageProcessor,
        BlipProcessor,
    )

    folder = tmp_path_factory.mktemp("blip")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    special = {"bos_token_id": 6, "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0}
    small = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = BlipConfig(
        text_config={
            **small,
            **special,
            "vocab_size": len(WORDS),
            "encoder_hidden_size": 32,
            "max_position_embeddings": 64,
        },
        vision_config={**small, "image_size": 32, "patch_size": 16},
        projection_dim=32,
    )
    torch.manual_seed(0)
    BlipForConditionalGeneration(config).save_pretrained(folder)
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"))
    BlipProcessor(BlipImageProcessor(size={"height": 32, "width": 32}), tokenizer).save_pretrained(folder)
    return folder


def picture(seed: int) -> bytes:
    from PIL import Image

    pixels = np.random.default_rng(seed).integers(0, 255, (40, 30, 3), dtype=np.uint8)
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()


def test_pictures_get_captions_and_what_is_no_picture_gets_none(checkpoint, tmp_path):
    if checkpoint is None:
        return
    from tfsage.data.enrichment.blip import BlipCaptions

    shop = tiny_shop()
    shop["products"]["photo"] = [picture(0), None, b"not a picture", picture(1), picture(0), b""]
    shop["pins"]["photo"] = [picture(2), picture(3), None]
    tables = write_tables(tmp_path / "tables", shop)
    coverage = enrich_captions(tables, tmp_path / "out", BlipCaptions(checkpoint, "photo"))
    import pyarrow.parquet as pq

    products = pq.read_table(tmp_path / "out" / "products.parquet")
    captions = products["captions"].to_pylist()
    assert [len(texts) for texts in captions] == [1, 0, 0, 1, 1, 0] and captions[0] == captions[4]
    assert all(word in WORDS for texts in captions for text in texts for word in text.split())
    assert "photo" not in products.schema.names
    assert coverage["products"]["coverage"] == 0.5 and coverage["pins"]["with"] == 2


def test_pictures_by_the_names_of_their_files(checkpoint, tmp_path):
    if checkpoint is None:
        return
    from tfsage.data.enrichment.blip import BlipCaptions

    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(picture(0))
    (tmp_path / "secret.png").write_bytes(picture(1))
    captioner = BlipCaptions(checkpoint, "photo", tmp_path / "photos")

    def caption(*names):
        return captioner(pa.array(names, pa.string())).to_pylist()

    by_bytes = BlipCaptions(checkpoint, "photo")(pa.array([picture(0)])).to_pylist()
    assert caption("a.png", "missing.png", None) == [by_bytes[0], [], []]
    with pytest.raises(TfsageError, match="leads out of"):
        caption("../secret.png")
    with pytest.raises(TfsageError, match="name their folder with --images"):
        BlipCaptions(checkpoint, "photo")(pa.array(["a.png"]))
    with pytest.raises(TfsageError, match="no BLIP checkpoint"):
        BlipCaptions(tmp_path / "photos", "photo")


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    from tfsage.data.enrichment.blip import BlipCaptions

    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(TfsageError, match="pip install 'tfsage\\[captions\\]'"):
        BlipCaptions(tmp_path, "photo")
