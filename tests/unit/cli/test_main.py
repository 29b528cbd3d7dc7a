from __future__ import annotations

import os
import subprocess
import sys

import pytest

from recon_service.cli.examples import EXAMPLES
from recon_service.cli.main import COMMANDS
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


def test_a_shell_completes_commands_and_what_is_below_them() -> None:
    def completed(line: str) -> list[str]:
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
        environment = {**os.environ, "_RECON_COMPLETE": "complete_bash", **words}
        command = [sys.executable, "-c", "from recon_service.cli.main import main; main()"]
        return subprocess.run(command, capture_output=True, text=True, env=environment).stdout.split()

    assert completed("recon te") == ["templates"]
    assert completed("recon templates ex") == ["export"]
    assert "--consent" in completed("recon enroll --co")


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_sub_command_has_examples_and_what_they_name_exists(command: str) -> None:
    for line, _ in EXAMPLES[command]:
        assert f"recon {command}" in line
        assert unknown_words(line) == [], line
