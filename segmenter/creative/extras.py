"""The optional libraries of this room, asked for where they are needed."""

import importlib.util

from segmenter.errors import ExtraMissingError

NEEDED = ("transformers", "PIL", "safetensors")


def require_extra() -> None:
    """Nothing where the libraries of the extra ``creative`` are installed.

    Raises
    ------
    ExtraMissingError
        If one is not.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        message = (
            f"the creative space needs {', '.join(missing)}, which is not installed; "
            "pip install '.[creative]'"
        )
        raise ExtraMissingError(message)
