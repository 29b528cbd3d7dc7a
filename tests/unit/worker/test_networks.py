"""The process that runs networks for several: real processes, real sockets, killed for real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing.connection import Client
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the backends need the extra `cpu` or `gpu`")
pytest.importorskip("onnxruntime", reason="the backends need the extra `cpu` or `gpu`")

from recon_service.domain.errors import ReconError, ReconstructionFailed
from recon_service.domain.images import Image
from recon_service.domain.reconstruction import ReconstructedFace
from recon_service.networks.onnx_runtime import Device
from recon_service.reconstruction import registry
from recon_service.reconstruction.backend import Item, Reconstructor
from recon_service.reconstruction.batching import BatchingOptions
from recon_service.reconstruction.elsewhere import NetworksAway, NetworksElsewhere
from recon_service.reconstruction.session import OnnxSession, SessionOptions
from recon_service.settings import Settings
from recon_service.weights.derived import StoredFiles
from tests import backends
from tests.images import portrait
from tests.small_network import crops, graph, wanted
from worker.network_process import NetworkProcess
from worker.networks import NetworkServer

CPU = SessionOptions(Device.CPU)
TOLERANCE = 5e-5


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[NetworksElsewhere, NetworkServer]]:
    """A server in this process with the small network."""
    address = tmp_path / "networks.sock"
    server = NetworkServer(address, ("small", "late"), BatchingOptions(delay_s=0.02))
    server.add("small", OnnxSession(graph(), CPU), "cpu")
    server.start()
    yield NetworksElsewhere(address, patience_s=0.3), server
    server.close()


def test_runs_over_the_socket_are_runs(served: tuple[NetworksElsewhere, NetworkServer]) -> None:
    networks, _ = served
    for given in (crops(3), crops(6)[::2], crops(2, 24)):
        np.testing.assert_allclose(networks("small").run(crops=given)[0], wanted(given), atol=1e-5)


def test_callers_are_batched_together(served: tuple[NetworksElsewhere, NetworkServer]) -> None:
    networks, _ = served
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: networks("small").run(crops=crops(2, seed=i))[0], range(8)))
    for i, answer in enumerate(answers):
        np.testing.assert_allclose(answer, wanted(crops(2, seed=i)), atol=1e-5)
    sizes = networks.standing().sizes["small"]
    assert sum(n * count for n, count in sizes.items()) == 16
    assert max(sizes) > 2


def test_what_a_network_refuses_is_the_callers_affair(
    served: tuple[NetworksElsewhere, NetworkServer],
) -> None:
    networks, _ = served
    with pytest.raises(ReconstructionFailed):
        networks("small").run(crops=np.zeros((1, 7, 8, 8), np.float32))
    assert len(networks("small").run(crops=crops(1))[0]) == 1


def test_a_network_that_is_loading_is_waited_for(served: tuple[NetworksElsewhere, NetworkServer]) -> None:
    networks, server = served
    assert not networks.standing().ready
    with pytest.raises(NetworksAway, match="1 of 2"):
        networks.check()
    with pytest.raises(NetworksAway):
        networks("late").run(crops=crops(1))
    server.add("late", OnnxSession(graph(), CPU), "cpu")
    assert len(networks("late").run(crops=crops(1))[0]) == 1
    networks.check()
    with pytest.raises(NetworksAway, match="not among"):
        networks("other").run(crops=crops(1))


def test_the_socket_is_closed_to_other_users(served: tuple[NetworksElsewhere, NetworkServer]) -> None:
    networks, _ = served
    assert networks._address.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x80\x04K\x01.",
        b'{"shapes": []}',
        b'{"network": "small", "inputs": ["crops"], "shapes": [[-1]]}',
        b'{"network": "small", "inputs": 1, "shapes": []}',
        b'{"network": 1, "shapes": [[99999999999]]}',
    ],
)
def test_nonsense_ends_a_connection_and_nothing_else(
    served: tuple[NetworksElsewhere, NetworkServer], message: bytes
) -> None:
    networks, _ = served
    with Client(str(networks._address), "AF_UNIX") as rude:
        rude.send_bytes(message)
        with pytest.raises((EOFError, OSError)):
            rude.recv_bytes()
    assert len(networks("small").run(crops=crops(1))[0]) == 1


# ---- with the process and the backends ---------------------------------------------------------------


@pytest.fixture(scope="module")
def process() -> Iterator[NetworkProcess]:
    """The worker's process, with the made-up files of DECA and FaceVerse."""
    folder = str(backends.store().directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECON_WEIGHTS_DIR", folder)
        patch.setenv("RECON_ALLOW_NONCOMMERCIAL_WEIGHTS", "1")
        made = NetworkProcess(Settings(network_process=True, network_device="cpu", network_delay_ms=250))
        made.start()
        _until_ready(made)
        yield made
        made.stop()
    assert not made.socket.exists()


def _until_ready(process: NetworkProcess) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            return process.check()
        except NetworksAway:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def remote(name: str, process: NetworkProcess) -> Reconstructor:
    options = replace(backends.options(crops=2), networks=NetworksElsewhere(process.socket))
    return registry.load(name, StoredFiles(backends.store()), options)


def only(outcome: tuple[ReconstructedFace, ...] | ReconError) -> ReconstructedFace:
    assert not isinstance(outcome, ReconError), outcome
    return outcome[0]


def test_enrollments_at_the_same_time_share_batches_and_get_their_own_results(
    process: NetworkProcess,
) -> None:
    subject, alone = remote("deca", process), backends.backend("deca", crops=2)
    grace, astronaut = (Image(portrait(name)) for name in ("grace_hopper", "astronaut"))
    spoiled = Image(portrait("astronaut"))
    object.__setattr__(spoiled, "pixels", np.full((512, 512, 3), np.nan))
    enrollments: list[list[Item]] = [
        [(grace, None), (astronaut, None)],
        [(astronaut, None)],
        [(grace, None), (spoiled, None)],
    ]
    sizes = NetworksElsewhere(process.socket).standing().sizes["deca/encoder"]
    before, runs = sum(n * count for n, count in sizes.items()), sum(sizes.values())
    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(subject.reconstruct, enrollments))
    for items, answers in zip(enrollments, outcomes, strict=True):
        for item, answer in zip(items, answers, strict=True):
            if item[0] is spoiled:
                assert isinstance(answer, ReconError)
                continue
            mine, single = only(answer), only(alone.reconstruct([item])[0])
            np.testing.assert_allclose(mine.raw, single.raw, atol=TOLERANCE)
            np.testing.assert_allclose(mine.neutral.vertices, single.neutral.vertices, atol=0.01)
    # Three enrollments, eight crops in all, and fewer than three runs.
    sizes = NetworksElsewhere(process.socket).standing().sizes["deca/encoder"]
    assert sum(n * count for n, count in sizes.items()) - before == 8
    assert sum(sizes.values()) - runs < 3


def test_models_are_loaded_once_however_many_ask(process: NetworkProcess) -> None:
    standing = NetworksElsewhere(process.socket).standing()
    assert {"deca/encoder", "faceverse/encoder"} <= set(standing.loaded)
    before = process.pid
    for _ in range(2):
        remote("faceverse", process).reconstruct([(Image(portrait("grace_hopper")), None)])
    assert process.pid == before


def test_the_check_of_a_container_counts_the_models(process: NetworkProcess, tmp_path: Path) -> None:
    def asked(socket: Path) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "RECON_NETWORK_SOCKET": str(socket)}
        return subprocess.run(
            [sys.executable, "-m", "worker.ready"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    there, nowhere = asked(process.socket), asked(tmp_path / "nothing.sock")
    assert there.returncode == 0
    assert there.stdout.startswith("recon_models_loaded ")
    assert int(there.stdout.split()[1]) >= 2
    assert (nowhere.returncode, nowhere.stdout.split()[:2]) == (1, ["recon_models_loaded", "0"])


def test_a_killed_process_comes_back_and_who_waits_gets_an_answer(process: NetworkProcess) -> None:
    networks = NetworksElsewhere(process.socket, patience_s=60)
    given = np.random.default_rng(0).random((1, 3, 224, 224), dtype=np.float32)
    (first,) = networks("deca/encoder").run(image=given)
    killed = process.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    (again,) = networks("deca/encoder").run(image=given)
    np.testing.assert_array_equal(first, again)
    assert process.pid != killed


def test_the_process_is_told_nothing_secret(tmp_path: Path) -> None:
    secret = "top-secret-word"
    settings = Settings(
        network_process=True,
        network_socket=tmp_path / "s",
        broker_url=f"redis://:{secret}@localhost/0",
        database_url=f"postgresql://recon:{secret}@localhost/recon",
        master_key=secret,
    )
    made = NetworkProcess(settings)
    assert secret not in made._argument
    assert json.loads(made._argument)["socket"] == str(tmp_path / "s")
    assert made.settings.without_secrets().network_socket == tmp_path / "s"
