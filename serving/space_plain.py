"""Results of the geometry in plain form, for scripts: dataclasses as objects, arrays as lists."""

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def plain(value: Any, *, without: tuple[str, ...] = ()) -> Any:  # noqa: ANN401 - any result
    """A result as JSON can say it.

    Parameters
    ----------
    value
        A dataclass, array, number, text, or a mapping or sequence of them.
    without
        Fields of dataclasses that are left out at every depth.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {
            item.name: plain(getattr(value, item.name), without=without)
            for item in fields(value)
            if item.name not in without
        }
    if isinstance(value, dict):
        return {str(key): plain(one, without=without) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one, without=without) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value
