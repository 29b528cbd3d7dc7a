from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from recon_service.application.ports.stores import Stores
from tests.stacks import Stack
from tests.unit.application.notifying.webhooks_support import Clock
from tests.unit.application.stores import open_in


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stores(tmp_path: Path, stack: Stack, clock: Clock) -> Iterator[Stores]:
    opened = open_in(tmp_path, stack)
    yield dataclasses.replace(opened.stores, clock=clock)
    opened.close()
