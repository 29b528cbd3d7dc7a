from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from recon_service.cli.examples import EXAMPLES
from recon_service.cli.main import COMMANDS, build_app
from tests.command_lines import unknown_words

HEAVY = ("cv2", "scipy", "fastapi", "celery", "sqlalchemy", "trimesh", "torch", "httpx")


def test_help_lists_every_command_and_imports_none_of_them() -> None:
    code = (
        "import sys; sys.argv = ['recon', '--help']\n"
        "from recon_service.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code\n"
        f"print('loaded:', [name for name in {HEAVY!r} if name in sys.modules], 'code:', code)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert all(command.name in said for command in COMMANDS)
    assert "loaded: [] code: 0" in said


def test_an_error_of_ours_is_three_lines_and_no_traceback() -> None:
    command = [sys.executable, "-m", "recon_service", "weights", "pull", "no-such-model"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "[weights-unknown]" in done.stderr
    assert "recon weights list" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there_is_named_without_a_traceback(tmp_path: Path) -> None:
    absent = tmp_path / "absent" / "kiosk.keys"
    command = ["edge", "keys", str(absent)]
    done = subprocess.run(
        [sys.executable, "-m", "recon_service", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"{absent}: No such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_shell_completes_commands_and_what_is_below_them() -> None:
    def completed(line: str) -> list[str]:
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
        environment = {**os.environ, "_RECON_COMPLETE": "complete_bash", **words}
        command = [sys.executable, "-c", "from recon_service.cli.main import main; main()"]
        return subprocess.run(command, capture_output=True, text=True, env=environment).stdout.split()

    assert completed("recon te") == ["templates"]
    assert completed("recon templates ex") == ["export"]
    assert "--consent" in completed("recon enroll --co")


def below(group: TyperGroup, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        yield f"{path} {name}", command
        if isinstance(command, TyperGroup):
            yield from below(command, f"{path} {name}")


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_command_teaches_by_examples_of_itself_that_would_run(command: str) -> None:
    app = get_command(build_app([command]))
    assert isinstance(app, TyperGroup)
    found = app.commands[command]
    leaves = list(below(found, command)) if isinstance(found, TyperGroup) else []
    taught = {name for name, one in leaves if not isinstance(one, TyperGroup)} | {command}
    assert {name for name in EXAMPLES if name.split()[0] == command} == taught
    for name in taught:
        assert EXAMPLES[name], name
        for line, _ in EXAMPLES[name]:
            assert f"recon {name}" in line
            assert unknown_words(line) == [], line
    for name, one in leaves:
        assert isinstance(one, TyperGroup) or "Examples" in one.epilog, name
        assert "example" not in one.help.lower(), f"{name}: examples are in cli/examples.py"
        assert not re.search(r"(?<!\n)\n(?!\n)", one.help), f"{name}: the terminal breaks lines"
