"""Starting, stopping, keys, the command line, and what the log says."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from tests.integration.captures import INTRINSICS, depth_of, dump, png16, verify
from tests.integration.running import Server, enroll, portrait_jpeg, selfies, wait_for_end


def test_every_part_reports_ready(server: Server, client: httpx.Client) -> None:
    assert client.get("/livez").json()["status"] == "alive"
    parts = ["database", "objects", "compute", *([] if server.crew else ["worker"])]
    assert client.get("/readyz").json() == {"status": "ready", "parts": dict.fromkeys(parts, "ok")}


def test_a_stop_ends_cleanly_and_a_start_takes_up_what_was_open(tmp_path: Path) -> None:
    server = Server(tmp_path / "state").start()
    with server.client() as client:
        locations = [
            client.post(
                f"/v1/subjects/s{n}/enrollments",
                files=selfies(portrait_jpeg("astronaut")),
                data={"consent_id": "c"},
            ).headers["location"]
            for n in range(12)
        ]
    assert server.process is not None
    children = psutil.Process(server.process.pid).children(recursive=True)
    assert children
    assert server.stop() == 0
    _gone, left_over = psutil.wait_procs(children, timeout=30)
    server.start()
    try:
        with server.client() as client:
            assert {wait_for_end(client, location)["state"] for location in locations} == {"succeeded"}
    finally:
        server.stop()
    assert not left_over


def test_a_second_service_on_the_same_state_is_refused(server: Server) -> None:
    if server.crew:
        return  # in production there may be any number of them
    second = server.command("serve", "--port", "0")
    assert second.returncode != 0
    assert "another service runs" in second.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_beyond_loopback_it_refuses_to_start_without_real_keys(tmp_path: Path, host: str) -> None:
    server = Server(tmp_path / "state")
    refused = server.command("serve", "--host", host, "--port", "0")
    assert refused.returncode != 0
    assert "insecure-configuration" in refused.stderr
    assert "openssl rand" in refused.stderr
    server.settings["RECON_MASTER_KEY"] = "n0sTUbBtuHWvjvTRuXXyhxGXIuVfDIM1F29IVcSR3bc="
    refused = server.command("serve", "--host", host, "--port", "0")
    assert refused.returncode != 0
    assert "recon keys create" in refused.stderr


def test_beyond_loopback_with_real_keys_it_starts_and_the_development_key_opens_nothing(
    tmp_path: Path,
) -> None:
    server = Server(
        tmp_path / "state", settings={"RECON_MASTER_KEY": "n0sTUbBtuHWvjvTRuXXyhxGXIuVfDIM1F29IVcSR3bc="}
    )
    server.start(ready=False).stop()
    token = server.command("keys", "create", "app", "--scope", "ops").stdout.strip()
    server.settings["RECON_HOST"] = "0.0.0.0"
    server.start(ready=False)
    try:
        with server.client() as development, server.client(token) as real:
            assert development.get("/v1/subjects/x/templates").status_code == 401
            assert real.get("/v1/subjects/x/templates").status_code == 404
    finally:
        server.stop()


def test_another_master_key_opens_nothing(tmp_path: Path) -> None:
    server = Server(tmp_path / "state").start()
    with server.client() as client:
        enroll(client, "x", portrait_jpeg("astronaut"))
    server.stop()
    server.settings["RECON_MASTER_KEY"] = "n0sTUbBtuHWvjvTRuXXyhxGXIuVfDIM1F29IVcSR3bc="
    refused = server.command("serve", "--port", "0")
    assert refused.returncode != 0
    assert "storage-fault" in refused.stderr
    assert "another master key" in refused.stderr


def test_keys_are_made_listed_and_revoked(server: Server) -> None:
    token = server.command("keys", "create", "kiosk 1", "--scope", "verify").stdout.strip()
    with server.client(token) as kiosk:
        assert kiosk.get("/v1/subjects/nobody-here/templates").status_code == 403
        assert verify(kiosk, "nobody-here", png16(np.zeros((480, 640)))).status_code == 404
        listed = {k["name"]: k for k in json.loads(server.command("keys", "list", "--json").stdout)}
        assert listed["kiosk 1"]["scopes"] == ["verify"]
        assert token not in server.command("keys", "list").stdout
        assert server.command("keys", "revoke", listed["kiosk 1"]["id"]).returncode == 0
        assert verify(kiosk, "nobody-here", png16(np.zeros((480, 640)))).status_code == 401
    assert token.rsplit("_", 1)[1] not in "".join(dump(server))


def test_the_command_line_enrolls_and_verifies(server: Server, client: httpx.Client, tmp_path: Path) -> None:
    picture, noise, depth, camera = (tmp_path / n for n in ("a.jpg", "noise.jpg", "depth.png", "camera.json"))
    picture.write_bytes(portrait_jpeg("astronaut"))
    noise.write_bytes(b"noise")
    env = {"RECON_API_KEY": server.key, "RECON_URL": server.url}
    done = server.command("enroll", "cli-subject", str(picture), str(noise), env=env)
    assert done.returncode == 0, done.stderr
    assert "enrolled" in done.stdout
    assert "a.jpg" in done.stdout
    assert server.command("enroll", "cli-subject", str(noise), env=env).returncode == 1
    as_json = server.command("enroll", "cli-subject", str(picture), "--json", env=env)
    assert json.loads(as_json.stdout)["state"] == "succeeded"

    depth.write_bytes(png16(depth_of(client, "cli-subject")))
    camera.write_text(INTRINSICS)
    options = ["--depth", str(depth), "--intrinsics", str(camera)]
    answer = server.command("verify", "cli-subject", *options, "--json", env=env)
    assert (
        answer.returncode
        == {"MATCH": 0, "NO_MATCH": 1, "INCONCLUSIVE": 4}[json.loads(answer.stdout)["decision"]]
    )
    depth.write_bytes(png16(np.zeros((480, 640))))
    assert server.command("verify", "cli-subject", *options, "--kiosk-session", env=env).returncode == 4

    assert server.command("verify", "cli-nobody", *options, env=env).returncode == 2
    assert server.command("enroll", "s", str(picture), env={**env, "RECON_API_KEY": ""}).returncode == 2
    assert server.command("enroll", "s", str(tmp_path / "missing.jpg"), env=env).returncode == 2
    assert (
        server.command("enroll", "s", str(picture), env={**env, "RECON_URL": "http://127.0.0.1:9"}).returncode
        == 3
    )


def test_nothing_biometric_and_no_secret_is_in_the_log(server: Server, client: httpx.Client) -> None:
    """Last: by now the log has seen every kind of request and fault of this file."""
    subject = "very-private-pseudonym"
    operation = enroll(client, subject, portrait_jpeg("astronaut"))
    assert verify(client, subject, png16(depth_of(client, subject))).status_code == 200
    client.get(f"/v1/subjects/{subject}/unknown?name={subject}")
    client.delete(f"/v1/subjects/{subject}")
    log = server.log.read_text()
    assert operation["operation_id"] in log
    assert "/v1/subjects/{subject_id}/enrollments" in log
    for private in (subject, "consent-1", "grace_hopper", "JFIF", "array("):
        assert private not in log, private
    picture = portrait_jpeg("astronaut")
    for place in range(700, len(picture) - 60, 2000):
        piece = picture[place : place + 24]
        for shape in (
            piece.hex(),
            repr(piece)[2:-1],
            *(base64.b64encode(piece[k:])[4:-4].decode() for k in range(3)),
        ):
            assert shape not in log, "a picture is in the log"
    for line in (json.loads(text) for text in log.splitlines() if text.startswith("{")):
        vectors = [name for name, value in line.items() if isinstance(value, list) and name != "trace"]
        assert not vectors, "landmarks or coefficients would look like this"
    secret = server.key.rsplit("_", 1)[1]
    assert log.count(secret) == 1, "only where the start showed it"
