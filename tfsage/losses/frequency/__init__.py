"""How often each entity occurs in training, counted while training goes on; its log is the log Q of the losses.

| estimator | what it is for |
|---|---|
| `ExactFrequency` | dense ids, such as rows of a catalog: exact, 8 bytes an id |
| `CountMinSketch` | ids without bound: a table of fixed size, never an underestimate |
| `GapEstimator` | how many batches hold an id, rather than how many slots; follows drift without a total |
| `ConditionalFrequency` | how often a query's positive is this one (Pinterest's correction of the positive) |

Every estimator is a `tf.Module` whose whole state is in variables, hash seeds included, so that a checkpoint holds it
and a resumed run counts on as if nothing had happened. `update(ids)` is called once per logical batch, before
`log_q(ids)`; both work inside a `tf.function`, and their cost follows the batch, not the table.

Under a distribution strategy the estimator is created in `strategy.scope()`, and every replica calls `update` in
`strategy.run` with the same ids: those of the whole batch, gathered from all replicas (an all-gather carries no
strings: gather their `integer_ids`). Each replica then changes its own copy of the variables, without communication;
the copies stay equal bit by bit, since nothing in them depends on the order of the ids. Calling `update` with a
replica's own part of the batch lets the copies drift apart silently.
"""

from tfsage.losses.frequency.build import EXACT_LIMIT, build_conditional_frequency, build_frequency
from tfsage.losses.frequency.cells import integer_ids
from tfsage.losses.frequency.conditional import ConditionalFrequency
from tfsage.losses.frequency.count_min import CountMinSketch
from tfsage.losses.frequency.counters import Decay, Windows
from tfsage.losses.frequency.exact import ExactFrequency
from tfsage.losses.frequency.gap import GapEstimator

__all__ = [
    "EXACT_LIMIT",
    "ConditionalFrequency",
    "CountMinSketch",
    "Decay",
    "ExactFrequency",
    "GapEstimator",
    "Windows",
    "build_conditional_frequency",
    "build_frequency",
    "integer_ids",
]
