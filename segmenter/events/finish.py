"""The last pass over a new store: codes by frequency, vocabularies, summaries and digests.

Every column is read once, a bounded number of events at a time, in store order, so that nothing
here depends on how the rows came in.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from segmenter.clock import iso
from segmenter.events.build import Coding, ColumnWriter
from segmenter.events.contract import Layout
from segmenter.events.store import (
    CONSENT_CODES,
    FORMAT,
    FORMAT_VERSION,
    TIMES,
    codes_file,
    numbers_file,
    vocabulary_file,
)
from segmenter.files import digest_of_file, digest_of_json

CHUNK_EVENTS = 1 << 20
SAMPLE_EVENTS = 1_000_000
"""Quantiles come from an even sample of about so many events."""
QUANTILES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)


def finish_store(
    folder: Path, layout: Layout, *, coding: Coding, written: ColumnWriter
) -> dict[str, Any]:
    """Put final codes in place and describe the content.

    Parameters
    ----------
    folder
        The unfinished store.
    layout
        Fields of the log.
    coding
        The provisional codes.
    written
        What the second phase wrote; it must be closed.

    Returns
    -------
    dict
        The part of the manifest that says what the store holds. Fields without any value are
        gone from the folder and named under ``empty``.
    """
    vocabulary_sizes = {}
    for name in coding.names:
        order = _frequency_order(name, coding, written.counts[name])
        vocabulary_sizes[name] = len(order)
        final = np.zeros(len(written.counts[name]), dtype="<i4")
        final[order["code"].to_numpy()] = np.arange(1, len(order) + 1)
        _translate(folder / codes_file(name), final)
        if len(order):
            _write_vocabulary(folder / vocabulary_file(name), order.select("value", "count"))
    vocabulary_sizes |= written.sizes
    summaries = {name: _summary(folder / numbers_file(name)) for name in layout.numeric}
    empty = [name for name in layout.categorical if not vocabulary_sizes[name]]
    empty += [name for name in layout.numeric if not summaries[name]["count"]]
    for name in empty:
        for file in (codes_file(name), numbers_file(name)):
            (folder / file).unlink(missing_ok=True)
    bounds = [(part.min(), part.max()) for _, part in _parts(folder / TIMES, "<i8")]
    files = _digests(folder)
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "digest": digest_of_json({name: said["sha256"] for name, said in files.items()}),
        "n_users": written.n_users,
        "n_events": written.n_events,
        "categorical": [name for name in layout.categorical if name not in empty],
        "numeric": [name for name in layout.numeric if name not in empty],
        "has_consent": (folder / CONSENT_CODES).exists(),
        "empty": empty,
        "vocabulary_sizes": {name: n for name, n in vocabulary_sizes.items() if n},
        "summaries": {name: said for name, said in summaries.items() if name not in empty},
        "oldest": iso(int(min(low for low, _ in bounds))),
        "newest": iso(int(max(high for _, high in bounds))),
        "files": files,
    }


def _frequency_order(name: str, coding: Coding, counts: np.ndarray) -> pl.DataFrame:
    """Provisional code, value and count of each value that occurs, in the final order."""
    used = np.flatnonzero(counts[1:]) + 1
    codes = pl.Series("code", used.astype(np.uint32))
    values = coding.texts(name, codes).alias("value")
    frame = pl.DataFrame([codes, values, pl.Series("count", counts[used])])
    return frame.sort("count", "value", descending=[True, False])


def _translate(path: Path, final: np.ndarray) -> None:
    with path.open("r+b") as file:
        for start, codes in _parts(path, final.dtype.str):
            file.seek(start * final.itemsize)
            final[codes].tofile(file)


def _parts(path: Path, dtype: str) -> Iterator[tuple[int, np.ndarray]]:
    """Place of the first value, and values, of consecutive parts of a column.

    Read and not mapped: mapped pages count as memory of the process for as long as it has room.
    """
    size = np.dtype(dtype).itemsize
    for start in range(0, path.stat().st_size // size, CHUNK_EVENTS):
        yield start, np.fromfile(path, dtype=dtype, count=CHUNK_EVENTS, offset=start * size)


def _write_vocabulary(path: Path, frame: pl.DataFrame) -> None:
    path.parent.mkdir(exist_ok=True)
    frame.write_parquet(path, compression="zstd", row_group_size=CHUNK_EVENTS)


def _summary(path: Path) -> dict[str, Any]:
    """Count, range, moments and quantiles of the values that are there.

    References
    ----------
    Moments of parts are joined as by T. F. Chan, G. H. Golub and R. J. LeVeque, Updating Formulae
    and a Pairwise Algorithm for Computing Sample Variances, 1979, equation 2.1.
    """
    step = max(1, path.stat().st_size // 8 // SAMPLE_EVENTS)
    samples = []
    count, mean, squares = 0, 0.0, 0.0
    low, high = np.inf, -np.inf
    for start, part in _parts(path, "<f8"):
        samples.append(part[-start % step :: step].copy())
        values = part[~np.isnan(part)]
        if len(values):
            shift = float(values.mean()) - mean
            both = count + len(values)
            squares += float(np.square(values - values.mean()).sum())
            squares += shift * shift * count * len(values) / both
            mean += shift * len(values) / both
            count = both
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    if not count:
        return {"count": 0}
    sample = np.concatenate(samples)
    sample = sample[~np.isnan(sample)]
    quantiles = np.quantile(sample, QUANTILES) if len(sample) else []
    return {
        "count": count,
        "minimum": low,
        "maximum": high,
        "mean": mean,
        "standard_deviation": float(np.sqrt(squares / count)),
        "quantiles": {str(q): float(at) for q, at in zip(QUANTILES, quantiles, strict=False)},
    }


def _digests(folder: Path) -> dict[str, Any]:
    """Size and SHA-256 of every file of the content."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    inside = [(path.relative_to(folder).as_posix(), path) for path in paths]
    return {
        name: {"bytes": path.stat().st_size, "sha256": digest_of_file(path)}
        for name, path in inside
        if not name.startswith(("rejected/", "spill/"))
    }
