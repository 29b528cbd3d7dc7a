"""Whether the selfies of an enrollment show enough sides of a face for its skin to tell the shape.

Shape comes from what moves between pictures of a head that turns. Of a head that does not, the little that
moves is error: a template of such a set refuses its own person, however many pictures there are
(docs/adr/0195).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from recon_service.domain.pose import HeadPose
from recon_service.domain.quality import QualityMeasure, QualityReport, Verdict

LEAST_TURN_DEG = 15.0
"""Between the two heads that look in the most different directions: below it landmarks say more."""
GOOD_TURN_DEG, GOOD_PICTURES = 25.0, 3
"""From here on nothing needs to be said. Two pictures err more than the released calibrations expect."""
IDEAL_TURN_DEG = 45.0


def widest_turn(poses: Sequence[HeadPose]) -> float:
    """Degrees between the directions in which the two most different heads look; 0 of one head."""
    ahead = [pose.rotation[:, 2] for pose in poses]
    cosines = [float(one @ other) for one, other in combinations(ahead, 2)]
    return float(np.rad2deg(np.arccos(np.clip(min(cosines, default=1.0), -1.0, 1.0))))


def tell_the_shape(poses: Sequence[HeadPose]) -> bool:
    """Whether matching the skin of these pictures says more than their landmarks do."""
    return widest_turn(poses) >= LEAST_TURN_DEG


def with_advice(report: QualityReport, together: Sequence[QualityReport]) -> QualityReport:
    """The report of one picture of a set, with what to do where the set shows too few sides; it rejects
    nothing. together: the reports of the set, whose measures say where the heads look. One picture alone may
    be one of several that are looked at one by one: nothing is said of it.
    """
    turn = widest_turn([_looking(one) for one in together])
    if len(together) < 2 or (turn >= GOOD_TURN_DEG and len(together) >= GOOD_PICTURES):
        return report
    advice = QualityMeasure(
        name="views",
        raw=turn,
        unit="degrees",
        score=min(100.0, 100.0 * turn / IDEAL_TURN_DEG) if len(together) >= GOOD_PICTURES else 0.0,
        verdict=Verdict.WARNING,
        hint="Take three selfies: one straight on, and one with the head turned a little to either side.",
        code="too-few-views",
        advice=True,
    )
    return QualityReport((*report.measures, advice))


def _looking(report: QualityReport) -> HeadPose:
    angles = {measure.name: measure.raw for measure in report.measures}
    yaw, pitch = angles.get("yaw", 0.0), angles.get("pitch", 0.0)
    return HeadPose.from_angles(yaw=yaw, pitch=pitch, roll=0.0, translation=np.zeros(3))
