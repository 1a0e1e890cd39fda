"""Frozen dataclasses from the plain form that `dataclasses.asdict` gives them."""

from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def from_plain(kind: type[T], plain: dict[str, Any]) -> T:
    """Rebuild a dataclass of numbers, texts, tuples and other such dataclasses.

    Parameters
    ----------
    kind
        The dataclass.
    plain
        As from `dataclasses.asdict`, or read back from JSON. A field with a default may lack: a
        newer version added it.
    """
    hints = get_type_hints(kind)
    known = [item.name for item in fields(kind) if item.name in plain]
    return kind(**{name: _value(hints[name], plain[name]) for name in known})


def _value(hint: Any, value: Any) -> Any:  # noqa: ANN401 - any annotation, any value
    if get_origin(hint) is UnionType:
        if value is None:
            return None
        (hint,) = (option for option in get_args(hint) if option is not NoneType)
    if get_origin(hint) is tuple:
        return tuple(_value(get_args(hint)[0], item) for item in value)
    return from_plain(hint, value) if isinstance(hint, type) and is_dataclass(hint) else value
