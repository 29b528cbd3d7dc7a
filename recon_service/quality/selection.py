"""Best-frame selection: of more pictures of one person than are needed, those to be used.

Shape comes from views that differ (three or more, thirty degrees to either side), and each view is worth as
much as its picture is good. So every range of yaw gives its best picture before any gives a second one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from recon_service.domain.quality import QualityReport

VIEWS: Final = (0.0, -30.0, 30.0, -15.0, 15.0)
"""Degrees of yaw, in the order in which they are wanted; a picture belongs to the nearest."""


def best_frames(reports: Sequence[QualityReport], *, most: int) -> tuple[int, ...]:
    """The places of at most ``most`` of the accepted pictures, in their order.

    Exchanging the order of the pictures changes the choice only between pictures that are equally good.
    """
    accepted = [place for place, report in enumerate(reports) if report.accepted]
    by_view: dict[float, list[int]] = {view: [] for view in VIEWS}
    for place in sorted(accepted, key=lambda p: -reports[p].unified):
        yaw = yaw_of(reports[place])
        by_view[min(VIEWS, key=lambda view: abs(view - yaw))].append(place)
    chosen: list[int] = []
    while len(chosen) < min(most, len(accepted)):
        chosen += [places.pop(0) for places in by_view.values() if places][: most - len(chosen)]
    return tuple(sorted(chosen))


def yaw_of(report: QualityReport) -> float:
    """Degrees, to the person's own left; 0 where it was not measured."""
    return next((m.raw for m in report.measures if m.name == "yaw"), 0.0)
