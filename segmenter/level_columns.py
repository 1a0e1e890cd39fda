"""Macro and micro segments of users by id and name, as answers and tables tell of them."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from segmenter.audience_model import AudienceModel

LEVEL_COLUMNS = ("macro_id", "macro_name", "micro_id", "micro_name")


def level_columns(
    model: "AudienceModel", embeddings: np.ndarray, segment_id: np.ndarray
) -> dict[str, list[Any]]:
    """Macro and micro segment of users whose segment is known, by id and by name.

    Parameters
    ----------
    model
        The fitted model.
    embeddings
        float32 [n, d].
    segment_id
        int32 [n], from the model.

    Returns
    -------
    dict
        `LEVEL_COLUMNS` with a value per user; None of a model without levels.
    """
    levels, places = model.hierarchy, model.levels(embeddings, segment_id)
    if levels is None or places is None:
        return {name: [None] * len(segment_id) for name in LEVEL_COLUMNS}
    columns: list[list[Any]] = []
    for segments, ids in zip((levels.macros, levels.micros), places, strict=True):
        names = {item.id: item.name for item in segments}
        columns += [ids.tolist(), [names[number] for number in ids.tolist()]]
    return dict(zip(LEVEL_COLUMNS, columns, strict=True))
