from __future__ import annotations

import subprocess
import sys

from recon_service.cli.main import COMMANDS

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
