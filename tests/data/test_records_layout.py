import numpy as np
import pytest

from tfsage.data.records.layout import Layout, Visits

SIZES = [(1, 4, 3), (3, 4, 3), (7, 1, 2), (47, 4, 3), (48, 4, 3), (49, 4, 3), (500, 16, 5), (501, 16, 100), (64, 16, 1)]
"""(rows, lanes, rows of a block): with one shard and with many, full ones and ones that lack lanes."""


@pytest.mark.parametrize("size", SIZES)
def test_every_row_has_one_place_and_every_block_is_full(size):
    layout = Layout.of(*size)
    place = layout.place(np.arange(layout.rows))
    assert np.array_equal(layout.row(place), np.arange(layout.rows))
    for shard in range(layout.shards):
        for lane in range(layout.lanes):
            own = np.sort(place.record[(place.shard == shard) & (place.lane == lane)])
            last = shard == layout.shards - 1
            rows = layout.rows_of_last(np.array([lane]))[0] if last else layout.block_rows
            assert own.tolist() == list(range(rows))


@pytest.mark.parametrize("size", SIZES)
def test_an_epoch_visits_every_row_once(size):
    layout = Layout.of(*size)
    rows = layout.rows
    for epoch in range(4):
        seen = rows_of(layout, 5, np.arange(epoch * rows, (epoch + 1) * rows))
        assert sorted(seen) == list(range(rows))


def rows_of(layout, seed, position):
    return layout.row(Visits(layout, seed).place(position))


def test_shards_are_of_equal_size():
    layout = Layout.of(1000, 16, 21)
    # 1000 rows at 16 · 21 = 336 to a shard are 3 shards; 21 is also the least that fits them.
    assert (layout.shards, layout.block_rows, layout.shard_rows) == (3, 21, 336)
    # One row more than fits two shards of 160 makes three of 112, 112 and 97 rows, not of 160, 160 and 1.
    layout = Layout.of(321, 16, 10)
    assert (layout.shards, layout.block_rows, layout.shard_rows) == (3, 7, 112)


def test_orders_differ_between_epochs_lanes_and_seeds():
    layout = Layout.of(4000, 4, 50)
    first, second = (rows_of(layout, seed, np.arange(8000)) for seed in (1, 2))
    for one, other in ((first[:4000], first[4000:]), (first, second)):
        assert (one == other).mean() < 0.01
    shards = Visits(layout, 1).place(np.arange(4000)).shard.reshape(-1, 4)
    # The shard that each lane has open, at the first row of each block.
    opened = shards[::50]
    assert all((opened[:, lane] != opened[:, 0]).any() for lane in range(1, 4))


def test_a_lane_reads_a_block_from_end_to_end_before_the_next():
    layout = Layout.of(997, 4, 25)
    place = Visits(layout, seed=3).place(np.arange(997))
    for lane in range(4):
        shard = place.shard[place.lane == lane]
        assert (np.diff(shard) != 0).sum() == layout.shards - 1


def test_every_row_is_as_likely_to_stand_anywhere():
    layout = Layout.of(60, 4, 3)
    first = np.stack([rows_of(layout, seed, np.arange(60)) for seed in range(3000)])
    # A lane's rows are fixed; among its 15 rows each is as likely as another to come first, last, or in between.
    for turn in (0, 28, 56):
        for lane in range(4):
            seen = np.bincount(first[:, turn + lane], minlength=60)
            seen = seen[seen > 0]
            assert len(seen) == 15 and np.abs(seen - 200).max() < 5 * np.sqrt(200)


def test_the_rows_of_a_batch_are_sorted_by_lane_and_lanes_take_turns():
    layout = Layout.of(101, 8, 3)
    visits, seen, taken = Visits(layout, seed=1), [], 0
    for count in (5, 16, 1, 40, 90, 3):
        positions = visits.positions(taken, count)
        assert sorted(positions) == list(range(taken, taken + count))
        lanes = visits.place(positions).lane
        assert (np.diff(lanes) >= 0).all()
        counts = np.bincount(lanes, minlength=8)
        assert counts.max() - counts.min() <= 2
        seen, taken = [*seen, *positions], taken + count
    assert sorted(seen) == list(range(155))


def test_a_part_of_a_batch_reads_its_share_of_the_lanes():
    visits = Visits(Layout.of(10_000, 16, 20), seed=1)
    for step in range(30):
        positions = visits.positions(step * 64, 64)
        assert set(visits.place(positions[:32]).lane) == set(range(8))
