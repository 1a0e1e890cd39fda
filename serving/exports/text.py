"""Text of people as it comes: trimming, Unicode, digests that are already there.

What lives here: steps that every kind of identifier shares, on whole columns. What one platform
wants lives with its destination; what one kind of identifier needs lives in `emails`, `phones`,
`names` and `devices`.
"""

from collections.abc import Callable

import polars as pl

NOT_ASCII = r"[^\x00-\x7F]"
# Zero-width space, non-joiner, joiner, word joiner, byte order mark: invisible, pasted along.
INVISIBLE = r"[\x00\x{200B}\x{200C}\x{200D}\x{2060}\x{FEFF}]"
HEX_LENGTHS = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
"""Algorithm of a digest written in hexadecimal digits, by their number."""


def nulls(n_rows: int) -> pl.Series:
    """A column of text that holds nothing."""
    return pl.repeat(None, n_rows, dtype=pl.String, eager=True)


def where(
    column: pl.Series, mask: pl.Series, change: Callable[[pl.Series], pl.Series]
) -> pl.Series:
    """Change the rows of a column that a mask names, and pay for no other.

    Parameters
    ----------
    column
        String [n].
    mask
        Boolean [n]; null counts as false.
    change
        From the chosen rows to as many new ones.
    """
    rows = mask.fill_null(value=False).arg_true()
    if not len(rows):
        return column
    return column.clone().scatter(rows, change(column.gather(rows)))


def text_column(column: pl.Series) -> pl.Series:
    """A column as trimmed text in Unicode form NFC, with null for nothing.

    Invisible characters are kept inside, since some scripts are written with them.
    """
    text = column.cast(pl.String).str.strip_chars()
    text = where(text, text.str.contains(NOT_ASCII), lambda some: some.str.normalize("NFC"))
    return where(text, text == "", lambda some: nulls(len(some)))


def visible(text: pl.Series) -> pl.Series:
    """Text without the characters that nobody sees, trimmed again."""
    hidden = text.str.contains(INVISIBLE)
    return where(text, hidden, lambda some: some.str.replace_all(INVISIBLE, "").str.strip_chars())


def empty_to_null(text: pl.Series) -> pl.Series:
    """Null where nothing is left of a text."""
    return where(text, text == "", lambda some: nulls(len(some)))


def digest_algorithms(text: pl.Series) -> pl.Series:
    """Name of the algorithm of values that are digests already, else null.

    Hexadecimal digests of MD5, SHA-1, SHA-256 and SHA-512 are known by their length, and the 44
    characters of a SHA-256 digest in Base64 by their padding.
    """
    names = nulls(len(text))
    lengths = text.str.len_bytes()
    long = (lengths.is_in(list(HEX_LENGTHS)) | (lengths == 44)).fill_null(value=False)
    return where(names, long, lambda _: _algorithms(text.filter(long)))


def _algorithms(text: pl.Series) -> pl.Series:
    column = pl.col("text")
    hexadecimal = column.str.contains(r"^(?:[0-9a-f]+|[0-9A-F]+)$")
    by_length = column.str.len_bytes().replace_strict(
        HEX_LENGTHS, default=None, return_dtype=pl.String
    )
    base64 = column.str.contains(r"^[A-Za-z0-9+/]{43}=$")
    found = pl.when(hexadecimal).then(by_length).when(base64).then(pl.lit("sha256"))
    return pl.DataFrame({"text": text}).select(found.alias("name")).to_series()


def json_text(column: pl.Expr) -> pl.Expr:
    """A text as a JSON string with its quotation marks; null stays null."""
    written = pl.struct(column.alias("v")).struct.json_encode()
    text = written.str.strip_prefix('{"v":').str.strip_suffix("}")
    return pl.when(column.is_not_null()).then(text)
