"""What an export has brought about: outcomes of everybody against the control group.

What lives here: the estimate per segment by intention to treat, its interval, and what could have
been found at all. Who was drawn when lives in `control_group`.

References
----------
Post-stratified difference of means and its variance: Imbens and Rubin, "Causal Inference for
Statistics, Social, and Biomedical Sciences", 2015, chapter 9. Minimum detectable effect: Bloom,
"Minimum detectable effects", Evaluation Review 19, 1995.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from segmenter.errors import ColumnError, ConfigError, SourceError
from serving.exports.control_group import IS_HELD, SEGMENT, TERCILE, USER
from serving.exports.ledger.keyed import keyed
from serving.exports.ledger.ledger import Ledger

CONFIDENCE, POWER = 0.95, 0.80
LEAST = 2
"""Users of each arm that a stratum needs, for a variance; strata with fewer are pooled."""

EVERYBODY = "all"


@dataclass(frozen=True)
class Lift:
    """The effect of being exported on one outcome, for one segment.

    Attributes
    ----------
    segment
        Its id, or ``all``.
    n_treated, n_control
        Users of each arm, exported or not: what counts is how they were drawn.
    treated, control
        Mean outcomes; of the control group weighted like the other arm's strata.
    effect, low, high
        Difference of the means and its interval of 95 %.
    total
        The effect times the treated users: what the export has brought about.
    p_value
        Two-sided, of no effect at all.
    detectable
        Least true effect that this many users show in four of five experiments.
    power
        Chance that an effect of a tenth of the control group's mean is shown; None where that
        mean is 0.
    """

    segment: int | str
    n_treated: int
    n_control: int
    treated: float
    control: float
    effect: float
    low: float
    high: float
    total: float
    p_value: float
    detectable: float
    power: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain form for scripts."""
        return asdict(self)


def lifts(ledger: Ledger, outcomes: Path, outcome: str | None = None) -> list[Lift]:
    """Effects per segment and over all.

    Parameters
    ----------
    ledger
        That has drawn a control group.
    outcomes
        Parquet or CSV with ``user_id`` and a number, of the time after the export; several rows
        of a user are summed, and a user without one has the outcome 0.
    outcome
        Column of the number; None where there is only one.

    Raises
    ------
    ConfigError
        If there is no control group, or none that is large enough.
    SourceError, ColumnError
        If the outcomes cannot be read.
    """
    arms = ledger.arms()
    if arms is None:
        message = f"{ledger.path} has no control group; export with --holdout SHARE first"
        raise ConfigError(message)
    known = _outcomes(outcomes, outcome)
    users = keyed(known["user_id"], ledger.salt).alias(USER)
    values = pl.DataFrame([users, known["value"]]).group_by(USER).agg(pl.col("value").sum())
    joined = arms.join(values, on=USER, how="left").with_columns(pl.col("value").fill_null(0.0))
    groups: list[tuple[int | str, pl.DataFrame]] = [(EVERYBODY, joined), *_by_segment(joined)]
    found = [one for name, rows in groups if (one := lift_of(rows, name)) is not None]
    if not found:
        message = "no segment has two users in each arm; export with a larger --holdout SHARE"
        raise ConfigError(message)
    return found


def lift_of(rows: pl.DataFrame, segment: int | str) -> Lift | None:
    """The effect within one table.

    Parameters
    ----------
    rows
        `IS_HELD`, `SEGMENT`, `TERCILE` and ``value`` of users.
    segment
        What the table is called.

    Returns
    -------
    Lift or None
        None where an arm has fewer than two users.
    """
    n_control = int(rows[IS_HELD].sum())
    n_treated = len(rows) - n_control
    if min(n_control, n_treated) < LEAST:
        return None
    effect = control = variance = freedom = 0.0
    for weight, on, off in _strata(rows, n_treated):
        effect += weight * (on.mean() - off.mean())
        control += weight * off.mean()
        parts = [weight**2 * arm.var(ddof=1) / len(arm) for arm in (on, off)]
        variance += sum(parts)
        freedom += sum(
            part**2 / (len(arm) - 1) for part, arm in zip(parts, (on, off), strict=True)
        )
    error = math.sqrt(variance)
    # Welch and Satterthwaite; without any variance the interval is a point.
    degrees = variance**2 / freedom if freedom else math.inf
    edge = float(stats.t.ppf((1 + CONFIDENCE) / 2, degrees)) if freedom else 0.0
    p_value = float(2 * stats.t.sf(abs(effect) / error, degrees)) if error else float(effect == 0)
    normal = stats.norm
    both = float(normal.ppf((1 + CONFIDENCE) / 2) + normal.ppf(POWER))
    return Lift(
        segment=segment,
        n_treated=n_treated,
        n_control=n_control,
        treated=control + effect,
        control=control,
        effect=effect,
        low=effect - edge * error,
        high=effect + edge * error,
        total=effect * n_treated,
        p_value=p_value,
        detectable=both * error,
        power=_power(0.1 * control, error) if control else None,
    )


def _power(effect: float, error: float) -> float:
    """Chance that a true effect is told from none."""
    if not error:
        return 1.0
    edge = stats.norm.ppf((1 + CONFIDENCE) / 2)
    shift = abs(effect) / error
    return float(stats.norm.sf(edge - shift) + stats.norm.cdf(-edge - shift))


def _strata(rows: pl.DataFrame, n_treated: int) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Weight and both arms' outcomes of each stratum; small ones are pooled into one."""
    pooled: list[pl.DataFrame] = []
    large: list[pl.DataFrame] = []
    for _, stratum in sorted(rows.partition_by(SEGMENT, TERCILE, as_dict=True).items()):
        n_off = int(stratum[IS_HELD].sum())
        (large if min(n_off, len(stratum) - n_off) >= LEAST else pooled).append(stratum)
    rest = pl.concat(pooled) if pooled else rows.clear()
    n_off = int(rest[IS_HELD].sum())
    if min(n_off, len(rest) - n_off) >= LEAST:
        large.append(rest)
    elif large and len(rest):
        large[-1] = pl.concat([large[-1], rest])
    elif not large:
        large = [rows]
    for stratum in large:
        on = stratum.filter(~pl.col(IS_HELD))["value"].to_numpy()
        yield len(on) / n_treated, on, stratum.filter(IS_HELD)["value"].to_numpy()


def _by_segment(joined: pl.DataFrame) -> list[tuple[int, pl.DataFrame]]:
    parts = joined.partition_by(SEGMENT, as_dict=True)
    return sorted(((int(key[0]), rows) for key, rows in parts.items()), key=lambda pair: pair[0])


def _outcomes(path: Path, outcome: str | None) -> pl.DataFrame:
    """``user_id`` and ``value``."""
    try:
        is_parquet = path.suffix == ".parquet"
        # Ids are text: 0012 is another user than 12.
        kinds = {"user_id": pl.String}
        table = pl.read_parquet(path) if is_parquet else pl.read_csv(path, schema_overrides=kinds)
    except (OSError, pl.exceptions.PolarsError) as error:
        message = f"cannot read --outcomes {path}; pass a Parquet or CSV table"
        raise SourceError(message) from error
    numbers = [name for name, kind in table.schema.items() if kind.is_numeric()]
    numbers = [name for name in numbers if name != "user_id"]
    chosen = outcome or (numbers[0] if len(numbers) == 1 else None)
    if "user_id" not in table.columns or chosen not in numbers:
        message = (
            "outcomes must have the columns user_id and one number; "
            f"found {', '.join(table.columns)}; pass --outcome NAME"
        )
        raise ColumnError(message)
    value = pl.col(chosen).cast(pl.Float64).fill_null(0.0).alias("value")
    return table.select(pl.col("user_id").cast(pl.String), value)
