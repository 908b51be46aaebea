import datetime as dt

import ibis
import numpy as np
import pytest

from tfsage.config import SplitConfig
from tfsage.data.split import part_of, settle_split
from tfsage.errors import TfsageError

START = dt.datetime(2024, 3, 1)


def by_days(days) -> ibis.Table:
    return ibis.memtable({"timestamp": [START + dt.timedelta(days=float(day)) for day in days]})


def parts(rows: ibis.Table, config: SplitConfig, seed: int = 1) -> list[str]:
    return rows.select(part=part_of(rows, settle_split(rows, config), config, seed)).to_pyarrow()["part"].to_pylist()


def test_time_split_keeps_the_gap_between_train_and_everything_else():
    days = np.random.default_rng(0).uniform(0, 80, 500)
    found = np.array(parts(by_days(days), SplitConfig(by="time", gap_days=10, window_days=5)))
    last = days.max()
    assert set(found) == {"train", "gap", "dev", "test"}
    assert days[found == "test"].min() > last - 5 >= days[found == "dev"].max()
    assert days[found == "dev"].min() > last - 10 >= days[found == "gap"].max()
    assert days[found == "dev"].min() - days[found == "train"].max() >= 10
    assert days[found == "train"].max() <= last - 20 < days[found == "gap"].min()


def test_boundaries_belong_to_the_earlier_part():
    found = parts(
        by_days([0, 11, 11.001, 13, 13.001, 14, 14.001, 15]), SplitConfig(by="time", gap_days=2, window_days=1)
    )
    assert found == ["train", "train", "gap", "gap", "dev", "dev", "test", "test"]


def by_key(keys) -> ibis.Table:
    return ibis.memtable({"query_key": list(keys)})


def test_query_split_depends_on_the_key_alone():
    config = SplitConfig(by="query", dev_share=0.3, test_share=0.3)
    found = parts(by_key(["b", "a", "b", "c", "a", "d"]), config)
    assert found[0] == found[2] and found[1] == found[4]
    assert parts(by_key(["a", "z"]), config)[0] == found[1]


def test_query_split_has_the_shares_asked_for_and_follows_the_seed():
    keys = [f"query {number}" for number in range(4000)]
    config = SplitConfig(by="query", dev_share=0.1, test_share=0.25)
    found = np.array(parts(by_key(keys), config))
    # Four standard deviations of a binomial share.
    assert abs((found == "dev").mean() - 0.1) < 4 * np.sqrt(0.1 * 0.9 / 4000)
    assert abs((found == "test").mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4000)
    assert (found != parts(by_key(keys), config, seed=2)).mean() > 0.2


def test_shares_of_zero_and_one():
    keys = by_key(str(number) for number in range(50))
    assert set(parts(keys, SplitConfig(by="query", dev_share=0, test_share=0))) == {"train"}
    assert set(parts(keys, SplitConfig(by="query", dev_share=0, test_share=1))) == {"test"}


def test_given_split_is_taken():
    rows = ibis.memtable({"split": ["test", "train", "dev"]})
    assert parts(rows, SplitConfig(by="auto")) == ["test", "train", "dev"]


def test_auto_takes_time_only_when_twice_the_windows_fit():
    config = SplitConfig(gap_days=10, window_days=5)
    assert settle_split(by_days([0, 40.1]), config).by == "time"
    assert settle_split(by_days([0, 39.9]), config).by == "query"
    assert settle_split(ibis.memtable({"query_key": ["a"]}), config).by == "query"


@pytest.mark.parametrize(
    ("rows", "by", "message"),
    [
        (by_days([0, 20]), "time", "span 20 days, and the gap and the two windows take 29"),
        (by_key("a"), "time", "no timestamps"),
        (by_key("a"), "given", "no column 'split'"),
    ],
)
def test_a_rule_that_the_tables_do_not_allow(rows, by, message):
    with pytest.raises(TfsageError, match=message):
        settle_split(rows, SplitConfig(by=by))
