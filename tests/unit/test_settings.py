from __future__ import annotations

import base64
import pickle
import re
import stat
from pathlib import Path

import pytest

from recon_service.domain.errors import InsecureConfiguration
from recon_service.setting_names import SettingsInvalid, refuse_unknown_names
from recon_service.settings import Settings, known_names
from recon_service.storage.master_key import Origin, load_master_key

ROOT = Path(__file__).parents[2]
KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in known_names():
        monkeypatch.delenv(name, raising=False)


def test_without_any_setting_it_is_embedded_and_local(tmp_path: Path) -> None:
    settings = Settings.from_environment({}, state_dir=tmp_path)
    assert settings.embedded
    assert settings.host == "127.0.0.1"
    assert settings.resolved_database_url == f"sqlite:///{tmp_path}/recon.sqlite3"
    assert settings.resolved_objects_dir == tmp_path / "objects"
    assert settings.master_key is None


def test_the_environment_is_read_and_arguments_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECON_PORT", "9000")
    monkeypatch.setenv("RECON_HOST", "::1")
    settings = Settings.from_environment(port=9001, host=None)
    assert (settings.port, settings.host) == (9001, "::1")


def test_a_typo_is_refused_with_what_was_probably_meant() -> None:
    with pytest.raises(SettingsInvalid, match="RECON_STATEDIR") as caught:
        refuse_unknown_names({"RECON_STATEDIR": "/x", "PATH": "/bin"}, known=known_names())
    assert caught.value.next_step == "Did you mean RECON_STATE_DIR?"
    with pytest.raises(SettingsInvalid, match="RECON_FOO") as caught:
        refuse_unknown_names({"RECON_FOO": "x"}, known=known_names())
    assert "Did you mean" not in caught.value.next_step
    assert all(name in caught.value.next_step for name in known_names())


def test_every_known_name_is_accepted() -> None:
    refuse_unknown_names(dict.fromkeys(known_names(), "x"), known=known_names())


def test_every_variable_that_anything_here_reads_is_known() -> None:
    """`RECON_TORCH=no make test`, or a kiosk's key file, must not stop a command that does not read it."""
    read = (
        *ROOT.glob("recon_service/**/*.py"),
        *ROOT.glob("scripts/*.sh"),
        *ROOT.glob("tests/**/*.py"),
        ROOT / "docker-compose.yml",
        ROOT / "Makefile",
    )
    pattern = re.compile(r"""(?:\$\{?|environ(?:\.get\(|\[)["']|envvar=["'])(RECON_[A-Z0-9_]+)""")
    found = {name for path in read for name in pattern.findall(path.read_text(encoding="utf-8"))}
    assert "RECON_TORCH" in found
    assert found <= set(known_names())


@pytest.mark.parametrize(("name", "value"), [("PORT", "many"), ("JOB_ATTEMPTS", "0"), ("MODEL", "huge")])
def test_bad_values_are_refused_without_repeating_them(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"RECON_{name}", value)
    with pytest.raises(SettingsInvalid, match=f"RECON_{name}"):
        Settings.from_environment()


def test_the_master_key_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECON_MASTER_KEY", KEY)
    settings = Settings.from_environment()
    assert KEY not in repr(settings)
    assert KEY not in settings.model_dump_json()
    bare = settings.model_copy(update={"master_key": None})
    assert KEY.encode() not in pickle.dumps(bare), "compute processes get no secret"


def test_a_development_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    first = load_master_key(value=None, file=None, state_dir=tmp_path)
    assert first.origin is Origin.DEVELOPMENT
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_master_key(value=None, file=None, state_dir=tmp_path) == first
    file.chmod(0o644)
    with pytest.raises(InsecureConfiguration, match="read by others"):
        load_master_key(value=None, file=None, state_dir=tmp_path)


def test_configured_keys_come_as_base64_or_hex_from_value_or_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(bytes(range(32)).hex() + "\n")
    by_value = load_master_key(value=KEY, file=None, state_dir=tmp_path)
    by_file = load_master_key(value=None, file=file, state_dir=tmp_path)
    assert by_value == by_file
    assert by_value.origin is Origin.CONFIGURED


@pytest.mark.parametrize("value", ["", "short", "é" * 44, "A" * 44, "0" * 64, KEY[:-4], KEY + "AAAA"])
def test_what_is_no_random_key_is_refused_without_repeating_it(tmp_path: Path, value: str) -> None:
    with pytest.raises(InsecureConfiguration, match="32 random bytes") as caught:
        load_master_key(value=value, file=None, state_dir=tmp_path)
    assert not value or value not in str(caught.value)


def test_a_missing_key_file_is_not_replaced_by_a_new_key(tmp_path: Path) -> None:
    with pytest.raises(InsecureConfiguration, match="cannot be read"):
        load_master_key(value=None, file=tmp_path / "missing", state_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []
