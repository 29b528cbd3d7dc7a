"""The photometric fit of many people together: each round is one call of a matcher that works in batches."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from recon_service.application.computing.photometric import LandmarkFit, PhotometricOptions, refinement
from recon_service.domain.evidence import SurfaceMatches
from recon_service.domain.fit import Fit
from recon_service.domain.landmark_model import LandmarkModel
from recon_service.domain.morphable_model import MorphableModel
from recon_service.matching import PictureSet, SkinMatchingOfMany


def refined_together(
    people: Sequence[LandmarkFit],
    *,
    model: MorphableModel,
    landmark_model: LandmarkModel,
    matcher: SkinMatchingOfMany,
    options: PhotometricOptions | None = None,
    threads: int = 1,
) -> list[Fit | None]:
    """``refined`` for each of them, matched in one call per round. threads: fits are solved by so many."""
    results: list[Fit | None] = [None] * len(people)

    def begun(k: int) -> Step:
        steps = refinement(
            people[k], model=model, landmark_model=landmark_model, matcher=matcher, options=options
        )
        return advanced(k, steps, lambda: next(steps))

    def advanced(k: int, steps: Refinement, work: Callable[[], PictureSet]) -> Step:
        try:
            return k, steps, work()
        except StopIteration as end:
            results[k] = end.value
            return k, steps, None

    def answered(step: tuple[int, Refinement, Sequence[SurfaceMatches]]) -> Step:
        k, steps, matches = step
        return advanced(k, steps, lambda: steps.send(matches))

    with ThreadPoolExecutor(threads) as pool:
        open_ = _asking(pool.map(begun, range(len(people))))
        for round_ in range(matcher.rounds):
            found = matcher.matches_of([wanted for _, _, wanted in open_], round_=round_)
            answers = [(k, steps, matches) for (k, steps, _), matches in zip(open_, found, strict=True)]
            open_ = _asking(pool.map(answered, answers))
    return results


Refinement = Generator[PictureSet, Sequence[SurfaceMatches], Fit | None]
Step = tuple[int, Refinement, PictureSet | None]


def _asking(steps: Iterable[Step]) -> list[tuple[int, Refinement, PictureSet]]:
    return [(k, refining, wanted) for k, refining, wanted in steps if wanted is not None]
