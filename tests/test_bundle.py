"""The bundle: what was written comes back, and nothing else is ever accepted."""

import json
import pickle  # noqa: TID251 - to show that a bundle never runs one
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra import numpy as arrays_of

from segmenter.bundle import FORMAT_VERSION, read_bundle, read_manifest, write_bundle
from segmenter.errors import BundleError
from segmenter.files import digest_of_file, digest_of_json, write_json

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = {"network": {"z": 1, "a": [1.5, None]}, "segments": []}
ARRAYS = {
    "weights": {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "scale": np.float32(2)},
    "assigner": {"labels": np.array([1, 2], dtype=np.int32)},
}
FILES = ("network.json", "segments.json", "weights.safetensors", "assigner.safetensors")
names = st.text("abcdef_.0", min_size=1, max_size=6)
some_arrays = arrays_of.arrays(
    st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_]),
    arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "bundle", documents=DOCUMENTS, arrays=ARRAYS)
    return tmp_path / "bundle"


def rewrite_manifest(bundle: Path, **changes: Any) -> None:
    """Change a manifest, with a digest that fits unless one is given."""
    manifest = json.loads((bundle / "manifest.json").read_text()) | changes
    if "digest" not in changes:
        manifest["digest"] = digest_of_json(manifest["files"])
    write_json(bundle / "manifest.json", manifest)


@given(st.dictionaries(names, some_arrays, max_size=4))
def test_arrays_come_back_with_value_type_and_shape(tmp_path_factory, named):
    folder = tmp_path_factory.mktemp("arrays") / "bundle"
    digest = write_bundle(folder, documents={}, arrays={"stem": named})
    content = read_bundle(folder)
    assert content.digest == digest == read_manifest(folder)["digest"]
    assert set(content.arrays["stem"]) == set(named)
    for name, array in named.items():
        found = content.arrays["stem"][name]
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found, array)


@given(st.permutations(["event", "category", "item", "value", "a"]))
def test_documents_come_back_with_their_keys_in_the_order_given(tmp_path_factory, keys):
    folder = tmp_path_factory.mktemp("documents") / "bundle"
    value = {"values": {key: [key, "ümlaut", None, 0.1] for key in keys}}
    write_bundle(folder, documents={"network": value}, arrays={})
    found = read_bundle(folder).documents["network"]
    assert found == value
    assert list(found["values"]) == keys


def test_an_array_that_is_not_contiguous_comes_back(tmp_path):
    array = np.arange(12.0).reshape(3, 4).T[::2]
    write_bundle(tmp_path / "bundle", documents={}, arrays={"a": {"turned": array}})
    found = read_bundle(tmp_path / "bundle").arrays["a"]["turned"]
    np.testing.assert_array_equal(found, array)


def test_the_digest_is_the_identity_of_the_content(tmp_path, bundle):
    again = write_bundle(tmp_path / "again", documents=DOCUMENTS, arrays=ARRAYS)
    other_arrays = ARRAYS | {"assigner": {"labels": np.array([1, 3], dtype=np.int32)}}
    other = write_bundle(tmp_path / "other", documents=DOCUMENTS, arrays=other_arrays)
    renamed = write_bundle(tmp_path / "renamed", documents={}, arrays=ARRAYS)
    assert again == read_manifest(bundle)["digest"]
    assert len({again, other, renamed}) == 3
    files = read_manifest(bundle)["files"]
    assert {name: said["sha256"] for name, said in files.items()} == {
        name: digest_of_file(bundle / name) for name in FILES
    }


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_bundle_without_one_of_its_files_is_refused(bundle, name):
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=name):
        read_bundle(bundle)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_bundle_with_a_file_cut_short_is_refused(bundle, name):
    content = (bundle / name).read_bytes()
    for length in (0, len(content) // 2, len(content) - 2):
        (bundle / name).write_bytes(content[:length])
        with pytest.raises(BundleError, match=name):
            read_bundle(bundle)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([*FILES, "manifest.json"]), st.data())
def test_no_flipped_bit_is_ever_taken_for_the_content(bundle, name, data):
    before = (bundle / name).read_bytes()
    place, bit = data.draw(st.integers(0, len(before) - 1)), data.draw(st.integers(0, 7))
    flipped = before[:place] + bytes([before[place] ^ 1 << bit]) + before[place + 1 :]
    (bundle / name).write_bytes(flipped)
    try:
        content = read_bundle(bundle)
    except BundleError:
        return
    finally:
        (bundle / name).write_bytes(before)
    # White space between the words of the manifest says nothing.
    assert name == "manifest.json"
    assert json.loads(flipped) == json.loads(before)
    assert content.documents == DOCUMENTS


def test_a_file_that_the_manifest_does_not_list_is_never_read(bundle):
    (bundle / "extra.json").write_text("{ this is no JSON")
    (bundle / "notes").mkdir()
    assert set(read_bundle(bundle).documents) == set(DOCUMENTS)


@pytest.mark.parametrize(
    "manifest", ["", "null", "[]", "3", "{", '{"format_version": "new"}', "\ud800"]
)
def test_a_manifest_of_another_form_is_refused(bundle, manifest):
    (bundle / "manifest.json").write_bytes(manifest.encode(errors="surrogatepass"))
    with pytest.raises(BundleError, match=r"no model bundle or a damaged one"):
        read_bundle(bundle)


def test_a_newer_format_asks_for_an_upgrade_whatever_else_it_holds(bundle):
    write_json(bundle / "manifest.json", {"format_version": FORMAT_VERSION + 1, "parts": []})
    with pytest.raises(BundleError, match=r"format 2, newer than 1.*upgrade segmenter"):
        read_bundle(bundle)


def test_a_manifest_that_was_mended_by_hand_is_refused(bundle):
    files = read_manifest(bundle)["files"] | {"network.json": {"sha256": "0" * 64, "bytes": 1}}
    rewrite_manifest(bundle, files=files, digest=read_manifest(bundle)["digest"])
    with pytest.raises(BundleError, match="does not match its own digest"):
        read_bundle(bundle)


@pytest.mark.parametrize("name", ["../outside.json", "/etc/outside.json", "sub/inside.json"])
def test_a_manifest_cannot_name_files_outside_its_folder(tmp_path, bundle, name):
    (tmp_path / "outside.json").write_text("{}")
    said = {"sha256": digest_of_file(tmp_path / "outside.json"), "bytes": 2}
    rewrite_manifest(bundle, files=read_manifest(bundle)["files"] | {name: said})
    with pytest.raises(BundleError, match="damaged"):
        read_bundle(bundle)


@pytest.mark.parametrize("files", [[], None, {"network.json": 3}, {"network.json": {"bytes": 1}}])
def test_a_manifest_with_a_strange_list_of_files_is_refused(bundle, files):
    rewrite_manifest(bundle, files=files)
    with pytest.raises(BundleError, match="damaged"):
        read_bundle(bundle)


class Evil:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("name", FILES)
def test_a_pickle_with_the_right_digest_is_refused_and_not_run(tmp_path, bundle, name):
    trace = tmp_path / "trace"
    (bundle / name).write_bytes(pickle.dumps(Evil(trace)))
    size = (bundle / name).stat().st_size
    said = {"sha256": digest_of_file(bundle / name), "bytes": size}
    rewrite_manifest(bundle, files=read_manifest(bundle)["files"] | {name: said})
    with pytest.raises(BundleError, match=f"{name} cannot be read"):
        read_bundle(bundle)
    assert not trace.exists()


def test_a_bundle_is_json_and_safetensors_alone(world):
    suffixes = {path.suffix for path in world.bundle.rglob("*")}
    assert suffixes == {".json", ".safetensors"}


@pytest.mark.parametrize("folder", ["nowhere", "a file"])
def test_a_place_without_a_bundle_is_refused(tmp_path, folder):
    (tmp_path / "a file").touch()
    with pytest.raises(BundleError, match="no model bundle"):
        read_bundle(tmp_path / folder)


def test_a_write_that_fails_leaves_the_old_bundle(bundle):
    before = read_bundle(bundle)
    with pytest.raises(ValueError, match="JSON compliant"):
        write_bundle(bundle, documents={"network": float("nan")}, arrays=ARRAYS)
    assert read_bundle(bundle).digest == before.digest
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


def test_a_writer_that_is_killed_leaves_the_old_bundle(bundle):
    before = read_bundle(bundle).digest
    code = (
        "import os, signal, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from segmenter.bundle import write_bundle\n"
        "def die(event, args):\n"
        "    if event == 'os.rename' and str(args[1]).endswith('manifest.json'):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.addaudithook(die)\n"
        "write_bundle(Path(sys.argv[1]), documents={'a': 1}, arrays={'b': {'c': np.ones(9)}})\n"
    )
    command = [sys.executable, "-c", code, str(bundle)]
    done = subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603 - our own code
    assert done.returncode == -signal.SIGKILL
    assert read_bundle(bundle).digest == before
    after = write_bundle(bundle, documents={"a": 1}, arrays={})
    assert read_bundle(bundle).digest == after != before
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


def test_a_bundle_can_be_copied_anywhere(bundle, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "an other pl#ce?")
    assert read_bundle(copy).digest == read_bundle(bundle).digest
