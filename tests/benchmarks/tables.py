"""How the figures of a benchmark are printed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def show(name: str, result: Mapping[str, Any], console: Console) -> None:
    """Print a result as a table, and below it what is said about it."""
    rows = result["rows"]
    table = Table(title=name, title_justify="left")
    for key, value in rows[0].items():
        table.add_column(key, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*(_told(value) for value in row.values()))
    console.print(table)
    for key, value in result.items():
        if key != "rows":
            console.print(f"  {key}: {_told(value)}", markup=False, soft_wrap=True)


def deliver(name: str, result: Mapping[str, Any], file: Path | None) -> None:
    """Print a result, and write it as JSON where a file is named."""
    show(name, result, Console(highlight=False))
    if file is not None:
        file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _told(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
