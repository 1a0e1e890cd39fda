"""Frames put aside on disk in parts that fit into memory.

What lives here: parts by a number of each row. The folder is the caller's; it is readable by its
owner alone, since what is put aside are raw identifiers.
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

PART = "_part"


class Spill:
    """Frames in numbered parts; a column may be missing from some of them.

    Parameters
    ----------
    folder
        A folder of its own; made when missing.
    n_parts
        How many parts there are.
    """

    def __init__(self, folder: Path, n_parts: int) -> None:
        self.folder, self.n_parts, self._n_frames = folder, n_parts, 0
        folder.mkdir(parents=True, mode=0o700)

    def add(self, frame: pl.DataFrame, part: pl.Expr) -> None:
        """Put the rows of a frame into their parts; `part` is in 0 ... `n_parts` - 1."""
        if self.n_parts == 1:
            self._write(frame, 0)
        else:
            pieces = frame.with_columns(part.cast(pl.UInt32).alias(PART)).partition_by(
                PART, as_dict=True, include_key=False
            )
            for (number,), piece in pieces.items():
                self._write(piece, number)
        self._n_frames += 1

    def parts(self) -> Iterator[pl.DataFrame | None]:
        """Each part in order, None for an empty one; a part is gone once the next is asked for."""
        for number in range(self.n_parts):
            paths = sorted(self.folder.glob(f"{number:05d}-*.ipc"))
            if not paths:
                yield None
                continue
            frames = [pl.read_ipc(path) for path in paths]
            for path in paths:
                path.unlink()
            yield pl.concat(frames, how="diagonal")

    def _write(self, frame: pl.DataFrame, number: int) -> None:
        if len(frame):
            frame.write_ipc(self.folder / f"{number:05d}-{self._n_frames:06d}.ipc")


def range_part(hash_: pl.Expr, n_parts: int) -> pl.Expr:
    """Part of an unsigned 64-bit number, so that parts in order are numbers in order."""
    return (hash_.cast(pl.UInt64) / pl.lit(2.0**64) * n_parts).floor().clip(0, n_parts - 1)
