"""JSON lines files, plain or gzipped: one object per line, every value read as text."""

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from zlib import error as ZlibError  # noqa: N812 - the class is named in lower case there

import polars as pl

from segmenter.errors import SourceError
from segmenter.events.source_format import HEAD_ROWS, Chunk, ReadOptions, SourceFormat

BLOCK_BYTES = 16 << 20
HEAD_BYTES = 1 << 20


def _blocks(path: Path, block_bytes: int) -> Iterator[tuple[bytes, float]]:
    """Whole lines, about `block_bytes` at a time, and the share of the file read so far."""
    gzipped = path.suffix.lower() == ".gz"
    size, rest = path.stat().st_size, b""
    try:
        with path.open("rb") as raw:
            opened = gzip.GzipFile(fileobj=raw) if gzipped else raw
            while block := opened.read(block_bytes):
                complete, newline, tail = block.rpartition(b"\n")
                if newline:
                    yield rest + complete, raw.tell() / size
                    rest = tail
                else:
                    rest += tail
    except (OSError, EOFError, ZlibError) as error:
        message = f"cannot read {path}: {error}"
        raise SourceError(message) from error
    if rest.strip():
        yield rest, 1.0


def _lines(path: Path, block: bytes) -> pl.Series:
    """The lines of a block that are not blank."""
    try:
        text = block.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{path} is not UTF-8 ({error}); convert it, for example: iconv -t UTF-8 FILE"
        raise SourceError(message) from error
    lines = pl.Series("line", text.split("\n"), dtype=pl.String).str.strip_chars()
    return lines.filter(lines.str.len_bytes() > 0)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _parse(path: Path, block: bytes, columns: Sequence[str]) -> tuple[pl.DataFrame, list[str]]:
    """Read the wanted keys of each line; lines that are no object are handed over as broken."""
    schema = pl.Schema(dict.fromkeys(columns, pl.String))
    lines = _lines(path, block)
    try:
        return pl.read_ndjson("\n".join(lines).encode(), schema=schema), []
    except pl.exceptions.PolarsError:
        sound = pl.Series([_is_object(line) for line in lines], dtype=pl.Boolean)
    broken = lines.filter(~sound).to_list()
    if not sound.any():
        return schema.to_frame(), broken
    try:
        rows = pl.read_ndjson("\n".join(lines.filter(sound)).encode(), schema=schema)
    except pl.exceptions.PolarsError as error:
        message = f"cannot read {path} as JSON lines: {error}"
        raise SourceError(message) from error
    return rows, broken


def _head(path: Path, options: ReadOptions) -> pl.DataFrame:  # noqa: ARG001 - one shape for all
    for block, _ in _blocks(path, HEAD_BYTES):
        lines = _lines(path, block).head(HEAD_ROWS)
        sound = [line for line in lines if _is_object(line)]
        if not sound:
            break
        names = list(dict.fromkeys(name for line in sound for name in json.loads(line)))
        return _parse(path, "\n".join(sound).encode(), names)[0]
    message = f"{path} does not begin with JSON lines, one object per line"
    raise SourceError(message)


def _chunks(
    path: Path,
    columns: Sequence[str],
    options: ReadOptions,  # noqa: ARG001 - one shape for all formats
) -> Iterator[Chunk]:
    for block, share in _blocks(path, BLOCK_BYTES):
        rows, broken = _parse(path, block, columns)
        yield Chunk(rows, share, broken)


SUFFIXES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
JSON_LINES = SourceFormat("JSON lines", SUFFIXES, False, True, _head, _chunks)  # noqa: FBT003
