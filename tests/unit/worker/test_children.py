"""Compute processes: killed, too slow, replaced; real processes with the real pipeline."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recon_service.application.errors import ComputeFault, Overloaded, StorageUnavailable, TimeLimitReached
from recon_service.application.records.visits import KioskVisit
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import DepthRejected, WeightsUnavailable
from recon_service.settings import Settings
from tests.images import portrait
from tests.integration.running import portrait_jpeg
from tests.unit.formats.test_template_format import make_template
from worker import child_waiting, children
from worker.child import described
from worker.child_process import rebuilt
from worker.child_waiting import waited_s
from worker.children import ChildCompute

SETTINGS = Settings(model="builtin")


@pytest.fixture
def compute() -> Iterator[ChildCompute]:
    made = ChildCompute(SETTINGS, processes=1, limit_s=20.0)
    yield made
    made.close()


def test_progress_comes_while_the_work_goes_on(compute: ChildCompute) -> None:
    seen: list[tuple[str, float]] = []
    outcome = compute.reconstruct(
        [portrait_jpeg("astronaut")] * 3, lambda stage, share: seen.append((stage, share))
    )
    assert outcome.posterior is not None
    assert len(outcome.selfies) == 3
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert len(shares) >= 3
    assert portrait("astronaut").size > 0


def test_a_fault_while_progress_is_reported_leaves_no_answer_for_the_next_call(compute: ChildCompute) -> None:
    """The answer of the broken call is on its way: another enrollment must not get it."""

    def fail(_stage: str, _share: float) -> None:
        raise StorageUnavailable("the database does not answer")

    with pytest.raises(StorageUnavailable):
        compute.reconstruct([portrait_jpeg("astronaut")] * 3, fail)
    (report,) = compute.check_quality([b"nothing"])
    assert not report.accepted


def test_the_children_get_no_secret() -> None:
    known = "a-secret-of-the-service"
    settings = Settings(
        database_url=f"postgresql://recon:{known}@localhost/recon",
        broker_url=f"redis://:{known}@localhost/0",
        s3_access_key=known,
        s3_secret_key=known,
        master_key=known,
    )
    assert settings.resolved_database_url
    assert known.encode() in pickle.dumps(settings)
    assert known not in repr(settings)
    assert known.encode() not in pickle.dumps(settings.without_secrets())


def test_a_dead_child_is_replaced_and_the_call_repeated(compute: ChildCompute) -> None:
    selfie = portrait_jpeg("astronaut")
    expected = compute.check_quality([selfie])
    (pid,) = compute.pids
    os.kill(pid, signal.SIGKILL)
    assert compute.check_quality([selfie]) == expected
    assert compute.pids != [pid]


def test_a_child_that_dies_on_every_attempt_is_a_fault_and_the_next_call_works(compute: ChildCompute) -> None:
    def kill(_stage: str, _share: float) -> None:
        for pid in compute.pids:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)

    with pytest.raises(ComputeFault, match="twice"):
        compute.reconstruct([portrait_jpeg("grace_hopper")] * 10, kill)
    assert compute.check_quality([portrait_jpeg("astronaut")])[0].accepted


def test_work_beyond_its_time_is_stopped_and_the_child_with_it() -> None:
    compute = ChildCompute(SETTINGS, processes=1, limit_s=0.02)
    try:
        compute.start()
        (pid,) = compute.pids
        with pytest.raises(TimeLimitReached):
            compute.check_quality([portrait_jpeg("grace_hopper", 1500)] * 10)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert len(compute.pids) == 1
    finally:
        compute.close()
    assert compute.pids == []


def test_a_child_that_does_not_start_says_nothing_about_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system was out of memory, say: three attempts of an enrollment are over in six seconds."""
    happened: list[str] = []
    compute = ChildCompute(SETTINGS, processes=1, limit_s=20.0, happened=happened.append)
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with pytest.raises(Overloaded, match="starts"):
        compute.check_quality([b"nothing"])
    assert happened.count("died") == 2
    monkeypatch.undo()
    compute.close()
    monkeypatch.setattr(children, "START_LIMIT_S", 0.0)
    compute = ChildCompute(SETTINGS, processes=1, limit_s=20.0)
    with pytest.raises(Overloaded, match="in time"):
        compute.check_quality([b"nothing"])
    compute.close()


def test_work_that_was_not_let_compute_is_not_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    compute = ChildCompute(SETTINGS, processes=1, limit_s=0.02)
    compute.start()
    compute.check_quality([b"nothing"])
    begun = time.monotonic()
    monkeypatch.setattr(child_waiting, "waited_s", lambda _pid: time.monotonic() - begun)
    with pytest.raises(Overloaded, match="too much to do"):
        compute.check_quality([portrait_jpeg("grace_hopper", 1500)] * 10)
    compute.close()


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the system does not tell")
def test_how_long_a_process_was_kept_waiting_is_seen() -> None:
    spin = [sys.executable, "-c", "while True: pass"]
    both = [subprocess.Popen(spin) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        deadline = time.monotonic() + 30
        while max(waited_s(process.pid) for process in both) < 0.2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert max(waited_s(process.pid) for process in both) >= 0.2
    finally:
        for process in both:
            process.kill()
            process.wait()
    idle = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    waited = waited_s(idle.pid)
    idle.kill()
    idle.wait()
    assert waited < 10
    assert waited_s(idle.pid) == 0.0, "there is no such process"


def test_errors_of_the_stages_keep_their_code_and_next_step(compute: ChildCompute) -> None:
    camera = PinholeCamera(4, 4, 100.0, 100.0, 2.0, 2.0)
    with pytest.raises(DepthRejected, match="neither PNG nor NPY") as caught:
        compute.verify(make_template(), KioskVisit((b"nothing",), camera))
    assert caught.value.next_step
    first = compute.pids
    assert compute.check_quality([b"x"])[0].problem is not None
    assert compute.pids == first, "a caller's mistake costs no process"


def test_an_error_of_a_heavy_module_arrives_as_its_closest_light_class() -> None:
    from recon_service.depth.errors import NoFaceInDepth

    _, content = described(NoFaceInDepth("none", next_step="look here"))
    fault = rebuilt(*content)  # type: ignore[misc]
    assert isinstance(fault, DepthRejected)
    assert (fault.code, fault.title, fault.detail, fault.next_step) == (
        NoFaceInDepth.code,
        NoFaceInDepth.title,
        "none",
        "look here",
    )


def test_missing_weights_are_told_and_do_not_start_a_process_per_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECON_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.delenv("RECON_WEIGHTS_MIRROR", raising=False)
    compute = ChildCompute(SETTINGS, processes=1, limit_s=20.0)
    try:
        with pytest.raises(WeightsUnavailable) as caught:
            compute.check_quality([b"x"])
        assert "recon weights pull" in caught.value.next_step
    finally:
        compute.close()


def test_children_end_with_a_parent_that_was_killed() -> None:
    script = (
        "import time; from recon_service.settings import Settings\n"
        "from worker.children import ChildCompute\n"
        "c = ChildCompute(Settings(model='builtin'), processes=1, limit_s=20); c.check_quality([b'x'])\n"
        "print(c.pids[0], flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and _state(pid) != "Z" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists() or _state(pid) == "Z"


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


def test_the_service_itself_loads_no_vision_library() -> None:
    code = (
        "import sys, recon_service.api.server\n"
        "heavy = {'cv2', 'scipy', 'torch', 'trimesh', 'PIL', 'onnxruntime'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_children_of_enrollments_stand_back_for_others() -> None:
    compute = ChildCompute(SETTINGS, processes=1, limit_s=20.0, nice=7)
    try:
        compute.check_quality([b"no picture"])
        (pid,) = compute.pids
        assert os.getpriority(os.PRIO_PROCESS, pid) == 7
        assert os.getsid(pid) == pid
        session = Path(f"/proc/{pid}/autogroup")
        if session.exists():
            assert session.read_text().split()[1:] == ["nice", "7"]
    finally:
        compute.close()
