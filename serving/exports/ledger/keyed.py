"""Salted hashes of users and of what a deletion list names; 64 bits of SHA-256."""

import polars as pl
import polars_hash  # noqa: F401 - adds the namespaces of hash functions to polars expressions


def keyed(values: pl.Series, salt: bytes, kind: str = "user") -> pl.Series:
    """Salted hashes of texts.

    Parameters
    ----------
    values
        String [n].
    salt
        Of the ledger.
    kind
        What the texts are; equal texts of two kinds have different hashes.

    Returns
    -------
    polars.Series
        UInt64 [n]; null stays null.
    """
    salted = pl.concat_str(pl.lit(f"{salt.hex()}:{kind}:"), pl.col("value"))
    digest = salted.chash.sha2_256()  # type: ignore[attr-defined] # the plugin adds it
    raw = digest.str.slice(0, 16).str.decode("hex")
    number = raw.bin.reinterpret(dtype=pl.UInt64, endianness="big").alias("hash")
    return pl.DataFrame({"value": values.cast(pl.String)}).select(number).to_series()


def signed(hashes: pl.Series) -> list[int]:
    """Hashes as SQLite keeps numbers: 64 bits with a sign."""
    return [int(number) for number in hashes.reinterpret(signed=True).to_list()]


def unsigned(numbers: list[int]) -> pl.Series:
    """Hashes from numbers with a sign."""
    return pl.Series(numbers, dtype=pl.Int64).reinterpret(signed=False)
