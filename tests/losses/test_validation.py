import subprocess
import sys

import pytest

from tfsage.config import LossConfig
from tfsage.errors import TfsageError
from tfsage.losses.validation import check_loss

REFINED = {"duplicates": "mask", "positive_correction": "none", "learn_temperature": False}


@pytest.mark.parametrize(
    ("options", "random_negatives", "named", "reason"),
    [
        ({"duplicates": "mask"}, None, "loss.positive_correction", "too large by 1 / (1 − P(positive))"),
        ({"positive_correction": "none"}, None, "loss.duplicates", "again in each of its copies"),
        ({"negatives": "mixed", **REFINED}, None, "loss.positive_correction", "count the catalog twice"),
        ({"temperature": 0.05, "temperature_floor": 0.06}, None, "loss.temperature_floor", "below"),
        ({**REFINED, "learn_temperature": True}, None, "loss.learn_temperature", "runs down"),
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
        (REFINED, None),
        ({**REFINED, "learn_temperature": True, "temperature_floor": 0.05}, None),
        ({"temperature": 0.05, "temperature_floor": 0.05}, None),
    ],
)
def test_what_fits_together_is_accepted(options, random_negatives):
    check_loss(LossConfig(**options), random_negatives)


def test_checking_options_does_not_load_tensorflow():
    code = "import sys, tfsage.losses.validation; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
