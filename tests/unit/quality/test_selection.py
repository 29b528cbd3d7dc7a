"""Of more pictures than are needed, the best of every view."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recon_service.domain.quality import QualityMeasure, QualityReport, Verdict
from recon_service.quality.scale import measure
from recon_service.quality.selection import VIEWS, best_frames, yaw_of


def report(yaw: float, sharpness: float, *, accepted: bool = True) -> QualityReport:
    angle = QualityMeasure("yaw", yaw, "degrees", 100.0 - abs(yaw), Verdict.GOOD)
    size = measure("face_size", 9.0, "pixels", 90.0 if accepted else 0.0, "Come closer.")
    return QualityReport((size, measure("sharpness", sharpness, "ratio", sharpness, "Hold still."), angle))


def view(yaw: float) -> float:
    return min(VIEWS, key=lambda v: abs(v - yaw))


captures = st.lists(
    st.builds(report, st.floats(-45, 45), st.floats(40, 100), accepted=st.booleans()), max_size=12
)


@given(captures, st.integers(1, 8))
def test_the_best_of_each_view_before_a_second_of_any(reports: list[QualityReport], most: int) -> None:
    chosen = best_frames(reports, most=most)
    accepted = [k for k, r in enumerate(reports) if r.accepted]
    assert list(chosen) == sorted(set(chosen))
    assert set(chosen) <= set(accepted)
    assert len(chosen) == min(most, len(accepted))
    views = [view(yaw_of(reports[k])) for k in accepted]
    taken = [view(yaw_of(reports[k])) for k in chosen]
    # As many views as can be.
    assert len(set(taken)) == min(most, len(set(views)))
    for k in accepted:
        for other in chosen:
            if k not in chosen and view(yaw_of(reports[k])) == view(yaw_of(reports[other])):
                assert reports[other].unified >= reports[k].unified


def test_a_turned_head_is_no_worse_picture_than_a_frontal_one() -> None:
    assert report(-30.0, 80.0).unified == report(0.0, 80.0).unified
    spread = [report(yaw, 90.0) for yaw in (0, 1, 2, 3, 29, -31)]
    assert {4, 5} < set(best_frames(spread, most=3))


@given(captures, st.randoms())
def test_the_order_of_the_pictures_does_not_matter(reports: list[QualityReport], random: object) -> None:
    order = np.arange(len(reports))
    np.random.default_rng(len(reports)).shuffle(order)
    there = sorted(reports[k].unified for k in best_frames(reports, most=5))
    back = sorted(reports[order[k]].unified for k in best_frames([reports[k] for k in order], most=5))
    assert np.allclose(there, back)
