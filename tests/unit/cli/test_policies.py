"""`recon policies` says what the service would say when it starts."""

from __future__ import annotations

import json

import pytest

from recon_service.cli.main import build_app
from recon_service.comparison.calibration_file import load_calibration
from recon_service.comparison.policies import DEFAULT_POLICY, PolicyUnsupported, activated, load_policies


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    words = ["policies", *arguments]
    with pytest.raises(SystemExit) as ended:
        build_app(words)(words, prog_name="recon")
    return int(ended.value.code or 0), capsys.readouterr().out


def test_what_is_listed_is_what_the_service_would_decide(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed = run(capsys, "--json")
    assert code == 0
    listed = {one["name"]: one for one in json.loads(printed)}
    assert set(listed) == set(load_policies())
    for name, one in listed.items():
        if not one["supported"]:
            with pytest.raises(PolicyUnsupported) as refused:
                activated(name, load_calibration())
            assert refused.value.detail == one["refusal"]
        else:
            assert activated(name, load_calibration()).name == name
            worst = one["bounds"][0]
            assert worst["fmr_upper_bound"] <= one["claim"]["fmr"]
            assert worst["people"] * (worst["people"] - 1) / 2 == worst["pairs_of_people"]
            assert worst["non_mated_comparisons"] > 0


@pytest.mark.parametrize(("name", "code"), [(DEFAULT_POLICY, 0), ("payment-1", 1)])
def test_one_policy_is_checked_by_the_exit_code(
    capsys: pytest.CaptureFixture[str], name: str, code: int
) -> None:
    ended, printed = run(capsys, name)
    assert ended == code
    assert ("claims a false match rate" in printed) == bool(code)
    assert load_calibration().identity in printed
