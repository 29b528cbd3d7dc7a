from __future__ import annotations

import pytest

from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.observing import OBSERVERS
from recon_service.evaluation.rows import DEFAULT_ROWS, KINDS, Row, Side


@pytest.mark.parametrize(
    "name", [*DEFAULT_ROWS, "image5-image1", "depthonly3-depth10", "landmarks3+tddfa_v2-depth3"]
)
def test_a_row_is_its_name(name: str) -> None:
    assert str(Row.parse(name)) == name


def test_a_row_names_enrollment_and_probe() -> None:
    assert Row.parse("image5-depth3") == Row(Side("image", 5), Side("depth", 3))


def test_the_fused_row_compares_pictures_with_depth_and_is_led_by_both() -> None:
    fused, shape = Row.parse("fused5-1"), Row.parse("image5-depth1")
    assert (fused.reference, fused.probe) == (shape.reference, shape.probe)
    assert str(fused) == "fused5-1"
    assert Row.parse(str(fused)) == fused
    assert fused.leads_with_appearance
    assert not shape.leads_with_appearance
    assert Row.parse("image5-image1").leads_with_appearance


@pytest.mark.parametrize(
    "name",
    [
        "",
        "image5",
        "image5-depth",
        "image0-depth1",
        "voice1-depth1",
        "image5 depth3",
        "depth3+deca-depth3",
        "image5+-depth3",
    ],
)
def test_what_is_no_row_is_told(name: str) -> None:
    with pytest.raises(InvalidValue):
        Row.parse(name)


def test_a_strengthened_reference_is_compared_as_what_the_visits_saw() -> None:
    row = Row.parse("strengthened5-depth3")
    assert str(row) == "strengthened5-depth3"
    assert row.strengthened
    assert row.one_kind
    assert not row.leads_with_appearance
    assert not Row.parse("image5-depth3").one_kind
    for wrong in ("depth3-strengthened5", "strengthened5-image3"):
        with pytest.raises(InvalidValue):
            Row.parse(wrong)


def test_every_kind_can_be_observed() -> None:
    assert KINDS.keys() == OBSERVERS.keys()


def test_a_backend_may_join_a_side_of_pictures() -> None:
    row = Row.parse("image5+tddfa_v2-depth3")
    assert (row.reference.kind, row.reference.backend, row.probe.backend) == (
        "image+tddfa_v2",
        "tddfa_v2",
        "",
    )
    assert row.reference.medium is Row.parse("image5-depth3").reference.medium
