"""JSON lines files, plain or gzipped: one object per line, every value read as text."""

import codecs
import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zlib import error as ZlibError  # noqa: N812 - the class is named in lower case there

import polars as pl

from segmenter.errors import SourceError
from segmenter.events.source_format import (
    HEAD_ROWS,
    Chunk,
    ReadOptions,
    SourceFormat,
    encoding_error,
)

BLOCK_BYTES = 16 << 20
HEAD_BYTES = 1 << 20


def _blocks(path: Path, options: ReadOptions, block_bytes: int) -> Iterator[tuple[str, float]]:
    """Whole lines, about `block_bytes` at a time, and the share of the file read so far."""
    gzipped = path.suffix.lower() == ".gz"
    size, rest = path.stat().st_size, ""
    decoder = codecs.getincrementaldecoder(options.codec)()
    try:
        with path.open("rb") as raw:
            opened = gzip.GzipFile(fileobj=raw) if gzipped else raw
            while block := opened.read(block_bytes):
                complete, newline, tail = decoder.decode(block).rpartition("\n")
                if newline:
                    yield rest + complete, raw.tell() / size
                    rest = tail
                else:
                    rest += tail
            rest += decoder.decode(b"", final=True)
    except UnicodeError as error:
        raise encoding_error(path, options, error) from error
    except (OSError, EOFError, ZlibError) as error:
        message = f"cannot read {path}: {error}"
        raise SourceError(message) from error
    if rest.strip():
        yield rest, 1.0


def _lines(block: str) -> pl.Series:
    """The lines of a block that are not blank."""
    lines = pl.Series("line", block.split("\n"), dtype=pl.String).str.strip_chars()
    return lines.filter(lines.str.len_bytes() > 0)


def _object(line: str) -> dict[str, Any] | None:
    """The object that a line holds, or None."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _parse(path: Path, lines: pl.Series, columns: Sequence[str]) -> tuple[pl.DataFrame, list[str]]:
    """Read the wanted keys of each line; lines that are no object are handed over as broken."""
    schema = pl.Schema(dict.fromkeys(columns, pl.String))
    try:
        return pl.read_ndjson("\n".join(lines).encode(), schema=schema), []
    except pl.exceptions.PolarsError:
        sound = pl.Series([_object(line) is not None for line in lines], dtype=pl.Boolean)
    broken = lines.filter(~sound).to_list()
    if not sound.any():
        return schema.to_frame(), broken
    try:
        rows = pl.read_ndjson("\n".join(lines.filter(sound)).encode(), schema=schema)
    except pl.exceptions.PolarsError as error:
        message = f"cannot read {path} as JSON lines: {error}"
        raise SourceError(message) from error
    return rows, broken


def _head(path: Path, options: ReadOptions) -> pl.DataFrame:
    for block, _ in _blocks(path, options, HEAD_BYTES):
        lines = _lines(block).head(HEAD_ROWS)
        objects = [one for one in map(_object, lines) if one is not None]
        if not objects:
            break
        names = list(dict.fromkeys(name for one in objects for name in one))
        rows, _ = _parse(path, lines, names)
        nested = {name for one in objects for name in one if isinstance(one[name], dict | list)}
        return rows.with_columns(pl.lit(None, pl.Struct({})).alias(name) for name in nested)
    message = f"{path} does not begin with JSON lines, one object per line"
    raise SourceError(message)


def _chunks(path: Path, columns: Sequence[str], options: ReadOptions) -> Iterator[Chunk]:
    for block, share in _blocks(path, options, BLOCK_BYTES):
        rows, broken = _parse(path, _lines(block), columns)
        yield Chunk(rows, share, broken)


SUFFIXES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
JSON_LINES = SourceFormat("JSON lines", SUFFIXES, False, True, _head, _chunks)  # noqa: FBT003
