"""Conversions: to the byte where the result is declared, checked and recorded where the user brings it."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recon_service.weights.convert.basel import basel_bases
from recon_service.weights.convert.errors import OriginalInvalid, PickleRefused
from recon_service.weights.convert.originals import DECLARED, OWN, convert, git_blob
from recon_service.weights.derived import locate_derived, write_derived
from recon_service.weights.errors import UnknownWeights, WeightsAltered, WeightsMissing, WeightsNotAllowed
from recon_service.weights.store import State, WeightStore

COUNT = 200


@pytest.fixture
def store(tmp_path: Path) -> WeightStore:
    return replace(
        WeightStore.from_environment({}), directory=tmp_path, mirror=None, allow_noncommercial=True
    )


def pickled_bases(**changes: object) -> bytes:
    rng = np.random.default_rng(1)
    mean = rng.uniform(-1e5, 1e5, (COUNT, 3))
    mean[30], mean[0], mean[16] = (0, 0, 1e5), (-7e4, 0, 0), (7e4, 0, 0)
    columns = (np.arange(68)[:, None] * 3 + np.arange(3)).reshape(-1)
    value = {
        "u": mean.reshape(-1, 1),
        "w_shp": rng.standard_normal((3 * COUNT, 199)),
        "w_exp": rng.standard_normal((3 * COUNT, 29)),
        "keypoints": columns,
    }
    return pickle.dumps({**value, **changes})


@pytest.mark.parametrize("name", ["faceboxes", "tddfa-v2", "tddfa-v2-whitening"])
def test_a_declared_conversion_gives_the_declared_file(
    name: str, store: WeightStore, weights_mirror: Path
) -> None:
    with_mirror = replace(store, mirror=weights_mirror)
    path = convert(with_mirror, name)
    assert path.is_relative_to(store.directory)
    assert with_mirror.state(with_mirror.manifest.find(name)) is State.PRESENT


def test_every_conversion_is_declared(store: WeightStore) -> None:
    for name, conversion in DECLARED.items():
        assert f"recon weights convert {name}" in store.manifest.find(name).mend_command
        store.manifest.find(conversion.original)
    for name in OWN:
        assert f"recon weights convert {name} --from" in store.manifest.find_derived(name).command


def test_another_original_is_refused(store: WeightStore, tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    other.write_bytes(pickle.dumps({"mean": np.zeros(62), "std": np.ones(62)}))
    with pytest.raises(OriginalInvalid):
        convert(store, "tddfa-v2-whitening", source=other)
    with pytest.raises(OriginalInvalid, match="not the file of the original repository"):
        convert(store, "bfm", source=other)
    with pytest.raises(OriginalInvalid, match="of yours"):
        convert(store, "bfm")
    with pytest.raises(UnknownWeights):
        convert(store, "nothing")
    with pytest.raises(WeightsNotAllowed):
        convert(replace(store, allow_noncommercial=False), "bfm", source=other)


def test_git_names_content_as_git_does() -> None:
    assert git_blob(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_bases_are_laid_out_and_checked() -> None:
    bases = basel_bases(pickled_bases(), vertices=COUNT)
    original = pickle.loads(pickled_bases())
    assert bases["w_shp"].shape == (COUNT, 3, 40)
    assert bases["w_exp"].shape == (COUNT, 3, 10)
    np.testing.assert_allclose(bases["u"][5], original["u"][15:18, 0], rtol=1e-6)
    np.testing.assert_allclose(bases["w_shp"][7, 1], original["w_shp"][22, :40], rtol=1e-6)
    assert list(bases["keypoints68"]) == list(range(68))


@pytest.mark.parametrize(
    "changes",
    [
        {"u": np.zeros((3 * COUNT, 1))},
        {"u": np.random.default_rng(1).uniform(-100, 100, (3 * COUNT, 1))},
        {"w_shp": np.zeros((3 * COUNT, 39))},
        {"w_shp": np.full((3 * COUNT, 40), np.nan)},
        {"w_exp": np.zeros((COUNT, 10))},
        {"keypoints": np.arange(67)},
        {"keypoints": np.full(68, COUNT)},
    ],
)
def test_other_bases_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(OriginalInvalid):
        basel_bases(pickled_bases(**changes), vertices=COUNT)


def test_bases_with_a_program_in_them_are_refused() -> None:
    class Program:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("it ran",)

    with pytest.raises(PickleRefused):
        basel_bases(pickled_bases(keypoints=Program()), vertices=COUNT)


def test_a_derived_file_is_known_by_its_record(store: WeightStore) -> None:
    with pytest.raises(WeightsMissing) as missing:
        locate_derived(store, "bfm")
    assert "recon weights convert bfm" in missing.value.next_step
    path = write_derived(store, "bfm", b"bases", made_from={"original": "0" * 64})
    assert locate_derived(store, "bfm") == path
    path.write_bytes(b"other")
    with pytest.raises(WeightsAltered):
        locate_derived(store, "bfm")
    with pytest.raises(WeightsNotAllowed):
        locate_derived(replace(store, allow_noncommercial=False), "bfm")
