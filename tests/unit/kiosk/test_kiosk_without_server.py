"""A kiosk runs where none of the server's packages are installed."""

from __future__ import annotations

import subprocess
import sys

BLOCKED = (
    "fastapi", "starlette", "uvicorn", "multipart", "celery", "kombu", "sqlalchemy", "alembic", "psycopg",
    "redis", "boto3", "botocore", "pydantic_settings", "structlog", "typer", "rich", "torch", "onnxruntime",
)  # fmt: skip

PROGRAM = f"""
import importlib, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {BLOCKED!r}:
            raise ImportError(name + " is not there")

sys.meta_path.insert(0, Blocked())
import recon_service.kiosk
names = [m.name for m in pkgutil.walk_packages(recon_service.kiosk.__path__, "recon_service.kiosk.")]
for name in names:
    importlib.import_module(name)
from recon_service.kiosk.cameras import CameraSession, open_camera
with CameraSession(open_camera("simulated", paced=False)) as session:
    (frame,) = session.frames(1)
print(len(names), frame.depth.shape)
"""


def test_every_module_is_imported_and_a_camera_runs_without_the_servers_packages() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    count, *shape = done.stdout.split()
    assert int(count) > 8
    assert shape == ["(480,", "640)"]
