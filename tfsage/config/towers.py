"""The towers: what each kind of encoder reads, and its sizes."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from tfsage.config.section import Rate, Section

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


class HashEmbeddingConfig(Section):
    """Two-way hash embedding: v(token) = W1 E[h1] + W2 E[h2] (ItemSage §3.3).

    `importance`: how long the tokens' vectors are before training: as in the paper (`normal`), by idf, or by its square
    root. Where queries and products share the embedding, a token that both have counts by the product of the two
    lengths: by idf once with `sqrt_idf`, as in BM25.
    """

    buckets: PositiveInt = 100_000
    dimension: PositiveInt = 256
    importance: Literal["normal", "idf", "sqrt_idf"] = "normal"
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


class EmbeddingConfig(Section):
    """An embedding column of a table: one vector for each entity, the mean where there are several, zeros for none."""

    column: str
    dimension: PositiveInt = 256


class NeighbourConfig(Section):
    """The slots of graph neighbours (ItemSage §4.1.3), a column that `tfsage neighbours` writes."""

    column: str = "neighbour_embeddings"
    slots: PositiveInt = 50
    dimension: PositiveInt = 256


class ItemSageTowerConfig(Section):
    """The product tower of ItemSage §3.3: image and text slots, [CLS] attention, MLP head.

    With `neighbours` the embeddings of a product's neighbours in the pin-board graph are a third group of slots.
    """

    kind: Literal["itemsage"]
    text_fields: tuple[str, ...] = TEXT_FIELDS
    images: ImageConfig | None = ImageConfig()
    neighbours: NeighbourConfig | None = None
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
    """The unified encoder of OmniSearchSage §3.4.2: text fields summed, beside continuous features, then an MLP.

    The continuous features are the images' mean and any `embeddings`, such as frozen PinSage and ItemSage vectors. It
    may embed products and pins alike: a column that one of the two tables does not have is zeros there.

    With no `hidden` layers and no continuous features the embedding is the normalised sum of the text tokens itself.
    With `normalize_fields` the sum of each field is brought to the same scale before they are added up; with
    `separate_fields` these stand side by side, in place of one sum over all; with `residual_images` the MLP is added to
    a linear map of the images' mean that starts as the identity.
    """

    kind: Literal["unified"]
    text_fields: tuple[str, ...] = TEXT_FIELDS
    images: ImageConfig | None = None
    embeddings: tuple[EmbeddingConfig, ...] = ()
    hash_embedding: HashEmbeddingConfig = HashEmbeddingConfig()
    hidden: tuple[PositiveInt, ...] = (1024, 1024)
    normalize_fields: bool = False
    separate_fields: bool = False
    residual_images: bool = False
    dimension: PositiveInt = 256

    @model_validator(mode="after")
    def _options_agree(self):
        if self.residual_images and self.images is None:
            raise ValueError("residual_images: there are no images; give `images` or leave it out")
        if self.normalize_fields and self.separate_fields:
            raise ValueError("normalize_fields: `separate_fields` normalises each field already; choose one of the two")
        inputs = [*self.text_fields, *(each.column for each in self.embeddings)]
        inputs += ["image_embeddings"] if self.images is not None else []  # what the images are called, whatever column
        if twice := sorted({name for name in inputs if inputs.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)} is read twice, by text_fields, images or embeddings; name it once")
        return self


class CompatibilityTowerConfig(Section):
    """A compatibility encoder of OmniSearchSage §3.4.3: a frozen embedding column of pins or products, L2-normalised.

    `hidden` None keeps the embedding as it is, without parameters; an empty list puts a linear map on top, sizes an
    MLP.
    """

    kind: Literal["compatibility"]
    column: str
    input_dimension: PositiveInt = 256
    hidden: tuple[PositiveInt, ...] | None = None
    dimension: PositiveInt = 256

    @model_validator(mode="after")
    def _identity_keeps_the_dimension(self):
        if self.hidden is None and self.input_dimension != self.dimension:
            raise ValueError(
                f"dimension: without a map an embedding of {self.input_dimension} entries does not become one of "
                f"{self.dimension}; give both the same, or `hidden: []` for a linear map"
            )
        return self

    @property
    def embeddings(self) -> tuple[EmbeddingConfig, ...]:
        """The one column that it reads."""
        return (EmbeddingConfig(column=self.column, dimension=self.input_dimension),)


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
    | CompatibilityTowerConfig
    | NgramTowerConfig
    | DistilBertTowerConfig
    | FrozenTowerConfig,
    Field(discriminator="kind"),
]
