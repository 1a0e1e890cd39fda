"""``segmenter creative tune``: an encoder that knows what a client calls on brand."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from segmenter.command_options import AsJson
from segmenter.terminal import Terminal
from serving.creative_options import Model, Seed, Space, encoder_of, opened

if TYPE_CHECKING:
    import numpy as np

    from segmenter.creative.encoder import Encoder
    from segmenter.creative.store import CreativeSpace
    from segmenter.creative.tune import Tuned


def tune(  # noqa: PLR0917 - a command's options are its parameters
    space: Space,
    how: Annotated[
        Literal["probe", "vision", "full"],
        typer.Option("--how", help="Probe on frozen features, the picture tower, or everything."),
    ] = "probe",
    library: Annotated[
        Path | None, typer.Option("--library", help="Folder of the pictures; for vision and full.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the tuned checkpoint.")
    ] = None,
    model: Model = None,
    seed: Seed = 0,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Learn from the flags what is on brand, with before and after on assets held out.

    A tuned encoder makes a space of its own: index into another folder with it.
    """
    from segmenter.creative.on_brand import score_on_brand  # noqa: PLC0415 - --help must be fast
    from segmenter.errors import ConfigError, CreativeError  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    opened_space = opened(space)
    probe = score_on_brand(opened_space, seed=seed)
    terminal.say(Text(f"Probe on frozen features: AUC {probe.auc:.3f} on assets held out"))
    if how == "probe":
        terminal.finish({"how": how, "auc": probe.auc})
        return
    if library is None:
        message = f"--how {how} reads the pictures again: give --library"
        raise ConfigError(message)
    encoder = encoder_of(opened_space, model)
    found = tuned(opened_space, encoder, library, how=how, seed=seed)
    terminal.say(Text(line(found)))
    if not found.keeps_search:
        message = (
            "the tuned encoder finds its own captions less often than before by more than .02; "
            "it is not written: use the probe"
        )
        raise CreativeError(message)
    if out is not None:
        found.model.save_pretrained(out)
        encoder.processor.save_pretrained(out)
        terminal.say(Text(f"The checkpoint is written to {out}; index anew with --model {out}"))
    terminal.finish({"how": how, "probe_auc": probe.auc, **as_plain(found)})


def tuned(
    space: "CreativeSpace", encoder: "Encoder", library: Path, *, how: str, seed: int
) -> "Tuned":
    """Read the reviewed pictures again and tune."""
    from segmenter.creative.images import open_picture  # noqa: PLC0415 - --help must be fast
    from segmenter.creative.on_brand import reviewed  # noqa: PLC0415
    from segmenter.creative.tune import tune as run  # noqa: PLC0415

    rows, flags = reviewed(space.assets[: space.n_pictures])
    files = space.assets["file"].gather(rows).to_list()
    images = [open_picture(library / file).image for file in files]
    words = captions_of(space, rows)
    return run(encoder, images, flags, words, how="full" if how == "full" else "vision", seed=seed)


def captions_of(space: "CreativeSpace", rows: "np.ndarray") -> list[str]:
    """The column ``caption``, or else the values of the readable tags."""
    table = space.pictures.metadata[rows.tolist()]
    if "caption" in table.columns:
        return table["caption"].fill_null("").to_list()
    names = [
        name
        for name, reading in space.readability.items()
        if reading["readable"] and not reading["is_number"] and name not in {"on_brand", "region"}
    ]
    if not names:
        return [""] * len(rows)
    return [" ".join(str(value) for value in row if value) for row in table.select(names).rows()]


def line(found: "Tuned") -> str:
    """Before and after in a line."""
    before, after = found.before, found.after
    return (
        f"Tuned on {found.n_learned:,} assets, on {found.n_held_out:,} others: AUC of a probe "
        f"{before.auc:.3f} before and {after.auc:.3f} after, own caption among ten "
        f"{before.found_in_ten:.3f} and {after.found_in_ten:.3f}"
    )


def as_plain(found: "Tuned") -> dict[str, object]:
    """Plain form for scripts; a figure that could not be measured is null."""
    from serving.space_plain import plain  # noqa: PLC0415 - --help must be fast

    figures: dict[str, object] = plain({"before": found.before, "after": found.after})
    for side in figures.values():
        assert isinstance(side, dict)
        if side["found_in_ten"] != side["found_in_ten"]:
            side["found_in_ten"] = None
    return figures | {"n_learned": found.n_learned, "n_held_out": found.n_held_out}
