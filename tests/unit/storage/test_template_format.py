from __future__ import annotations

import json
import struct
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon_service.domain.appearance import Appearance, Light
from recon_service.domain.errors import StorageFault
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import Provenance, Template
from recon_service.storage.template_format import BinaryTemplateFormat

FORMAT = BinaryTemplateFormat()


def make_template(modes: int = 7, seed: int = 0) -> Template:
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(modes, modes))
    moment = datetime(2026, 3, 4, 5, 6, 7, 8, tzinfo=UTC)
    return Template(
        template_id="tpl_1",
        subject_id="ada",
        posterior=IdentityPosterior("space-é", rng.normal(size=modes), factor @ factor.T + np.eye(modes)),
        source="facemesh468",
        model="builtin",
        calibration="table-1",
        provenance=(Provenance("facemesh468", "facemesh", moment),) * 2,
        quality=61.25,
        created_at=moment,
    )


@pytest.mark.parametrize("modes", [1, 2, 60, 100])
def test_comes_back_bit_for_bit(modes: int) -> None:
    template = make_template(modes, seed=modes)
    content = FORMAT.write(template)
    again = FORMAT.read(content)
    assert np.array_equal(again.posterior.mean, template.posterior.mean)
    lower = np.tril_indices(modes)
    assert np.array_equal(again.posterior.covariance[lower], template.posterior.covariance[lower])
    assert (again.template_id, again.subject_id, again.provenance) == ("tpl_1", "ada", template.provenance)
    assert (again.quality, again.created_at, again.posterior.space) == (61.25, template.created_at, "space-é")
    assert FORMAT.write(again) == content


def test_an_appearance_comes_back_bit_for_bit() -> None:
    vectors = np.random.default_rng(0).normal(size=(3, 512))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    seen = Appearance.of(vectors, embedder="net", version="ab12", light=Light.INFRARED)
    content = FORMAT.write(replace(make_template(), appearance=seen))
    again = FORMAT.read(content).appearance
    assert again is not None
    assert np.array_equal(again.mean, seen.mean)
    assert (again.network, again.light, again.count) == (seen.network, seen.light, 3)
    for wrong in (content[:-8], content + bytes(8)):
        with pytest.raises(StorageFault):
            FORMAT.read(wrong)


def test_a_template_of_version_1_is_read_without_an_appearance() -> None:
    content = FORMAT.write(make_template())
    length = struct.unpack_from("<I", content, 6)[0]
    header = json.loads(content[10 : 10 + length])
    del header["appearance"]
    old = json.dumps(header).encode()
    template = FORMAT.read(struct.pack("<4sHI", b"RTPL", 1, len(old)) + old + content[10 + length :])
    assert template.appearance is None
    assert FORMAT.write(template) == content


@settings(max_examples=100)
@given(data=st.data())
def test_damaged_bytes_are_a_storage_fault_or_a_valid_template(data: st.DataObject) -> None:
    content = bytearray(FORMAT.write(make_template(3)))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        template = FORMAT.read(bytes(content))
    except StorageFault:
        return
    assert np.isfinite(template.posterior.mean).all()


@settings(max_examples=50)
@given(content=st.binary(max_size=300))
def test_random_bytes_are_a_storage_fault(content: bytes) -> None:
    with pytest.raises(StorageFault):
        FORMAT.read(content)


def test_a_pickle_is_not_read() -> None:
    import pickle

    with pytest.raises(StorageFault):
        FORMAT.read(pickle.dumps(make_template()))


def test_truncated_and_lengthened_bytes_are_refused() -> None:
    content = FORMAT.write(make_template())
    for wrong in (content[:-1], content + b"\0", content[:10], b""):
        with pytest.raises(StorageFault):
            FORMAT.read(wrong)
