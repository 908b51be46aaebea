import subprocess
import sys

import pytest

from tfsage.config import LossConfig
from tfsage.errors import TfsageError
from tfsage.losses.validation import check_dimension, check_loss

REFINED = {"duplicates": "mask", "positive_correction": "none", "learn_temperature": False}
CONDITIONAL = {"duplicates": "mask", "positive_correction": "conditional"}
MIXTURE = {"negatives": "mixed", "proposal": "mixture"}
GAP = {"frequency": {"kind": "gap"}}


@pytest.mark.parametrize(
    ("options", "random_negatives", "named", "reason"),
    [
        ({"duplicates": "mask"}, None, "loss.positive_correction", "too large by 1 / (1 − P(positive))"),
        ({"duplicates": "mask", "negatives": "random"}, None, "loss.positive_correction", "too large"),
        ({"duplicates": "mask", **MIXTURE}, None, "loss.positive_correction", "too large"),
        ({"positive_correction": "none"}, None, "loss.duplicates", "again in each of its copies"),
        ({"positive_correction": "conditional"}, None, "loss.duplicates", "again in each of its copies"),
        (GAP, None, "loss.duplicates", "count several times"),
        ({**GAP, **REFINED}, None, "loss.duplicates", "count several times"),
        ({**GAP, **MIXTURE, "duplicates": "dedup"}, None, "loss.negatives", "one slot"),
        ({"proposal": "mixture"}, None, "loss.negatives", "both sources"),
        ({"proposal": "mixture", "negatives": "in_batch"}, None, "loss.negatives", "both sources"),
        ({"proposal": "mixture", "negatives": "random"}, None, "loss.negatives", "both sources"),
        ({"negatives": "mixed", **REFINED}, None, "loss.positive_correction", "count the catalog twice"),
        ({"negatives": "mixed", **CONDITIONAL}, None, "loss.positive_correction", "count the catalog twice"),
        ({"negatives": "mixed", "duplicates": "dedup"}, None, "loss.duplicates", "two corrections"),
        ({**REFINED, "correction": 0.5}, None, "loss.positive_correction", "absolute"),
        ({**CONDITIONAL, "correction": 0.0}, None, "loss.positive_correction", "absolute"),
        ({"negatives": "random", "correction": 0.5}, None, "loss.correction", "cancels"),
        ({"temperature": 0.05, "temperature_floor": 0.06}, None, "loss.temperature_floor", "below"),
        ({"temperature": 0.5, "temperature_cap": 0.4}, None, "loss.temperature_cap", "above"),
        ({"temperature_floor": 0.2, "temperature_cap": 0.1}, None, "loss.temperature_cap", "lower the floor"),
        ({**REFINED, "learn_temperature": True}, None, "loss.learn_temperature", "runs down"),
        ({"hardest": 5, "label_smoothing": 0.1}, None, "loss.label_smoothing", "missing from the softmax"),
        ({"hard_negatives": {"window": (10, 10)}}, None, "loss.hard_negatives.window", "holds no rank"),
        ({"hard_negatives": {"window": (10, 12), "per_pair": 3}}, None, "loss.hard_negatives.per_pair", "2 ranks"),
        ({"negatives": "sum"}, 0, "training.random_negatives", "needs random negatives"),
        ({"negatives": "random"}, 0, "training.random_negatives", "needs random negatives"),
        ({"negatives": "mixed"}, 0, "training.random_negatives", "needs random negatives"),
        ({"negatives": "in_batch"}, 64, "training.random_negatives", "uses no random negatives"),
    ],
)
def test_contradictions_are_refused_with_the_reason(options, random_negatives, named, reason):
    with pytest.raises(TfsageError) as error:
        check_loss(LossConfig(**options), random_negatives)
    assert named in str(error.value)
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("options", "random_negatives"),
    [
        ({}, None),
        ({}, 512),
        ({"negatives": "in_batch"}, None),
        ({"negatives": "in_batch"}, 0),
        ({"negatives": "random"}, 1),
        ({"negatives": "mixed"}, None),
        ({"correction": 0.5}, None),
        (REFINED, None),
        ({**REFINED, "learn_temperature": True, "temperature_floor": 0.05}, None),
        ({**REFINED, **MIXTURE}, None),
        (CONDITIONAL, None),
        ({**CONDITIONAL, **MIXTURE}, None),
        ({**CONDITIONAL, "duplicates": "dedup"}, None),
        ({**REFINED, **GAP, "duplicates": "dedup"}, None),
        ({**GAP, "duplicates": "dedup"}, None),
        ({**GAP, "negatives": "random"}, None),
        ({**MIXTURE, "duplicates": "dedup"}, None),
        ({"temperature": 0.05, "temperature_floor": 0.05, "temperature_cap": 0.05}, None),
        ({"hardest": 5}, None),
        ({"label_smoothing": 0.1}, None),
        ({"hard_negatives": {"window": (0, 1), "per_pair": 1}}, None),
    ],
)
def test_what_fits_together_is_accepted(options, random_negatives):
    check_loss(LossConfig(**options), random_negatives)


def test_prefixes_are_shorter_than_the_embeddings():
    check_dimension(LossConfig(prefixes={16: 0.1, 255: 0.5}), 256)
    with pytest.raises(TfsageError, match=r"loss.prefixes \[256, 512\].* 256 dimensions"):
        check_dimension(LossConfig(prefixes={16: 0.1, 256: 0.5, 512: 1.0}), 256)


def test_checking_options_does_not_load_tensorflow():
    code = "import sys, tfsage.losses.validation; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
