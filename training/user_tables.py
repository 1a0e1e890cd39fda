"""Tables of users that come beside the events: attributes, known outcomes, a population."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from segmenter.errors import ConfigError
from segmenter.files import digest_of_file


@dataclass(frozen=True)
class UserTables:
    """Files with one row per user (CSV or Parquet); None where there is none.

    Attributes
    ----------
    attributes
        Columns for demographic rules.
    outcomes
        Columns of numbers that segments are held against, beside what the events tell.
    population
        The users of whom `outcomes` are asked.
    """

    attributes: Path | None = None
    outcomes: Path | None = None
    population: Path | None = None

    def digests(self) -> dict[str, str | None]:
        """SHA-256 of each file: part of the identity of a job."""
        return {
            name: None if path is None else digest_of_file(path)
            for name, path in vars(self).items()
        }

    def read(self) -> dict[str, pl.DataFrame | None]:
        """Every table by its name, as `segmenter.validity.validate.validate` takes them.

        Raises
        ------
        ConfigError
            If a file cannot be read or has no column ``user_id`` or ``user``.
        """
        return {
            name: None if path is None else _read(path, f"--{name}", as_text=name == "attributes")
            for name, path in vars(self).items()
        }


def _read(path: Path, option: str, *, as_text: bool) -> pl.DataFrame:
    """A table with ``user_id`` as text."""
    try:
        if path.suffix == ".parquet":
            table = pl.read_parquet(path)
        elif as_text:
            table = pl.read_csv(path, infer_schema=False)
        else:
            ids = dict.fromkeys(("user_id", "user"), pl.String)
            head = pl.read_csv(path, n_rows=0).columns
            kinds = {name: kind for name, kind in ids.items() if name in head}
            table = pl.read_csv(path, schema_overrides=kinds)
    except (OSError, pl.exceptions.PolarsError) as error:
        message = f"{option} {path} cannot be read: {error}"
        raise ConfigError(message) from error
    user = next((name for name in ("user_id", "user") if name in table.columns), None)
    if user is None:
        message = f"{option} {path} must have a column user_id; found {', '.join(table.columns)}"
        raise ConfigError(message)
    return table.rename({user: "user_id"}).with_columns(pl.col("user_id").cast(pl.String))
