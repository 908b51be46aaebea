"""Training: the loop, its run folder, the optimizers."""


def __getattr__(name: str):
    # Loaded on first use: the models import the optimizers from this package.
    if name == "train":
        from tfsage.training.loop import train

        return train
    raise AttributeError(f"module 'tfsage.training' has no attribute {name!r}")
