"""Rows on disk by hash bucket: nothing is lost, and no group is without rows."""

import tempfile
from pathlib import Path

import polars as pl
from hypothesis import given, strategies as st

from segmenter.events.spill import HASH, N_BUCKETS, Spill

CHUNKS = st.lists(st.lists(st.integers(0, 30).map(str), max_size=8), max_size=6)


@given(CHUNKS, st.integers(1, 20))
def test_groups_cover_every_bucket_and_each_holds_rows(chunks, max_rows):
    with tempfile.TemporaryDirectory() as folder:
        spill = Spill(Path(folder) / "spill")
        for users in chunks:
            spill.add(pl.DataFrame({"user": users}, schema={"user": pl.String}))
        groups = spill.groups(max_rows)
        rows = [spill.read(group) for group in groups]
    added = sorted(user for users in chunks for user in users)
    assert sorted(user for group in rows for user in group["user"]) == added
    assert all(len(group) for group in rows)
    edges = [0, *(last for _, last in groups)]
    assert [first for first, _ in groups] == edges[:-1]
    assert edges[-1] == (N_BUCKETS if added else 0)
    for group in rows:
        buckets = {hash_ * N_BUCKETS >> 64 for hash_ in group[HASH]}
        assert len(group) <= max_rows or len(buckets) == 1
    hashes = [hash_ for group in rows for hash_ in sorted(group[HASH])]
    assert hashes == sorted(hashes), "users of a later group stand before those of an earlier one"
