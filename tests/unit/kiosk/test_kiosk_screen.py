"""The page of a kiosk: who may see it, what it shows, and what a till gets."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import httpx
import numpy as np
import pytest

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import InvalidValue
from recon_service.kiosk.cameras.camera import CameraFrame
from recon_service.kiosk.errors import OfflineRefused, ServiceBusy, ServiceRefused
from recon_service.kiosk.guidance import Advice
from recon_service.kiosk.screen import Screen
from recon_service.kiosk.screen.address import kept_token
from recon_service.kiosk.screen.server import Busy
from recon_service.kiosk.screen.state import Shown, preview
from recon_service.kiosk.station import Station
from recon_service.kiosk.visit import Moment, VisitResult

CAMERA = PinholeCamera(width=64, height=48, fx=60, fy=60, cx=31.5, cy=23.5)
FRAME = CameraFrame(
    np.full((48, 64), 500, np.uint16), 1.0, CAMERA, 0.0, 0, np.full((48, 64, 3), (200, 10, 10), np.uint8)
)


class Camera:
    camera_name = "generic"

    def start(self) -> None: ...

    def read(self, timeout_s: float = 1.0) -> CameraFrame:
        return FRAME

    def stop(self) -> None: ...


class ScriptedKiosk:
    """Gives a result, or raises, when it is let go."""

    def __init__(self) -> None:
        self.ends: VisitResult | Exception = VisitResult("MATCH", 5.0)
        self.go = threading.Event()

    def visit(self, subject_id, frames, *, show):  # type: ignore[no-untyped-def]
        for frame in frames:
            show(Moment("guiding", Advice.HOLD_STILL, 0.5, frame, None))
            if self.go.wait(0.005):
                break
        else:
            return VisitResult("TIMED_OUT")
        if isinstance(self.ends, Exception):
            raise self.ends
        return self.ends


@pytest.fixture
def kiosk() -> ScriptedKiosk:
    return ScriptedKiosk()


@pytest.fixture
def screen(kiosk: ScriptedKiosk) -> Iterator[Screen]:
    shown = Shown()
    station = Station(Camera(), kiosk, shown, result_seconds=0.2)  # type: ignore[arg-type]
    made = Screen(shown, station.visit, station.cancel)
    yield made
    made.close()


def states(
    screen: Screen, until: str, *, seconds: float = 20.0, there: threading.Event | None = None
) -> list[dict]:
    """Events until a stage comes. there: set with the first one."""
    seen: list[dict] = []
    deadline = time.monotonic() + seconds
    with httpx.stream("GET", screen.url + "events", timeout=seconds) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                seen.append(json.loads(line[6:]))
                if there is not None:
                    there.set()
                if seen[-1]["stage"] == until:
                    return seen
                assert time.monotonic() < deadline, seen[-3:]
    return seen


@contextlib.contextmanager
def following(screen: Screen, until: str) -> Iterator[list[dict]]:
    """Events from now until a stage comes; all are there after the block."""
    seen: list[dict] = []
    there = threading.Event()

    def follow() -> None:
        seen.extend(states(screen, until, there=there))

    thread = threading.Thread(target=follow)
    thread.start()
    assert there.wait(10.0)
    yield seen
    thread.join(15.0)


def ask(screen: Screen, subject: str = "user-1") -> httpx.Response:
    return httpx.post(screen.url + "visits", json={"subject_id": subject}, timeout=10.0)


def test_the_page_loads_nothing_from_elsewhere_and_is_not_kept(screen: Screen) -> None:
    for name in ("", "page.js", "page.css", "words.json", "icon.svg"):
        answer = httpx.get(screen.url + name)
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert "//" not in answer.text.replace("http://www.w3.org/2000/svg", "").replace("// ", "")
        assert "<script>" not in answer.text
        assert " style=" not in answer.text


def test_without_the_token_or_by_another_name_there_is_nothing(screen: Screen) -> None:
    port = httpx.URL(screen.url).port
    token = httpx.URL(screen.url).path
    for path in ("/", "/events", "/x" + token, token[:-2] + "/"):
        assert httpx.get(f"http://127.0.0.1:{port}{path}").status_code == 404
    assert httpx.get(screen.url, headers={"Host": f"evil.example:{port}"}).status_code == 421
    other = {"Origin": "http://evil.example"}
    assert httpx.post(screen.url + "visits", json={"subject_id": "x"}, headers=other).status_code == 403
    assert httpx.post(screen.url + "visits", content=b"x" * 5000).status_code == 413
    assert httpx.post(screen.url + "visits", json={"subject": 1}).status_code == 422


def test_a_visit_is_shown_and_told_to_the_till(screen: Screen, kiosk: ScriptedKiosk) -> None:
    answers: list[httpx.Response] = []
    till = threading.Thread(target=lambda: answers.append(ask(screen, "user-1")))
    with following(screen, "result") as follower:
        till.start()
        states(screen, "guiding")
        kiosk.go.set()
    till.join(10)
    answer = answers[0]
    assert answer.json()["decision"] == "MATCH"
    assert [s["stage"] for s in follower[-2:]] == ["guiding", "result"]
    assert follower[-1]["decision"] == "MATCH"
    numbers = [s["number"] for s in follower]
    assert numbers == sorted(set(numbers))
    assert "user-1" not in json.dumps(follower), "the screen does not say who it is"
    assert states(screen, "idle")[-1]["stage"] == "idle"


def test_one_visit_at_a_time_and_it_can_be_stopped(screen: Screen) -> None:
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(ask(screen)))
    thread.start()
    states(screen, "guiding")
    assert ask(screen, "user-2").status_code == 409
    assert httpx.post(screen.url + "cancel").status_code == 200
    thread.join(10)
    assert answers[0].json()["decision"] == "CANCELLED", "that it took too long would not be true"


def refusal(problem: str) -> ServiceRefused:
    fault = ServiceRefused("no", next_step="x")
    fault.problem = problem
    return fault


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (OfflineRefused("no line"), "offline-refused"),
        (refusal("not-found"), "subject-unknown"),
        (refusal("locked-out"), "locked"),
        (refusal("forbidden"), "service-refused"),
        (ServiceBusy("later", next_step="x"), "service-busy"),
        (ZeroDivisionError("unforeseen"), "kiosk-error"),
    ],
)
def test_no_decision_is_said_as_such(
    screen: Screen, kiosk: ScriptedKiosk, fault: Exception, code: str
) -> None:
    kiosk.ends = fault
    kiosk.go.set()
    with following(screen, "trouble") as seen:
        told = ask(screen).json()
    assert "decision" not in told
    assert told["error"]
    assert seen[-1]["code"] == code
    words = json.loads(files("recon_service.kiosk.screen").joinpath("page/words.json").read_text())
    said = code if code != "kiosk-error" else ""
    assert all(said in words[language]["trouble"] for language in words)


def test_what_cannot_be_a_number_is_an_unknown_number(screen: Screen, kiosk: ScriptedKiosk) -> None:
    with following(screen, "trouble") as seen:
        told = ask(screen, "한글 1").json()
    assert (told["error"], seen[-1]["code"]) == ("invalid-value", "subject-unknown")


class SlowBundle:
    """A line on which a report takes its time."""

    def __init__(self) -> None:
        self.asked, self.go = threading.Event(), threading.Event()

    def report(self) -> int:
        self.asked.set()
        assert self.go.wait(10)
        return 1


def test_who_comes_during_a_report_is_not_turned_away(kiosk: ScriptedKiosk) -> None:
    bundle, told = SlowBundle(), []
    kiosk.bundle = bundle  # type: ignore[attr-defined]
    kiosk.go.set()
    station = Station(Camera(), kiosk, Shown(), result_seconds=0.01)  # type: ignore[arg-type]
    report = threading.Thread(target=station.report)
    visit = threading.Thread(target=lambda: told.append(station.visit("user-1")))
    report.start()
    assert bundle.asked.wait(10)
    visit.start()
    visit.join(0.1)
    assert told == [], "one speaks with the service at a time"
    bundle.go.set()
    for thread in (report, visit):
        thread.join(10)
    assert told[0]["decision"] == "MATCH"


def test_a_page_is_found_again_after_a_restart(tmp_path: Path) -> None:
    file, addresses, port = tmp_path / "token", [], 0
    for _ in range(2):
        made = Screen(Shown(), lambda subject: {}, lambda: None, port=port, token=kept_token(file))
        addresses.append(made.url)
        port = httpx.URL(made.url).port or 0
        assert httpx.get(made.url).status_code == 200
        made.close()
    assert addresses[0] == addresses[1]
    assert file.stat().st_mode & 0o077 == 0
    file.write_text("short")
    with pytest.raises(InvalidValue):
        kept_token(file)
    with pytest.raises(InvalidValue):
        kept_token(tmp_path / "nowhere" / "token")


def test_the_preview_is_a_mirror_that_goes_dark_after_the_visit(screen: Screen, kiosk: ScriptedKiosk) -> None:
    thread = threading.Thread(target=lambda: ask(screen))
    thread.start()
    states(screen, "guiding")
    content = b""
    with httpx.stream("GET", screen.url + "preview", timeout=10.0) as answer:
        for piece in answer.iter_bytes():
            content += piece
            kiosk.go.set()  # the answer ends with the visit
    assert content.count(b"\xff\xd8\xff") >= 1
    thread.join(10)


def test_previews_of_depth_alone() -> None:
    alone = CameraFrame(FRAME.depth, 1.0, CAMERA, 0.0, 0)
    assert preview(alone)[:3] == preview(FRAME)[:3] == b"\xff\xd8\xff"


def test_both_languages_have_words_for_everything() -> None:
    words = json.loads(files("recon_service.kiosk.screen").joinpath("page/words.json").read_text())
    english, korean = words["en"], words["ko"]
    assert english.keys() == korean.keys()
    for part in ("advice", "result", "trouble"):
        assert english[part].keys() == korean[part].keys()
    assert set(english["advice"]) == {advice.value for advice in Advice}
    assert set(english["result"]) >= {
        "MATCH",
        "NO_MATCH",
        "INCONCLUSIVE",
        "PRESENTATION_ATTACK",
        "TIMED_OUT",
        "CANCELLED",
    }
    same = [english["result"][d] for d in ("NO_MATCH", "PRESENTATION_ATTACK")]
    assert same[0] == same[1], "an attacker is not told what gave the artefact away"


def test_busy_is_no_answer() -> None:
    station = Station(Camera(), ScriptedKiosk(), Shown(), result_seconds=0.1)  # type: ignore[arg-type]
    threading.Thread(target=lambda: station.visit("a"), daemon=True).start()
    time.sleep(0.05)
    with pytest.raises(Busy):
        station.visit("b")
    station.cancel()
