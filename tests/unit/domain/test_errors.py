from __future__ import annotations

import importlib
import pickle
import pkgutil

import pytest

import recon_service
from recon_service.domain.errors import CallerError, ReconError, ServiceFault


def kinds() -> list[type[ReconError]]:
    """Every error of the layers that do not need a door."""
    for package in ("domain", "imaging", "depth", "application", "weights", "storage"):
        found = importlib.import_module(f"recon_service.{package}")
        for module in pkgutil.iter_modules(found.__path__):
            if module.name.endswith(("errors", "rejections")):
                importlib.import_module(f"{found.__name__}.{module.name}")
    seen: list[type[ReconError]] = []
    waiting = [ReconError]
    while waiting:
        kind = waiting.pop()
        seen.append(kind)
        waiting.extend(kind.__subclasses__())
    return [kind for kind in seen if kind.__module__.startswith(recon_service.__name__)]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_errors_survive_the_way_between_processes(kind: type[ReconError]) -> None:
    back = pickle.loads(pickle.dumps(kind("What happened.", next_step="Do this.")))
    assert type(back) is kind
    assert (back.detail, back.next_step) == ("What happened.", "Do this.")
    assert str(back) == "What happened. Do this."


def test_every_error_has_a_code_and_a_title_of_its_own() -> None:
    codes = [kind.code for kind in kinds()]
    assert sorted(codes) == sorted(set(codes))
    assert all(kind.__dict__.get("title") for kind in kinds())


def test_every_error_says_whose_fault_it_is() -> None:
    for kind in kinds():
        if kind is not ReconError:
            assert issubclass(kind, CallerError) != issubclass(kind, ServiceFault), kind


def test_the_next_step_may_be_missing() -> None:
    assert str(ReconError("What happened.")) == "What happened."
