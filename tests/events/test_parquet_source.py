"""Parquet files are read in slices that fit into memory."""

import io

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, strategies as st

from segmenter.events import parquet_source
from segmenter.events.parquet_source import FEWEST_ROWS, MOST_ROWS, PARQUET
from segmenter.events.source_format import ReadOptions


def metadata_of(sizes: list[int]) -> pq.FileMetaData:
    """Of a file with row groups of these sizes."""
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, pa.schema({"a": pa.int8()})) as writer:
        for size in sizes:
            writer.write_table(pa.table({"a": pa.array([1] * size, pa.int8())}))
    return pq.read_metadata(buffer)


@given(st.lists(st.integers(1, 30), max_size=8), st.integers(1, 12))
def test_slices_hold_every_row_once_and_end_with_row_groups_that_fit(sizes, most_rows):
    slices = list(parquet_source._slices(metadata_of(sizes), most_rows))
    rows = [row for start, stop in slices for row in range(start, stop)]
    assert rows == list(range(sum(sizes)))
    assert all(0 < stop - start <= most_rows for start, stop in slices)
    ends = {stop for _, stop in slices}
    edges = [sum(sizes[:number]) for number in range(len(sizes) + 1)]
    for first, last, size in zip(edges, edges[1:], sizes, strict=False):
        if size <= most_rows:
            assert not any(first < end < last for end in ends), "a small row group was cut"


def test_few_rows_of_many_columns_are_read_at_a_time(tmp_path):
    n_rows = 3 * FEWEST_ROWS
    narrow = pl.DataFrame({"a": range(n_rows)})
    wide = narrow.with_columns(pl.lit("x").alias(f"c{number}") for number in range(300))
    wide.write_parquet(tmp_path / "log.parquet")
    metadata = pq.read_metadata(tmp_path / "log.parquet")
    assert parquet_source._rows_at_a_time(metadata, ["a"]) == MOST_ROWS
    fitting = parquet_source._rows_at_a_time(metadata, wide.columns)
    assert FEWEST_ROWS <= fitting < n_rows
    chunks = list(PARQUET.chunks(tmp_path / "log.parquet", wide.columns, ReadOptions()))
    assert len(chunks) > 1
    assert chunks[-1].share == 1
    assert pl.concat(chunk.rows for chunk in chunks).equals(wide)
