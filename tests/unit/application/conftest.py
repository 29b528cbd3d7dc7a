"""Stores for the use cases; the tests of this folder run twice, embedded and on real servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recon_service.application.ports.stores import Stores
from tests.stacks import Stack
from tests.unit.application.stores import open_in


@pytest.fixture
def stores(tmp_path: Path, stack: Stack) -> Iterator[Stores]:
    opened = open_in(tmp_path / "state", stack)
    yield opened.stores
    opened.close()
