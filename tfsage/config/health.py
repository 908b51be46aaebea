"""Thresholds of `tfsage doctor`."""

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from tfsage.config.section import Rate, Section


class DoctorConfig(Section):
    """When the doctor raises an alarm.

    Of the vectors: non_finite, zero_vectors, duplicates: largest share of the rows. norm: largest distance of a
    length from one. dead_variance: a dimension is dead when its variance is below this share of the mean variance;
    dead_dimensions: largest share of dead ones.

    Of the inputs: missing: largest share of products without a feature, by its name; missing_rise: by how much such a
    share may grow against the earlier bundle.

    Of the towers: canary_cosine: smallest cosine of a canary with the vector it had when it was exported.

    Of what is returned: hub_share: largest share of the lists in which one product stands; hub_ratio: in a small
    catalog, instead, this times the share that even lists would give. overlap: smallest share of the first 10 that is
    the same as in the earlier bundle. cross_version_recall: smallest ratio of the recall of one version's queries on
    the other's products to the recall within the old version (research: .95); 0 where spaces are never mixed.

    queries: titles that are asked as queries, beside the canaries.
    """

    non_finite: Rate = 0.0
    zero_vectors: Rate = 0.0
    norm: PositiveFloat = 1e-3
    dead_variance: PositiveFloat = 1e-4
    dead_dimensions: Rate = 0.0
    duplicates: Rate = 0.05
    missing: dict[str, Rate] = {"title": 0.05}
    missing_rise: Rate = 0.05
    canary_cosine: Rate = 0.9999
    hub_share: Rate = 0.1
    hub_ratio: PositiveFloat = 10.0
    overlap: Rate = 0.5
    cross_version_recall: NonNegativeFloat = 0.95
    queries: PositiveInt = 500
