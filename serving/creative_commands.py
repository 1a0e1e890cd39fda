"""``segmenter creative``: a library of pictures and texts, searched and compared by meaning.

Here: index, search, spectrum. What compares groups and corrects stands in
`serving.creative_study_commands`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from segmenter.command_options import AsJson
from segmenter.terminal import Terminal
from serving import creative_fit_command, creative_study_commands, creative_tune_command
from serving.creative_options import Download, Model, Seed, Space, encoder_of, opened, words_of

if TYPE_CHECKING:
    import numpy as np

    from segmenter.creative.encoder import Encoder
    from segmenter.creative.search import Hits
    from segmenter.creative.store import CreativeSpace
    from segmenter.space.latent_space import LatentSpace


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    creative = typer.Typer(
        help="A library of pictures and texts, searched and compared by meaning.",
        no_args_is_help=True,
    )
    for command in (index, search, spectrum):
        creative.command(command.__name__)(command)
    creative_study_commands.register(creative)
    creative.command("fit")(creative_fit_command.fit)
    creative.command("tune")(creative_tune_command.tune)
    app.add_typer(creative, name="creative")


def index(  # noqa: PLR0917 - a command's options are its parameters
    library: Annotated[Path, typer.Argument(help="Folder of pictures and texts.")],
    space: Space,
    model: Annotated[
        str, typer.Option("--model", help="Checkpoint: a folder, a name, or default, fast, small.")
    ] = "default",
    manifest: Annotated[
        Path | None,
        typer.Option("--manifest", help="CSV or Parquet: file, region, date, on_brand, tags."),
    ] = None,
    words: Annotated[
        Path | None, typer.Option("--words", help="Your own words for directions, one a line.")
    ] = None,
    allow_download: Download = False,  # noqa: FBT002 - a flag
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Bring a folder of pictures and texts into one space; again, it takes only what is new."""
    from segmenter.creative.extras import require_extra  # noqa: PLC0415 - --help must be fast

    require_extra()
    from segmenter.creative.encoder import load_encoder  # noqa: PLC0415
    from segmenter.creative.index import index_library  # noqa: PLC0415
    from segmenter.creative.manifest import EMPTY, read_manifest  # noqa: PLC0415
    from segmenter.creative.words import keep_words, read_words  # noqa: PLC0415
    from serving.creative_views import index_lines, readability_table  # noqa: PLC0415
    from serving.space_plain import plain  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    known = EMPTY if manifest is None else read_manifest(manifest)
    own = () if words is None else read_words(words)
    encoder = load_encoder(model, allow_download=allow_download)
    with terminal.progress("Encoding assets") as progress:
        found = index_library(library, space, encoder, manifest=known, progress=progress)
    values = [value for one in found.readability.values() for value in one["by_value"]]
    keep_words(space, encoder, first=(*own, *values))
    for line in index_lines(found, encoder.identity):
        terminal.say(Text(line))
    if found.readability:
        terminal.say(readability_table(found.readability))
    result = plain(found, without=("set_aside",))
    result |= {"set_aside": found.set_aside.to_dicts(), "encoder": encoder.identity}
    terminal.finish(result)


def search(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    space: Space,
    query: Annotated[str | None, typer.Argument(help="What to look for, in words.")] = None,
    picture: Annotated[
        str | None, typer.Option("--picture", help="Look like this: a file, or an asset's id.")
    ] = None,
    where: Annotated[
        str | None, typer.Option("--where", help="Such as 'region=asia & on_brand=yes'.")
    ] = None,
    k: Annotated[int, typer.Option("--k", min=1, help="Hits in each list.")] = 10,
    sheet: Annotated[Path | None, typer.Option("--sheet", help="PNG of the pictures.")] = None,
    model: Model = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Find pictures and texts by meaning: by words, by a picture, or by both together."""
    from segmenter.creative.correction import kept_correction  # noqa: PLC0415 - --help is fast
    from serving.creative_views import hits_lines, hits_table  # noqa: PLC0415
    from serving.space_plain import plain  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    library = opened(space)
    queries, empty = asked_queries(library, encoder_of(library, model), query, picture=picture)
    balance = kept_correction(space)
    lists = both_lists(library, queries, empty, options=(k, where, balance))
    result: dict[str, Any] = {"reranked_by": balance}
    for kind, hits in lists.items():
        members = library.pictures if kind == "pictures" else library.texts
        terminal.say(hits_table(kind.capitalize(), members, hits))
        for line in hits_lines(hits):
            terminal.say(Text(line))
        result[kind] = plain(hits)
    if balance is not None:
        terminal.say(Text(f"Pictures are re-ranked to the library's shares of {balance}."))
    if sheet is not None:
        write_sheet(sheet, library, [(query or str(picture), result["pictures"]["ids"])])
        terminal.say(Text(f"The pictures are on {sheet}"))
    terminal.finish(result)


def both_lists(
    space: "CreativeSpace",
    queries: list["np.ndarray"],
    empty: list[bool],
    *,
    options: tuple[int, str | None, str | None],
) -> "dict[str, Hits]":
    """Search pictures and texts, as far as the condition among the options leaves some.

    Parameters
    ----------
    space
        The library.
    queries, empty
        See `asked_queries`.
    options
        Hits in each list, the condition, and the column to whose shares pictures are re-ranked.
    """
    k, where, balance = options
    found = {}
    for kind, members in (("pictures", space.pictures), ("texts", space.texts)):
        if len(members.ids) and leaves_some(space, members, where):
            own = balance if kind == "pictures" else None
            found[kind] = find(space, kind, queries, empty=empty, options=(k, where, own))
    return found


def leaves_some(space: "CreativeSpace", members: "LatentSpace", where: str | None) -> bool:
    """Whether a condition leaves somebody in a list; SpaceError where it leaves nobody at all."""
    if where is None:
        return True
    from segmenter.space.selection import select  # noqa: PLC0415 - --help must be fast

    chosen = space.assets["id"].filter(select(space.assets, where))
    return bool(chosen.is_in(members.ids.implode()).any())


def asked_queries(
    space: "CreativeSpace", encoder: "Encoder", query: str | None, *, picture: str | None
) -> tuple[list["np.ndarray"], list[bool]]:
    """Vectors of what is looked for, and of each whether it is a text.

    Raises
    ------
    ConfigError
        If neither words nor a picture are given.
    SetAsideError
        Of a file that is no picture, as a `CreativeError`.
    """
    from segmenter.creative.images import SetAsideError, open_picture  # noqa: PLC0415
    from segmenter.errors import ConfigError, CreativeError  # noqa: PLC0415

    found, are_texts = [], []
    if query is not None:
        found.append(encoder.texts([query])[0])
        are_texts.append(True)
    if picture is not None:
        if (space.pictures.ids == picture).any():
            found.append(space.pictures.vectors[space.pictures.rows([picture])[0]])
        else:
            try:
                image = open_picture(Path(picture)).image
            except (OSError, SetAsideError) as error:
                message = f"{picture} is neither an asset's id nor a picture: {error}"
                raise CreativeError(message) from error
            found.append(encoder.pictures([image]).vectors[0])
        are_texts.append(False)
    if not found:
        message = "a search needs words, --picture, or both"
        raise ConfigError(message)
    return found, are_texts


def find(
    space: "CreativeSpace",
    kind: str,
    queries: list["np.ndarray"],
    *,
    empty: list[bool],
    options: tuple[int, str | None, str | None],
) -> "Hits":
    """Search one list; whether something stands out is asked of pictures alone."""
    from segmenter.creative.search import (  # noqa: PLC0415 - --help must be fast
        empty_standing,
        own_standing,
        search_list,
    )

    k, where, balance = options
    members = space.pictures if kind == "pictures" else space.texts
    standings = [
        empty_standing(members.vectors, words_of(space.folder).nothing, k=k)
        if is_text
        else own_standing(members.vectors, k=k)
        for is_text in empty
        if kind == "pictures"
    ]
    tags = [
        name
        for name, reading in space.readability.items()
        if reading["readable"] and name in members.metadata.columns
    ]
    return search_list(
        members, queries, k=k, where=where, standings=standings, tags=tags, balance=balance
    )


def write_sheet(path: Path, space: "CreativeSpace", rows: list[tuple[str, list[str]]]) -> None:
    """Write a contact sheet."""
    from segmenter.creative.spectra import contact_sheet  # noqa: PLC0415 - --help must be fast
    from segmenter.files import atomic_file  # noqa: PLC0415

    wanted = [one for _, ids in rows for one in ids]
    content = contact_sheet(space.thumbnails(wanted), rows)
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def spectrum(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    space: Space,
    start: Annotated[str, typer.Option("--from", help="Words, or asset:ID,ID.")],
    end: Annotated[str, typer.Option("--to", help="Words, or asset:ID,ID.")],
    anchor: Annotated[
        str | None, typer.Option("--anchor", help="Asset that the others shall be like.")
    ] = None,
    n: Annotated[int, typer.Option("--n", min=2, help="Pictures.")] = 11,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="PNG: the spectrum and the control.")
    ] = None,
    model: Model = None,
    seed: Seed = 0,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Lay real pictures from one pole to the other, all else alike, beside random ones."""
    from segmenter.creative.spectra import ASSET, find_spectrum  # noqa: PLC0415 - --help is fast
    from serving.creative_views import spectrum_lines, spectrum_table  # noqa: PLC0415
    from serving.space_plain import plain  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    library = opened(space)
    in_words = not (start.startswith(ASSET) and end.startswith(ASSET))
    encoder = encoder_of(library, model) if in_words else None
    found = find_spectrum(library, encoder, (start, end), anchor=anchor, n_steps=n, seed=seed)
    terminal.say(spectrum_table(found))
    for line in spectrum_lines(found):
        terminal.say(Text(line))
    if sheet is not None:
        rows = [(f"{start} to {end}", [*found.ids]), ("random", [*found.control_ids])]
        write_sheet(sheet, library, rows)
        terminal.say(Text(f"Both rows are on {sheet}"))
    terminal.finish(plain(found))
