"""The smoke size of any config."""

from tfsage.config import Config


def shrunk(config: Config) -> Config:
    """A few steps on small batches: enough to see that everything works."""
    training = config.training.model_copy(
        update={
            "batch_size": 32,
            "random_negatives": None,
            "phases": tuple(phase.model_copy(update={"steps": 4}) for phase in config.training.phases),
            "steps_per_epoch": 4,
        }
    )
    evaluation = config.evaluation.model_copy(update={"bootstrap": 50})
    return config.model_copy(update={"training": training, "evaluation": evaluation})
