"""Digests of whole columns, in the algorithms and encodings that the destinations name.

What lives here: hashing and re-encoding. What is hashed is decided elsewhere.
"""

from dataclasses import dataclass

import polars as pl
import polars_hash  # noqa: F401 - adds the namespaces of hash functions to polars expressions

from serving.exports.text import digest_algorithms, where

ENCODINGS = ("hex-lower", "hex-upper", "base64")


@dataclass(frozen=True)
class Digest:
    """A hash function and how its result is written.

    Attributes
    ----------
    algorithm
        ``sha256``, ``sha512``, ``sha1`` or ``md5``.
    encoding
        ``hex-lower``, ``hex-upper`` or ``base64`` (of the raw bytes).
    """

    algorithm: str
    encoding: str = "hex-lower"


SHA256 = Digest("sha256")
SHA256_BASE64 = Digest("sha256", "base64")
SHA512 = Digest("sha512")
SHA1 = Digest("sha1")
MD5 = Digest("md5")


def digest_of(text: pl.Series, digest: Digest) -> pl.Series:
    """Digests of the UTF-8 bytes of texts; null stays null.

    Parameters
    ----------
    text
        String [n], in the form that the destination hashes.
    digest
        Algorithm and encoding.
    """
    column = pl.col("text")
    functions = {
        "sha256": column.chash.sha2_256,  # type: ignore[attr-defined] # the plugin adds it
        "sha512": column.chash.sha2_512,  # type: ignore[attr-defined] # the plugin adds it
        "sha1": column.nchash.sha1,  # type: ignore[attr-defined] # the plugin adds it
        "md5": column.nchash.md5,  # type: ignore[attr-defined] # the plugin adds it
    }
    lower = pl.DataFrame({"text": text}).select(functions[digest.algorithm]()).to_series()
    return encoded(lower, digest.encoding)


def encoded(lower: pl.Series, encoding: str) -> pl.Series:
    """Digests in lower-case hexadecimal digits, written otherwise."""
    if encoding == "base64":
        return lower.str.decode("hex").bin.encode("base64")
    return lower.str.to_uppercase() if encoding == "hex-upper" else lower


def recoded(digests: pl.Series, encoding: str) -> pl.Series:
    """Digests that came with the data, in another encoding; nothing is hashed again.

    Parameters
    ----------
    digests
        String [n], each one hexadecimal or the Base64 form of a SHA-256 digest.
    encoding
        One of `ENCODINGS`.
    """
    base64 = digests.str.ends_with("=")
    lower = where(digests, ~base64, lambda some: some.str.to_lowercase())
    lower = where(lower, base64, lambda some: some.str.decode("base64").bin.encode("hex"))
    return encoded(lower, encoding)


def is_digest(text: pl.Series) -> pl.Series:
    """Whether values are digests already."""
    return digest_algorithms(text).is_not_null()
