"""The model as an MLflow pyfunc, so that it also works wherever MLflow models do.

MLflow finds this module by its name (`loader_module` in the MLmodel file) and hands it the folder
of the bundle: no code is copied, nothing is pickled, and `segmenter` must be installed where the
model is loaded. Our own commands read the bundle directly and need none of this.
"""

import itertools
import warnings
from collections.abc import Mapping, Sequence
from importlib import metadata
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from segmenter.assignment_table import assignment_table
from segmenter.audience_model import AudienceModel
from segmenter.mlflow_home import import_mlflow

if TYPE_CHECKING:
    import pandas as pd

EMBEDDING_PARAMETER = "with_embedding"
ELEMENTS: dict[type, str] = {str: "texts", Real: "numbers", Integral: "whole numbers"}


class PyfuncModel:
    """What `mlflow.pyfunc.load_model` wraps.

    Parameters
    ----------
    model
        The fitted model.
    """

    def __init__(self, model: AudienceModel) -> None:
        self.model = model

    def predict(
        self, model_input: "pd.DataFrame", params: Mapping[str, Any] | None = None
    ) -> "pd.DataFrame":
        """Segments of users from their events.

        Parameters
        ----------
        model_input
            One row per user: ``user_id``; ``event`` and ``time`` (microseconds since the epoch,
            UTC), lists of one length; further fields of the model, lists of that length, with
            None where a value is missing, or None for all of them; ``as_of`` (microseconds);
            without that column or its value, the time of each user's newest event.
        params
            ``with_embedding=True`` adds the column ``embedding``.

        Returns
        -------
        pandas.DataFrame
            In the order given: user_id, segment_id, segment_name, strength in [0, 1],
            second_segment_id, macro_id, macro_name, micro_id, micro_name. Users without an event
            at or before `as_of` have no segment.

        Raises
        ------
        ValueError
            If a list has another length than the user's times, or holds values of another kind.
        """
        import pandas as pd  # noqa: PLC0415 - our own commands do without

        times = [row if row is not None else [] for row in _lists(model_input["time"])]
        _refuse_other_kinds("time", times, Integral)
        as_of = self._as_of(model_input, times)
        active = np.array(
            [min(row, default=end + 1) <= end for row, end in zip(times, as_of, strict=True)]
        )
        rows = np.flatnonzero(active)
        embeddings = np.empty((0, self.model.embedding_dim), dtype=np.float32)
        if len(rows):
            columns = self._fields(model_input.iloc[rows])
            batch = self.model.batch_of(columns, as_of=[as_of[row] for row in rows])
            embeddings = self.model.embed_batch(batch)
        users = pl.Series("user_id", [str(user) for user in model_input["user_id"]])
        table = assignment_table(self.model, users, embeddings, active=active)
        # Plain values and None: with a null in it pandas would make an id a float, and a strength
        # a NaN that no JSON can say.
        result = pd.DataFrame(table.to_dict(as_series=False), dtype=object)
        if (params or {}).get(EMBEDDING_PARAMETER):
            vectors = dict(zip(rows.tolist(), embeddings.tolist(), strict=True))
            result["embedding"] = [vectors.get(row) for row in range(len(result))]
        return result

    def _fields(self, model_input: "pd.DataFrame") -> dict[str, list[list[Any] | None]]:
        """Lists per field, their elements checked: the signature leaves that to us."""
        numeric = self.model.network.vocabulary.numeric
        columns = {}
        for name in model_input.columns:
            if name not in ("user_id", "as_of"):
                columns[str(name)] = _lists(model_input[name])
                if name != "time":
                    kind = Real if name in numeric else str
                    _refuse_other_kinds(str(name), columns[str(name)], kind, or_none=True)
        return columns

    def _as_of(self, model_input: "pd.DataFrame", times: Sequence[Sequence[int]]) -> list[int]:
        """As-of time per user in microseconds."""
        newest = [max(row, default=self.model.trained_as_of) for row in times]
        if "as_of" not in model_input.columns:
            return newest
        given = zip(model_input["as_of"], newest, strict=True)
        return [last if _is_missing(moment) else int(moment) for moment, last in given]


def _lists(column: "pd.Series") -> list[list[Any] | None]:
    """Cells that hold lists, tuples or arrays as lists, missing cells as None."""
    lists: list[list[Any] | None] = []
    for cell in column:
        if isinstance(cell, np.ndarray):
            lists.append(cell.tolist())
        elif isinstance(cell, list | tuple):
            lists.append(list(cell))
        elif _is_missing(cell):
            lists.append(None)
        else:
            message = f"column {column.name!r} must hold a list per user; found {cell!r}"
            raise ValueError(message)
    return lists


def _is_missing(cell: Any) -> bool:  # noqa: ANN401 - a cell of any kind
    """Whether a scalar cell is None, NaN or another of the missing values of pandas."""
    import pandas as pd  # noqa: PLC0415 - our own commands do without

    return bool(pd.isna(cell))


def _refuse_other_kinds(
    name: str, lists: Sequence[list[Any] | None], kind: type, *, or_none: bool = False
) -> None:
    """Refuse elements that are not of the field's kind; a truth value is no number."""
    for value in itertools.chain.from_iterable(row for row in lists if row is not None):
        fits = isinstance(value, kind) and not isinstance(value, bool)
        if not fits and not (or_none and value is None):
            choice = ELEMENTS[kind] + (" or None" if or_none else "")
            message = f"column {name!r} must hold lists of {choice}; found {value!r}"
            raise ValueError(message)


def _load_pyfunc(path: str) -> PyfuncModel:
    """Load the model for MLflow, which calls this by name with the folder of the bundle."""
    return PyfuncModel(AudienceModel.load(Path(path)))


def write_flavor(folder: Path, bundle: Path, *, name: str, run_id: str, model_id: str) -> None:
    """Write an MLflow model around a bundle.

    Parameters
    ----------
    folder
        Where to write; must not exist.
    bundle
        The model; it is loaded once, so what does not load is never registered.
    name, run_id, model_id
        What the MLmodel file says about where the model comes from. No path of this machine
        gets into it.

    Raises
    ------
    BundleError
        If the bundle does not load.
    """
    model, mlflow = AudienceModel.load(bundle), import_mlflow()
    with warnings.catch_warnings():
        # The first is about MLflow's own chat types, the second about an example of the input:
        # the signature is explicit.
        warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType")
        warnings.filterwarnings("ignore", message=".*An input example was not provided")
        mlflow.pyfunc.save_model(
            str(folder),
            loader_module=__name__,
            data_path=str(bundle),
            mlflow_model=mlflow.models.Model(artifact_path=name, run_id=run_id, model_id=model_id),
            signature=signature(model),
            pip_requirements=[_requirement()],
        )


def signature(model: AudienceModel) -> Any:  # noqa: ANN401 - mlflow.models.ModelSignature
    """Flat list columns, one per field that the model reads.

    A list of event objects would be checked attribute by attribute: 22 ms per user instead of
    0.4 ms. Elements are declared as any type: MLflow 3.17 on pandas 3 cuts every text of a list of
    strings to one letter as soon as one of them is None, and refuses whole numbers as double.
    """
    import_mlflow()
    from mlflow.models import ModelSignature  # noqa: PLC0415 - as in import_mlflow
    from mlflow.types import schema  # noqa: PLC0415

    column, kinds, values = schema.ColSpec, schema.DataType, schema.Array(schema.AnyType())
    vocabulary = model.network.vocabulary
    optional = [field for field in vocabulary.categorical if field != "event"]
    optional += [vocabulary.grouping] if vocabulary.grouping else []
    inputs = [
        column(kinds.string, "user_id"),
        column(values, "event"),
        column(schema.Array(kinds.long), "time"),
        *(column(values, field, required=False) for field in (*optional, *vocabulary.numeric)),
        column(kinds.long, "as_of", required=False),
    ]
    outputs = [
        column(kinds.string, "user_id"),
        column(kinds.integer, "segment_id", required=False),
        column(kinds.string, "segment_name", required=False),
        column(kinds.float, "strength", required=False),
        column(kinds.integer, "second_segment_id", required=False),
        column(kinds.string, "coverage", required=False),
        column(kinds.integer, "macro_id", required=False),
        column(kinds.string, "macro_name", required=False),
        column(kinds.integer, "micro_id", required=False),
        column(kinds.string, "micro_name", required=False),
    ]
    with_embedding = schema.ParamSpec(EMBEDDING_PARAMETER, kinds.boolean, default=False)
    return ModelSignature(
        schema.Schema(inputs), schema.Schema(outputs), schema.ParamSchema([with_embedding])
    )


def _requirement() -> str:
    """Our package at its installed version, or by name alone when run from its source folder."""
    try:
        return f"segmenter=={metadata.version('segmenter')}"
    except metadata.PackageNotFoundError:
        return "segmenter"
