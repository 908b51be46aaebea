"""What frozen embeddings know of a label: cross-validated classifiers on top of them, beside baselines.

ItemSage (§3.6) and OmniSearchSage (§5.4) reuse their embeddings as features of classification models; `tfsage probe`
measures how well that goes, with labels of yours. Everything here takes arrays and knows no towers.
"""

from tfsage.probe.cross_validation import cross_validate as cross_validate
from tfsage.probe.files import probe_files as probe_files
from tfsage.probe.table import probe_table as probe_table
