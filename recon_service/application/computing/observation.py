"""What a kiosk's visit says of the person before it, compared with nobody."""

from __future__ import annotations

import time

from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.verify import observe
from recon_service.application.computing.visit_decoding import decode_visit
from recon_service.application.records.identifications import ObservedVisit
from recon_service.application.records.visits import KioskVisit


def observed_visit(visit: KioskVisit, pipeline: FacePipeline) -> ObservedVisit:
    """Decode and fit every frame. Raises DepthRejected, ImageRejected."""
    start = time.perf_counter()
    frames = decode_visit(visit, limits=pipeline.image_limits)
    decoded = time.perf_counter()
    probe = observe(frames, pipeline)
    ended = time.perf_counter()
    return ObservedVisit(
        probe.posterior,
        probe.source,
        len(probe.fits),
        probe.faults,
        probe.presentation,
        probe.appearance,
        pipeline.calibration.identity,
        {"decode": round(1000 * (decoded - start), 2), "fit": round(1000 * (ended - decoded), 2)},
    )
