"""The first phase of the store: rows on disk, grouped by the hash of their user.

Every chunk of rows becomes one temporary file that is sorted by hash bucket, so that all rows of
some users can be read back together while only a few chunks' worth of memory is in use.
"""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

HASH = "<hash>"
"""Internal column: stable hash of the user."""
BUCKET_BITS = 10
N_BUCKETS = 1 << BUCKET_BITS
SEED = 0x9E3779B97F4A7C15
MIX_WORD = 0xFF51AFD7ED558CCD
MIX_END = 0xC4CEB9FE1A85EC53
HASH_ROWS = 32_768
"""Texts hashed at a time, so that the work stays in the cache."""
TAIL_MASKS = np.array([(1 << (8 * n_bytes)) - 1 for n_bytes in range(9)], dtype=np.uint64)


def stable_hash(texts: pl.Series) -> np.ndarray:
    """64-bit hash of each text's UTF-8 bytes, the same on every machine and version.

    The bytes are taken eight at a time as little-endian words ``w``; from ``h = n_bytes * SEED``
    each step is ``h = (h ^ w) * MIX_WORD; h ^= h >> 32``. It orders users and spreads them over
    buckets; equality of users is always decided by their texts.

    Parameters
    ----------
    texts
        Strings without null.

    Returns
    -------
    numpy.ndarray
        uint64 of shape ``(len(texts),)``.

    References
    ----------
    Multiply-and-shift constants and final mix: A. Appleby, MurmurHash3 (``fmix64``), 2011;
    ``SEED`` is the golden ratio of D. E. Knuth, The Art of Computer Programming 3, section 6.4.
    """
    hashes = np.empty(len(texts), dtype=np.uint64)
    for start in range(0, len(texts), HASH_ROWS):
        part = texts[start : start + HASH_ROWS]
        hashes[start : start + len(part)] = _hash_block(*_bytes_of(part))
    return hashes


def _hash_block(starts: np.ndarray, lengths: np.ndarray, data: np.ndarray) -> np.ndarray:
    words_from = np.ndarray(len(data) - 7, "<u8", data, strides=(1,))
    hashes = lengths.astype(np.uint64) * np.uint64(SEED)
    shortest, longest = int(lengths.min()), int(lengths.max())
    for position in range(0, longest, 8):
        # Ids are mostly of one length: where every text goes on, no row needs to be picked.
        rows = slice(None) if position < shortest else np.flatnonzero(lengths > position)
        words = words_from[starts[rows] + position]
        if position + 8 > shortest:
            words &= TAIL_MASKS[np.minimum(lengths[rows] - position, 8)]
        mixed = (hashes[rows] ^ words) * np.uint64(MIX_WORD)
        hashes[rows] = mixed ^ (mixed >> np.uint64(32))
    hashes ^= hashes >> np.uint64(33)
    hashes *= np.uint64(MIX_END)
    return hashes ^ (hashes >> np.uint64(33))


def _bytes_of(texts: pl.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start and length of each text in one byte array with eight spare bytes at its end."""
    array = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offsets_buffer, dtype=np.int64)
    offsets = offsets[array.offset : array.offset + len(array) + 1]
    data = np.zeros(offsets[-1] - offsets[0] + 8, dtype=np.uint8)
    if data_buffer is not None:
        data[:-8] = np.frombuffer(data_buffer, dtype=np.uint8)[offsets[0] : offsets[-1]]
    return offsets[:-1] - offsets[0], np.diff(offsets), data


class Spill:
    """Rows on disk by hash bucket.

    Parameters
    ----------
    folder
        Where the temporary files go; it is made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._bounds: list[np.ndarray] = []

    def add(self, rows: pl.DataFrame) -> None:
        """Write a chunk of rows; they need a text column ``user``."""
        if rows.is_empty():
            return
        hashes = stable_hash(rows["user"])
        bucket = (hashes >> np.uint64(64 - BUCKET_BITS)).astype(np.uint16)
        order = np.argsort(bucket, kind="stable")
        sizes = np.bincount(bucket, minlength=N_BUCKETS)
        table = rows.with_columns(pl.Series(HASH, hashes))[order].to_arrow(
            compat_level=pl.CompatLevel.oldest()
        )
        path = self._path(len(self._bounds))
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_batch(table.combine_chunks().to_batches()[0])
        self._bounds.append(np.concatenate([[0], np.cumsum(sizes)]))

    def groups(self, max_rows: int) -> list[tuple[int, int]]:
        """Ranges of buckets of at most `max_rows` rows, unless one bucket alone has more.

        They cover every bucket in order and none is without rows; there is none at all when no
        row was added.
        """
        if not self._bounds:
            return []
        sizes = np.diff(np.sum(self._bounds, axis=0))
        ranges, start, rows = [], 0, 0
        for bucket, size in enumerate(sizes.tolist()):
            if rows and size and rows + size > max_rows:
                ranges.append((start, bucket))
                start, rows = bucket, 0
            rows += size
        return [*ranges, (start, N_BUCKETS)]

    def read(self, buckets: tuple[int, int]) -> pl.DataFrame:
        """All rows of a range of buckets, in the order in which they were added in each bucket."""
        parts = [self._part(number, *buckets) for number in range(len(self._bounds))]
        return pl.DataFrame(pl.from_arrow(pa.concat_tables(parts).combine_chunks()))

    def _part(self, number: int, first: int, last: int) -> pa.Table:
        """Copy rows out of one file, so that no more than one is ever mapped.

        Pages of a mapped file count as memory of the process, and one touched value may bring in
        megabytes.
        """
        start, stop = self._bounds[number][[first, last]].tolist()
        with pa.memory_map(str(self._path(number))) as source:
            batch = pa.ipc.open_file(source).get_batch(0)
            # Arrow copies when it joins parts, be the second one empty.
            parts = [batch.slice(start, stop - start), batch.slice(0, 0)]
            return pa.Table.from_batches(parts).combine_chunks()

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.arrow"
