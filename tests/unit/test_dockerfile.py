"""Dockerfile.cuda and the entry of its images: what can be proven of them without a container engine. Where
`hadolint` is installed, it has its say too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.containers import ROOT, instructions, stages


def test_the_stages_that_are_copied_from_exist() -> None:
    seen: set[str] = set()
    for name, content in stages().items():
        base = content[0][1].split()[0]
        assert base in seen or ":" in base
        for word, rest in content:
            if word == "COPY" and (source := re.search(r"--from=(\S+)", rest)):
                assert source[1] in seen
        seen.add(name)


def test_what_is_copied_exists_and_reaches_the_builder() -> None:
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for word, rest in instructions():
        if word != "COPY" or "--from=" in rest:
            continue
        for source in [part for part in rest.split()[:-1] if not part.startswith("--")]:
            assert (ROOT / source).exists(), source
            assert any(source == path or path.startswith(f"{source}/") or source.startswith(f"{path}/")
                       for path in let_in), source  # fmt: skip


@pytest.mark.parametrize("target", ["cuda", "service"])
def test_the_images_run_as_nobody_in_particular_and_are_checked(target: str) -> None:
    content = dict(stages()[target])
    assert content["USER"] == "10001:10001"
    assert content["ENTRYPOINT"] == '["recon-entry"]'
    assert content["VOLUME"] == '["/srv/weights"]'
    assert "CMD [" in content["HEALTHCHECK"]
    # Nothing is compiled or installed with root's tools in what runs.
    everything = " ".join(rest for _, rest in stages()[target])
    assert "pip install" not in everything
    assert "-devel-" not in stages()[target][0][1]


def test_versions_are_pinned_and_no_index_is_named() -> None:
    text = (ROOT / "Dockerfile.cuda").read_text(encoding="utf-8")
    arguments = dict(rest.split("=", 1) for word, rest in instructions() if word == "ARG" and "=" in rest)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'torch=={arguments["TORCH"]}"' in project
    assert f"pytorch3d.git@{arguments['PYTORCH3D']}" in project
    assert "onnxruntime-gpu==" in (ROOT / "locks" / "gpu.txt").read_text()
    assert text.count("--require-hashes") == 3
    assert not re.search(r"index-url|find-links|trusted-host", text)


def test_the_images_can_send_traces() -> None:
    """RECON_TRACES_ENDPOINT is a setting of theirs too; nothing can be installed into a running one."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        extra = tomllib.load(file)["project"]["optional-dependencies"]["otel"]
    for image in ("cpu", "gpu"):
        locked = (ROOT / "locks" / f"{image}.txt").read_text()
        for wanted in extra:
            assert re.search(rf"^{re.split('[<>=]', wanted)[0]}==", locked, re.MULTILINE), (image, wanted)


def test_hadolint_has_nothing_to_say() -> None:
    if (hadolint := shutil.which("hadolint")) is None:
        pytest.skip("no hadolint here")
    done = subprocess.run(
        [hadolint, str(ROOT / "Dockerfile.cuda")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_entry_takes_secrets_from_files(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "recon_database_url").write_text("postgresql://recon:p@ss 'w$d@database/recon\n")
    (secrets / "recon_master_key").write_text("k")
    (secrets / "recon_accepted_master_keys").write_text("")
    fake = tmp_path / "recon"
    fake.write_text(
        '#!/bin/sh\nprintf "%s|" "$RECON_DATABASE_URL" "$RECON_MASTER_KEY_FILE" '
        '"$RECON_ACCEPTED_MASTER_KEYS_FILE" "$1" "$2"\n'
    )
    fake.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", str(ROOT / "scripts" / "container_entry.sh"), "serve", "--host 0"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "SECRETS_DIR": str(secrets)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("|") == [
        "postgresql://recon:p@ss 'w$d@database/recon",
        f"{secrets}/recon_master_key",
        f"{secrets}/recon_accepted_master_keys",
        "serve",
        "--host 0",
        "",
    ]
