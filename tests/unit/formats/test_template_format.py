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
from recon_service.domain.errors import InvalidValue, ModelMismatch, StorageFault
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import DepthVisit, Provenance, Template
from recon_service.formats.template_format import BinaryTemplateFormat

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


def visit(number: int, modes: int = 7) -> DepthVisit:
    seen = make_template(modes, seed=number)
    return DepthVisit(
        visit_id=f"vis_{number}",
        posterior=seen.posterior,
        source="depth/kinect2",
        captures=3,
        calibration="table-1",
        captured_at=seen.created_at,
        policy="p-1",
        score=3.75,
        confirmed=bool(number % 2),
        gain=12.5,
        kiosk="7a" * 32,
    )


def test_visits_come_back_bit_for_bit_and_one_can_be_left_out() -> None:
    visits = (visit(1), visit(2), visit(3))
    content = FORMAT.write(replace(make_template(), visits=visits))
    again = FORMAT.read(content)
    for one, before in zip(again.visits, visits, strict=True):
        assert np.array_equal(one.posterior.mean, before.posterior.mean)
        facts = replace(one, posterior=before.posterior)
        assert facts == before
    left = replace(again, visits=(again.visits[0], again.visits[2]))
    assert FORMAT.write(left) == FORMAT.write(replace(make_template(), visits=(visits[0], visits[2])))
    assert FORMAT.write(replace(again, visits=())) == FORMAT.write(make_template())
    for wrong in (content[:-8], content + bytes(8)):
        with pytest.raises(StorageFault):
            FORMAT.read(wrong)


def test_a_visit_of_another_coefficient_space_cannot_join() -> None:
    with pytest.raises(ModelMismatch):
        replace(make_template(), visits=(visit(1, modes=6),))
    with pytest.raises(InvalidValue):
        replace(visit(1), source="selfies/visible")


@pytest.mark.parametrize("version", [1, 2])
def test_templates_of_older_versions_are_read_without_visits(version: int) -> None:
    content = FORMAT.write(make_template())
    length = struct.unpack_from("<I", content, 6)[0]
    header = json.loads(content[10 : 10 + length])
    del header["visits"]
    old = json.dumps(header, sort_keys=True).encode()
    template = FORMAT.read(struct.pack("<4sHI", b"RTPL", version, len(old)) + old + content[10 + length :])
    assert template.visits == ()
    assert FORMAT.write(template) == content


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
