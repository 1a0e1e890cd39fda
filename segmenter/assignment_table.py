"""Assignments in the form in which they leave the product: one row per user, segments by name."""

import numpy as np
import polars as pl

from segmenter.audience_model import AudienceModel
from segmenter.level_columns import LEVEL_COLUMNS, level_columns
from segmenter.segments.assignment import NO_SEGMENT
from segmenter.segments.coverage import GROUPS

ASSIGNMENT_COLUMNS = {
    "user_id": pl.String(),
    "segment_id": pl.Int32(),
    "segment_name": pl.String(),
    "strength": pl.Float32(),
    "second_segment_id": pl.Int32(),
    "coverage": pl.String(),
    **{name: pl.Int32() if name.endswith("_id") else pl.String() for name in LEVEL_COLUMNS},
}


def assignment_table(
    model: AudienceModel, user_ids: pl.Series, embeddings: np.ndarray, *, active: np.ndarray
) -> pl.DataFrame:
    """Segments of users, with nulls for those that have nothing to go by.

    Parameters
    ----------
    model
        The fitted model.
    user_ids
        String [n].
    embeddings
        float32 [a, d], of the active users in order.
    active
        bool [n], whether a user has an event at or before the as-of time.

    Returns
    -------
    polars.DataFrame
        n rows with `ASSIGNMENT_COLUMNS`; strength in [0, 1], higher is surer; everything but the
        user id is null where a user is not active, the second segment where there is none, and
        the levels of a model that has none. Coverage is one of
        `segmenter.segments.coverage.GROUPS`; null by a model of earlier versions, which does not
        tell.
    """
    everybody = pl.DataFrame({"row": np.arange(len(user_ids)), "user_id": user_ids})
    found = pl.DataFrame(schema={"row": pl.Int64(), **ASSIGNMENT_COLUMNS}).drop("user_id")
    if active.any():
        found = _found(model, embeddings).with_columns(row=np.flatnonzero(active))
    table = everybody.join(found, on="row", how="left", maintain_order="left")
    return table.select(pl.col(name).cast(kind) for name, kind in ASSIGNMENT_COLUMNS.items())


def _found(model: AudienceModel, embeddings: np.ndarray) -> pl.DataFrame:
    """Segments of users who have one, by name."""
    assigned = model.assign(embeddings)
    names = {segment.id: segment.name for segment in model.segments}
    rule = model.coverage
    groups = None if rule is None else pl.Series(GROUPS).gather(rule.groups(assigned))
    table = pl.DataFrame(
        {
            "segment_id": assigned.segment_id,
            "strength": assigned.strength,
            "second_segment_id": assigned.second_segment_id,
            **level_columns(model, embeddings, assigned.segment_id),
        }
    )
    second, first = pl.col("second_segment_id"), pl.col("segment_id")
    return table.with_columns(
        pl.when(second != NO_SEGMENT).then(second),
        segment_name=first.replace_strict(names, return_dtype=pl.String),
        coverage=pl.lit(None) if groups is None else groups,
    )
