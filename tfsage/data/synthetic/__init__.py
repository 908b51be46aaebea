"""A synthetic shop with a known latent truth, for demonstrations, tests and ablations."""

from tfsage.data.synthetic.shop import write_shop

__all__ = ["write_shop"]
