"""One folder = one fitted model: JSON and safetensors files under a manifest with digests.

Nothing here is ever unpickled. A folder that is damaged, incomplete or of a newer format is
refused before any of its content is used.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from segmenter.errors import BundleError
from segmenter.files import (
    atomic_folder,
    digest_of_file,
    digest_of_json,
    write_json,
    write_text,
)

FORMAT_VERSION = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class BundleContent:
    """What a bundle holds.

    Attributes
    ----------
    documents
        File stem to JSON value.
    arrays
        File stem to named arrays.
    digest
        SHA-256 over the digests of all files: the identity of the model.
    """

    documents: dict[str, Any]
    arrays: dict[str, dict[str, np.ndarray]]
    digest: str


def write_bundle(
    folder: Path,
    *,
    documents: Mapping[str, Any],
    arrays: Mapping[str, Mapping[str, np.ndarray]],
) -> str:
    """Write a bundle, atomically.

    Parameters
    ----------
    folder
        Where it shall stand; an older bundle there is replaced.
    documents
        File stem to JSON value; the order of keys is kept.
    arrays
        File stem to named arrays.

    Returns
    -------
    str
        The bundle's digest.
    """
    with atomic_folder(folder) as temporary:
        for stem, value in documents.items():
            # In the order given: the network numbers its fields by their order in the vocabulary.
            text = json.dumps(value, indent=1, allow_nan=False)
            write_text(temporary / f"{stem}.json", text + "\n")
        for stem, named in arrays.items():
            # Not ascontiguousarray, which gives a scalar a dimension.
            plain = {name: np.asarray(array, order="C") for name, array in named.items()}
            save_file(plain, temporary / f"{stem}.safetensors")
        files = {
            path.name: {"sha256": digest_of_file(path), "bytes": path.stat().st_size}
            for path in sorted(temporary.iterdir())
        }
        digest = digest_of_json(files)
        manifest = {"format_version": FORMAT_VERSION, "files": files, "digest": digest}
        write_json(temporary / MANIFEST, manifest)
    return digest


def read_bundle(folder: Path) -> BundleContent:
    """Read a bundle after checking it against its manifest.

    Raises
    ------
    BundleError
        If the folder is no bundle, lacks a file, holds a damaged file, or is of a newer format.
    """
    manifest = read_manifest(folder)
    documents, arrays = {}, {}
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            message = f"{folder} is incomplete: {name} is missing; fetch or train the model again"
            raise BundleError(message)
        try:
            if digest_of_file(path) != expected["sha256"]:
                message = f"{folder} is damaged: {name} does not match its digest; fetch it again"
                raise BundleError(message)
            if path.suffix == ".json":
                documents[path.stem] = json.loads(path.read_text(encoding="utf-8"))
            else:
                arrays[path.stem] = load_file(path)
        except (OSError, ValueError, SafetensorError) as error:
            message = f"{folder} is damaged: {name} cannot be read: {error}"
            raise BundleError(message) from error
    return BundleContent(documents, arrays, manifest["digest"])


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a bundle's manifest: format version, files with digests, and the bundle's digest.

    Raises
    ------
    BundleError
        If there is none, it is no manifest, does not match itself, or is of a newer format.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version = int(manifest["format_version"])
    except OSError as error:
        message = f"{folder} is no model bundle: it has no readable {MANIFEST}"
        raise BundleError(message) from error
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        message = f"{folder} is no model bundle or a damaged one: {MANIFEST} is no manifest"
        raise BundleError(message) from error
    if version > FORMAT_VERSION:
        message = (
            f"{folder} has bundle format {version}, newer than {FORMAT_VERSION}, "
            "which this version reads; upgrade segmenter"
        )
        raise BundleError(message)
    if version < 1 or not _lists_files(manifest):
        message = f"{folder} is damaged: {MANIFEST} does not match its own digest"
        raise BundleError(message)
    return manifest


def _lists_files(manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest lists files of its own folder and matches its digest."""
    files = manifest.get("files")
    try:
        return (
            isinstance(files, dict)
            and manifest.get("digest") == digest_of_json(files)
            and all(Path(name).name == name and "sha256" in files[name] for name in files)
        )
    except (ValueError, TypeError):
        return False
