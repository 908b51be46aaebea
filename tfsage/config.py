"""One YAML file describes a whole run; this module is its schema.

Every section has working defaults, unknown keys are refused, and a resolved copy is kept in the run folder.
"""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from pydantic import ValidationError as PydanticValidationError

from tfsage.errors import TfsageError

TEXT_FIELDS = (
    "title",
    "description",
    "merchant_domain",
    "links",
    "google_product_category",
    "product_types",
    "brand",
    "colors",
    "materials",
    "patterns",
    "size",
    "size_type",
)
"""The 12 text features of a product, in the order of ItemSage §3.2."""

Rate = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TextConfig(Section):
    """Tokenization shared by every n-gram tower (ItemSage §3.2); vocabularies hold the most frequent tokens."""

    unigrams: NonNegativeInt = 200_000
    bigrams: NonNegativeInt = 1_000_000
    character_ngrams: NonNegativeInt = 64_000
    character_lengths: tuple[PositiveInt, ...] = (3,)
    light_stemming: bool = False
    split_numbers: bool = False
    joined_bigrams: bool = False


class SplitConfig(Section):
    """How pairs are divided into train, dev and test.

    `auto` takes `given` when the engagements have a `split` column, else `time` when the timestamps span more than
    twice the gap and the two windows, else `query`.
    """

    by: Literal["auto", "time", "query", "given"] = "auto"
    gap_days: NonNegativeInt = 15
    window_days: PositiveInt = 7
    dev_share: Rate = 0.1
    test_share: Rate = 0.1


class PrepareConfig(Section):
    cap_per_pin: PositiveInt = 50
    cap_per_product: PositiveInt = 200
    split: SplitConfig = SplitConfig()
    seed: int = 1


class HashEmbeddingConfig(Section):
    """Two-way hash embedding: v(token) = W1 E[h1] + W2 E[h2] (ItemSage §3.3)."""

    buckets: PositiveInt = 100_000
    dimension: PositiveInt = 256
    importance: Literal["normal", "idf"] = "normal"
    bigram_scale: PositiveFloat = 1.0
    character_scale: PositiveFloat = 1.0
    seed: int = 17


class ImageConfig(Section):
    """The image slots of a product tower; `standardize` brings every entry to zero mean and comparable spread.

    With `optional` tables without the column will do: then no product has images.
    """

    column: str = "image_embeddings"
    slots: PositiveInt = 20
    dimension: PositiveInt = 256
    standardize: bool = False
    optional: bool = False


class ItemSageTowerConfig(Section):
    """The product tower of ItemSage §3.3: image and text slots, [CLS] attention, MLP head."""

    kind: Literal["itemsage"]
    text_fields: tuple[str, ...] = TEXT_FIELDS
    images: ImageConfig | None = ImageConfig()
    hash_embedding: HashEmbeddingConfig = HashEmbeddingConfig()
    layers: PositiveInt = 1
    width: PositiveInt = 512
    heads: PositiveInt = 8
    feed_forward: PositiveInt = 2048
    head_hidden: PositiveInt = 2048
    dimension: PositiveInt = 256

    @model_validator(mode="after")
    def _heads_divide_width(self):
        if self.width % self.heads:
            raise ValueError(f"heads: {self.heads} heads cannot share a width of {self.width} evenly")
        return self


class MlpConcatMlpTowerConfig(Section):
    """The MLP-Concat-MLP baseline of ItemSage §4.1.2."""

    kind: Literal["mlp_concat_mlp"]
    text_fields: tuple[str, ...] = TEXT_FIELDS
    images: ImageConfig | None = ImageConfig()
    hash_embedding: HashEmbeddingConfig = HashEmbeddingConfig()
    hidden: PositiveInt = 256
    dimension: PositiveInt = 256


class SumTowerConfig(Section):
    """The Sum baseline (and Sum-MLP, when `hidden` is given): images of a product, mapped, summed, normalised."""

    kind: Literal["sum"]
    images: ImageConfig = ImageConfig()
    hidden: tuple[PositiveInt, ...] = ()
    dimension: PositiveInt = 256


class UnifiedTowerConfig(Section):
    """The unified encoder of OmniSearchSage §3.4.2: text fields summed, beside the images' mean, then an MLP.

    With no `hidden` layers and no images the embedding is the normalised sum of the text tokens itself. With
    `separate_fields` the sums of the fields stand side by side, each normalised, in place of one sum over all; with
    `residual_images` the MLP is added to a linear map of the images' mean that starts as the identity.
    """

    kind: Literal["unified"]
    text_fields: tuple[str, ...] = TEXT_FIELDS
    images: ImageConfig | None = None
    hash_embedding: HashEmbeddingConfig = HashEmbeddingConfig()
    hidden: tuple[PositiveInt, ...] = (1024, 1024)
    separate_fields: bool = False
    residual_images: bool = False
    dimension: PositiveInt = 256

    @model_validator(mode="after")
    def _residual_needs_images(self):
        if self.residual_images and self.images is None:
            raise ValueError("residual_images: there are no images; give `images` or leave it out")
        return self


class NgramTowerConfig(Section):
    """A query tower over the n-gram tokenizers; `share_embedding` names the tower whose hash embedding it reuses."""

    kind: Literal["ngram"]
    share_embedding: str | None = None
    hash_embedding: HashEmbeddingConfig = HashEmbeddingConfig()
    hidden: tuple[PositiveInt, ...] = ()
    dimension: PositiveInt = 256


class DistilBertTowerConfig(Section):
    """The query tower of SearchSage and OmniSearchSage §3.4.1.

    `weights` is a keras-nlp preset name, a local preset directory, or `scratch`: then the sizes below hold and a
    WordPiece vocabulary of `vocabulary_size` is learned from the training queries.
    """

    kind: Literal["distilbert"]
    weights: str = "scratch"
    vocabulary_size: PositiveInt = 8_000
    layers: PositiveInt = 2
    heads: PositiveInt = 4
    width: PositiveInt = 128
    feed_forward: PositiveInt = 512
    dropout: Rate = 0.1
    max_length: PositiveInt = 32
    dimension: PositiveInt = 256


class FrozenTowerConfig(Section):
    """Query embeddings read from a table; `hidden` None keeps them as they are, a list puts an MLP on top.

    With `residual` the MLP is added to a linear map of the embedding that starts as the identity. `standardize` first
    brings every entry to zero mean and comparable spread.
    """

    kind: Literal["frozen"]
    input_dimension: PositiveInt = 256
    hidden: tuple[PositiveInt, ...] | None = None
    residual: bool = False
    standardize: bool = False
    dimension: PositiveInt = 256


TowerConfig = Annotated[
    ItemSageTowerConfig
    | MlpConcatMlpTowerConfig
    | SumTowerConfig
    | UnifiedTowerConfig
    | NgramTowerConfig
    | DistilBertTowerConfig
    | FrozenTowerConfig,
    Field(discriminator="kind"),
]


class TaskConfig(Section):
    """One retrieval task: which pairs, which towers, which share of the batch (ItemSage §3.5).

    `source` `engagements` takes the pairs of (`surface`, `query_type`) whose action is in `actions`, a map from the
    action to the weight of one engagement. `catalog_text` makes pairs from the catalog itself: a span or an
    IDF-sampled subset of the words of a product's title is the query, the product the positive. `catalog_image`
    takes one image of a product as the query; images that the exclusions table ties to a query of dev or test are left
    out, unless `held_out_images` says that the catalog's own pictures and texts may be learned whole. `hide` leaves
    features of the positive out (with `hide_rate`).
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    source: Literal["engagements", "catalog_text", "catalog_image"] = "engagements"
    surface: str | None = None
    query_type: Literal["query", "pin", "product"] = "query"
    actions: dict[str, PositiveFloat] = {}
    evaluate_actions: tuple[str, ...] | None = None
    query_tower: str
    candidate_tower: str = "product"
    share: PositiveFloat = 1.0
    weight: PositiveFloat = 1.0
    spelling_noise: Rate = 0.0
    hide: tuple[Literal["images", "text"], ...] = ()
    hide_rate: Rate = 1.0
    held_out_images: bool = False
    optional: bool = False

    @model_validator(mode="after")
    def _engagements_need_actions(self):
        if self.source == "engagements" and (not self.actions or self.surface is None):
            raise ValueError(f"task {self.name}: source 'engagements' needs `surface` and `actions`")
        return self


class LossConfig(Section):
    """Which terms are added, and how (design §8). See tfsage.losses for the formulas."""

    negatives: Literal["sum", "in_batch", "random", "mixed"] = "sum"
    duplicates: Literal["keep", "mask"] = "keep"
    positive_correction: bool = True
    mask_other_positives: bool = True
    frequency: Literal["auto", "exact", "count_min"] = "auto"
    temperature: PositiveFloat = 0.07
    learn_temperature: bool = True
    temperature_floor: PositiveFloat = 0.01


class OptimizerConfig(Section):
    """Row-wise Adagrad for hash tables, AdamW for everything else; linear warm-up, then cosine to `final_scale`."""

    learning_rate: PositiveFloat = 1e-3
    table_learning_rate: PositiveFloat = 0.05
    weight_decay: float = Field(default=0.0, ge=0.0)
    warmup_steps: NonNegativeInt = 100
    final_scale: Rate = 0.1
    clip_norm: PositiveFloat | None = 1.0


class PhaseConfig(Section):
    """A stretch of training on some of the tasks (all of them when `tasks` is empty)."""

    steps: PositiveInt
    tasks: tuple[str, ...] = ()


class TrainingConfig(Section):
    batch_size: PositiveInt = 512
    random_negatives: NonNegativeInt | None = None
    phases: tuple[PhaseConfig, ...] = (PhaseConfig(steps=1000),)
    steps_per_epoch: PositiveInt = 100
    checkpoint_every: PositiveInt = 100
    token_dropout: Rate = 0.0
    embedding_dropout: Rate = 0.0
    optimizer: OptimizerConfig = OptimizerConfig()
    seed: int = 1


class EvaluationConfig(Section):
    k: tuple[PositiveInt, ...] = (10, 100)
    distractors: PositiveInt = 1_000_000
    baselines: tuple[Literal["random", "popularity", "bm25", "sum"], ...] = ("random", "popularity", "bm25", "sum")
    fuse_bm25: bool = False
    bootstrap: PositiveInt = 1000
    max_pairs: PositiveInt = 80_000
    seed: int = 1


class ExportConfig(Section):
    product_tower: str = "product"
    query_tower: str | None = "text"
    recall_target: Rate = 0.95
    batch_size: PositiveInt = 256


class Config(Section):
    text: TextConfig = TextConfig()
    prepare: PrepareConfig = PrepareConfig()
    towers: dict[str, TowerConfig]
    tasks: tuple[TaskConfig, ...] = Field(min_length=1)
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    export: ExportConfig = ExportConfig()

    @model_validator(mode="after")
    def _names_resolve(self):
        names = [task.name for task in self.tasks]
        if len(set(names)) < len(names):
            raise ValueError(f"task names must be unique, got {names}")
        wanted = [(f"tasks.{t.name}.{role}", getattr(t, role)) for t in self.tasks for role in _TOWER_ROLES]
        wanted += [("export.product_tower", self.export.product_tower)]
        if self.export.query_tower is not None:
            wanted.append(("export.query_tower", self.export.query_tower))
        wanted += [
            (f"towers.{name}.share_embedding", tower.share_embedding)
            for name, tower in self.towers.items()
            if isinstance(tower, NgramTowerConfig) and tower.share_embedding
        ]
        for where, tower in wanted:
            if tower not in self.towers:
                raise ValueError(f"{where}: no tower named {tower!r}; there are {sorted(self.towers)}")
        for task in self.tasks:
            query, candidate = self.towers[task.query_tower], self.towers[task.candidate_tower]
            if query.dimension != candidate.dimension:
                raise ValueError(
                    f"task {task.name}: towers {task.query_tower!r} and {task.candidate_tower!r} have dimensions "
                    f"{query.dimension} and {candidate.dimension}; they must be equal to be compared"
                )
        for phase in self.training.phases:
            if unknown := set(phase.tasks) - set(names):
                raise ValueError(f"training.phases: no task named {sorted(unknown)}; there are {names}")
        return self


_TOWER_ROLES = ("query_tower", "candidate_tower")


def load_config(path: str | Path) -> Config:
    """Reads and checks a YAML config.

    Raises:
        TfsageError: the file is missing, is not YAML, or has an unknown key or a wrong value; every problem is named.
    """
    path = Path(path)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TfsageError(f"{path}: no such config file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TfsageError(f"{path}: not a YAML file: {error}") from None
    if not isinstance(raw, dict):
        raise TfsageError(f"{path}: expected sections (towers, tasks, ...), got {type(raw).__name__}")
    try:
        return Config.model_validate(raw)
    except PydanticValidationError as error:
        problems = "\n".join(_describe(problem) for problem in error.errors())
        raise TfsageError(f"{path}: the config is not valid:\n{problems}") from None


def with_seed(config: Config, seed: int) -> Config:
    """The same config with another seed, of the order of training and of what weights and hash functions start from."""
    raw = config.model_dump()
    raw["training"]["seed"] = seed
    for tower in raw["towers"].values():
        if "hash_embedding" in tower:
            tower["hash_embedding"]["seed"] += seed - config.training.seed
    return Config.model_validate(raw)


def save_config(config: Config, path: str | Path) -> None:
    """Writes the config with every default spelled out, so that a run can be repeated after defaults change."""
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    Path(path).write_text(text, encoding="utf-8")


def _describe(problem: dict) -> str:
    where = ".".join(str(part) for part in problem["loc"]) or "config"
    if problem["type"] == "extra_forbidden":
        return f"  {where}: unknown key; remove it or check its spelling"
    return f"  {where}: {problem['msg']}"
