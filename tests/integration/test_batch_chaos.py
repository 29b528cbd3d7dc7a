"""A small `make chaos-batch`: a batch in a service that is killed again and again, activated and rolled
back.
"""

from __future__ import annotations

from pathlib import Path

from tests.chaos.batches import Wish, run

SUBJECTS = 200


def test_a_batch_survives_kills_and_its_rollback_is_bit_equal(tmp_path: Path) -> None:
    wish = Wish(
        subjects=SUBJECTS,
        kills=2,
        pause=0.1,
        pauses=0,
        limit=240.0,
        # Small groups: a kill shall meet the work, not the time between.
        settings=(("RECON_BATCH_GROUP", "4"), ("RECON_JOB_SILENCE_SECONDS", "1")),
    )
    report = run("embedded", tmp_path, wish)
    assert report.good, report
    assert report.ends == {"succeeded": SUBJECTS + 1}
    assert report.standings == {"rolled-back": SUBJECTS + 1}
    assert sum(report.kills.values()) >= 1, "the test did not get to its point"
    assert report.listings
