"""Captions by a BLIP checkpoint that lies on this machine."""

import io
from pathlib import Path

import pyarrow as pa

from tfsage.console import console
from tfsage.data.columns import plain
from tfsage.errors import TfsageError

_BATCH = 16
_LONGEST = 30


class BlipCaptions:
    """Captions that a BLIP model (`BlipForConditionalGeneration` of Hugging Face) makes of pictures, greedily.

    Needs the extra `captions`: transformers, torch and Pillow. Nothing is downloaded, and only safetensors are read.

    Args:
        checkpoint: a folder that `save_pretrained` of the model and of its processor wrote.
        column: the pictures: their bytes, or the names of their files.
        images: the folder of the files; names that lead out of it are refused.

    Raises:
        TfsageError: the extra is not installed, or the folder holds no such checkpoint.
    """

    def __init__(self, checkpoint: str | Path, column: str, images: str | Path | None = None):
        try:
            import torch
            from transformers import BlipForConditionalGeneration, BlipProcessor
        except ImportError as error:
            raise TfsageError(
                f"BLIP captions need transformers, torch and Pillow ({error}): pip install 'tfsage[captions]'"
            ) from None
        try:
            self._processor = BlipProcessor.from_pretrained(checkpoint, local_files_only=True)
            self._model = BlipForConditionalGeneration.from_pretrained(
                checkpoint, local_files_only=True, use_safetensors=True
            ).eval()
        except (OSError, ValueError) as error:
            raise TfsageError(f"{checkpoint}: no BLIP checkpoint ({error}); name a folder with one") from None
        self._torch, self._images = torch, None if images is None else Path(images).resolve()
        self.column, self.name = column, f"BLIP {Path(checkpoint).name}"
        self._warned = False

    def __call__(self, values: pa.Array) -> pa.Array:
        """Captions, list<string> [rows]; empty where there is no picture, or none that can be read."""
        pictures = [self._open(value) for value in plain(values).to_pylist()]
        seen = [place for place, picture in enumerate(pictures) if picture is not None]
        said: list[list[str]] = [[] for _ in pictures]
        for start in range(0, len(seen), _BATCH):
            places = seen[start : start + _BATCH]
            for place, caption in zip(places, self._caption([pictures[place] for place in places]), strict=True):
                said[place] = [caption] if caption else []
        return pa.array(said, pa.list_(pa.string()))

    def _caption(self, pictures: list) -> list[str]:
        inputs = self._processor(images=pictures, return_tensors="pt")
        with self._torch.inference_mode():
            tokens = self._model.generate(**inputs, max_new_tokens=_LONGEST, num_beams=1, do_sample=False)
        return [text.strip() for text in self._processor.batch_decode(tokens, skip_special_tokens=True)]

    def _open(self, value: bytes | str | None):
        """The picture in RGB; None where there is none."""
        from PIL import Image

        if not value:
            return None
        source = self._path(value) if isinstance(value, str) else io.BytesIO(value)
        try:
            with Image.open(source) as picture:
                return picture.convert("RGB")
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            if not self._warned:
                console.print(
                    f"A picture cannot be read and gets no caption ({error}); others are not named", markup=False
                )
                self._warned = True
            return None

    def _path(self, name: str) -> Path:
        if self._images is None:
            raise TfsageError(f"column {self.column!r} holds file names; name their folder with --images")
        path = (self._images / name).resolve()
        if not path.is_relative_to(self._images):
            raise TfsageError(
                f"column {self.column!r} holds {name!r}, which leads out of {self._images}; mend the name"
            )
        return path
