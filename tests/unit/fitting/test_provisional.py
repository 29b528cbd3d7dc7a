"""Fits that are only a start for the next one."""

from __future__ import annotations

import numpy as np

from recon_service.fitting import fit_identity
from tests.observations import Person, builtin_model, landmark_model, landmark_noise, pose, seen_by

MODEL = builtin_model()


def test_a_fit_on_the_way_looks_at_half_the_landmarks_and_does_not_change_where_the_next_one_ends() -> None:
    rng = np.random.default_rng(0)
    person, model = Person.drawn(rng), landmark_model()
    captures = [
        seen_by(person, pose(yaw), noise_mm=noise)
        for yaw, noise in zip((0.0, 15.0, -15.0), landmark_noise(model, 3, rng), strict=True)
    ]
    start = fit_identity(MODEL, captures, landmark_model=model, iterations=4, provisional=True)
    ended = fit_identity(MODEL, captures, landmark_model=model, start=start)
    alone = fit_identity(MODEL, captures, landmark_model=model)
    for few, all_of_them in zip(start.captures, ended.captures, strict=True):
        assert 0.4 < few.used_points / all_of_them.used_points < 0.6
    assert np.array_equal(start.posterior.covariance, np.eye(MODEL.identity_modes)), "nobody computed it"
    sd = np.sqrt(np.diag(alone.posterior.covariance))
    # The visible landmarks are chosen at the pose that a fit starts from: a few at the edge are others.
    assert np.abs((ended.posterior.mean - alone.posterior.mean) / sd).max() < 0.5
