from __future__ import annotations

from pathlib import Path

import pytest

from recon_service.weights.digest import file_sha256
from recon_service.weights.errors import ManifestInvalid, UnknownWeights
from recon_service.weights.manifest import Build, Conversion, Manifest, PackageMember, Url, load_manifest
from recon_service.weights.places import bundled_directory

ENTRY = """
[[file]]
name = "model"
path = "family/model.bin"
title = "a model"
sha256 = "{sha256}"
bytes = 3
license = "MIT"
commercial_use = true
sources = [{sources}]
"""


def write(folder: Path, *, sha256: str = "0" * 64, sources: str = "", more: str = "") -> Path:
    path = folder / "manifest.toml"
    path.write_text(ENTRY.format(sha256=sha256, sources=sources) + more)
    return path


def shipped() -> Manifest:
    return load_manifest(bundled_directory() / "manifest.toml")


def test_every_kind_of_source_is_read_in_order(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        sources="""
        { kind = "package", requirement = "toy==1", member = "a", python_version = "3.12", platform = "any" },
        { kind = "url", url = "https://example.org/a" },
        { kind = "build", command = "recon weights build ict" },
        { kind = "convert", original = "other" }""",
    )
    (file,) = load_manifest(path).files
    assert [type(source) for source in file.sources] == [PackageMember, Url, Build, Conversion]
    assert file.size == 3


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sha256": "ABC"}, "SHA-256"),
        ({"sources": '{ kind = "torrent", url = "x" }'}, "torrent"),
        ({"sources": '{ kind = "url", adress = "x" }'}, "adress"),
        ({"more": "unknown_key = 1"}, "unknown_key"),
        ({"more": ENTRY.format(sha256="0" * 64, sources="")}, "Two files"),
        ({"more": "[["}, "not valid"),
    ],
)
def test_a_manifest_that_breaks_the_rules_is_refused(
    tmp_path: Path, change: dict[str, str], says: str
) -> None:
    with pytest.raises(ManifestInvalid, match=says):
        load_manifest(write(tmp_path, **change))


@pytest.mark.parametrize("path", ["../model.bin", "/etc/passwd", "a/../../b", ""])
def test_no_path_leaves_the_weights_folder(tmp_path: Path, path: str) -> None:
    manifest = write(tmp_path)
    manifest.write_text(manifest.read_text().replace("family/model.bin", path))
    with pytest.raises(ManifestInvalid, match="leaves"):
        load_manifest(manifest)


def test_a_file_is_found_by_name_and_by_path() -> None:
    manifest = shipped()
    assert manifest.find("face-landmark") is manifest.find("mediapipe/face_landmark.tflite")
    with pytest.raises(UnknownWeights, match="nose"):
        manifest.find("nose")
    with pytest.raises(UnknownWeights, match="nose"):
        manifest.in_set("nose")


def test_the_default_set_is_free_for_commercial_use_and_comes_from_a_package() -> None:
    files = shipped().in_set("default")
    assert {file.name for file in files} == {"face-landmark", "face-detection-short-range"}
    assert all(file.commercial_use and isinstance(file.sources[0], PackageMember) for file in files)


def test_every_declared_file_says_what_to_do_when_it_is_missing() -> None:
    for file in shipped().files:
        assert file.mend_command.startswith("recon weights ") != file.only_from_mirror, file.name


def test_urls_are_secure_and_no_file_for_sale_is_academic() -> None:
    for file in shipped().files:
        assert all(source.url.startswith("https://") for source in file.sources if isinstance(source, Url))
        assert not (file.commercial_use and "academic" in file.license.lower()), file.name
        assert not (file.commercial_use and "GPL" in file.license), file.name


def test_the_mirror_holds_every_declared_file(weights_mirror: Path) -> None:
    # Originals that are only converted need not be mirrored, nor what a command of ours makes of them.
    declared = {
        file.path: (file.size, file.sha256)
        for file in shipped().files
        if (file.only_from_mirror or file.can_be_pulled)
        and "originals" not in file.sets
        or (weights_mirror / file.path).exists()
    }
    for path, (size, sha256) in declared.items():
        mirrored = weights_mirror / path
        assert mirrored.stat().st_size == size, path
        assert file_sha256(mirrored) == sha256, path
