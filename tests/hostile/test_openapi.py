"""The API against its own description: what schemathesis makes of the OpenAPI document (its examples, the
bounds of every parameter, other methods, missing headers and keys, and random requests, sound and unsound) is
answered with a documented status, content type and body, and never with a 5xx.

FUZZ_CASES asks for more (`make fuzz`). Whether every sound request is accepted is not asked: multipart bodies
and ids say more than their schema can.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from schemathesis.engine import events, from_schema

from recon_service.api.app import create_app
from recon_service.api.service import Service
from recon_service.application.keeping.keys import create_api_key
from recon_service.application.records.access import Scope
from recon_service.telemetry import configure_logging
from tests.hostile.decoding import decoding_service

EXAMPLES = max(3, int(os.environ.get("FUZZ_CASES", "0")) // 500)
SEED = int(os.environ.get("FUZZ_SEED", "20261121"))
PHASES = ("examples", "coverage", "fuzzing", "stateful")
NOT_ASKED = (
    "positive_data_acceptance",
    "negative_data_rejection",  # 0 for false and the like are taken
    "use_after_free",
    "ensure_resource_availability",
    "object_level_authorization",
)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    configure_logging(level="error", format="json")
    with decoding_service(tmp_path, subject="user-8c41", max_selfie_bytes=5000) as made:
        yield made


def described(app: FastAPI, token: str, phases: tuple[str, ...]) -> Any:
    config = schemathesis.Config.from_dict(
        {
            "seed": SEED,
            "continue-on-failure": True,
            "headers": {"Authorization": f"Bearer {token}"},
            "generation": {
                "max-examples": EXAMPLES,
                "no-shrink": True,
                "deterministic": "FUZZ_SEED" not in os.environ,
                "database": "none",
            },
            "phases": {name: {"enabled": name in phases} for name in PHASES},
            "checks": {name: {"enabled": False} for name in NOT_ASKED},
        }
    )
    return schemathesis.openapi.from_asgi("/openapi.json", app, config=config)


def test_the_api_is_what_it_says(service: Service) -> None:
    app = create_app(service)
    token = create_api_key("all", Scope, on=service.stores).token
    phases = PHASES if EXAMPLES > 100 else PHASES[:3]
    statuses: Counter[int] = Counter()
    failures: dict[str, list[str]] = defaultdict(list)
    for event in from_schema(described(app, token, phases)).execute():
        assert not isinstance(event, events.FatalError), event
        if isinstance(event, events.NonFatalError):
            failures["could not be tested"].append(f"{event.label}: {event.value!r}"[:500])
        if not isinstance(event, events.ScenarioFinished):
            continue
        for interaction in event.recorder.interactions.values():
            if interaction.response is not None:
                statuses[interaction.response.status_code] += 1
        for case_id, checks in event.recorder.checks.items():
            for check in checks:
                if check.failure_info is not None:
                    case = event.recorder.cases[case_id].value
                    what = f"{event.phase.value} {case.operation.label}: {check.failure_info.failure}"
                    failures[what[:300]].append(case.as_curl_command()[:300])
    told = "\n".join(f"{what}\n  {len(cases)} times, as {cases[0]}" for what, cases in failures.items())
    assert not failures, told
    assert sum(statuses.values()) >= 1000
    assert {200, 201, 401, 404, 405, 415, 422} <= set(statuses)
    print(f"{sum(statuses.values())} requests of schemathesis, seed {SEED}: {dict(sorted(statuses.items()))}")
