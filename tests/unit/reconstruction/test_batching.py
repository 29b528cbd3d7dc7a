"""Runs of several callers as one: the answers of single runs, faults of their own, and order."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("onnx", reason="the backends need the extra `cpu` or `gpu`")
pytest.importorskip("onnxruntime", reason="the backends need the extra `cpu` or `gpu`")

from recon_service.networks.onnx_runtime import Device
from recon_service.reconstruction.batching import BatchingOptions, BatchingSession
from recon_service.reconstruction.session import Floats, OnnxSession, SessionOptions
from tests.small_network import crops, graph, wanted

ALONE = OnnxSession(graph(), SessionOptions(Device.CPU))


class Gated:
    """The real session; notes the size of each run, and holds the first one until it is told to begin."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.begin, self.begun = threading.Event(), threading.Event()

    def run(self, **inputs: Floats) -> list[Floats]:
        self.begun.set()
        assert self.begin.wait(10)
        self.sizes.append(len(inputs["crops"]))
        if not np.isfinite(inputs["crops"]).all():  # any fault of ONNX Runtime's own will do
            ALONE.run(crops=inputs["crops"][:, :2])
        return ALONE.run(**inputs)


def until_waiting(subject: BatchingSession, count: int) -> None:
    deadline = time.monotonic() + 10
    while subject._waiting.qsize() < count:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def piled_up(inner: Gated, asked: list[Floats]) -> tuple[BatchingSession, list[Future[list[Floats]]]]:
    """A run is under way while these are asked for; then it goes on."""
    subject = BatchingSession(inner, BatchingOptions(delay_s=0.0, items=64))
    pool = ThreadPoolExecutor(len(asked) + 1)
    first = pool.submit(subject.run, crops=crops(1))
    assert inner.begun.wait(10)
    answers = []
    for count, one in enumerate(asked, start=1):
        answers.append(pool.submit(subject.run, crops=one))
        until_waiting(subject, count)
    inner.begin.set()
    pool.shutdown(wait=True)
    assert len(first.result()[0]) == 1
    return subject, answers


@given(
    counts=st.lists(st.integers(1, 6), min_size=1, max_size=8),
    items=st.integers(1, 12),
    sides=st.lists(st.sampled_from([8, 16]), min_size=8, max_size=8),
)
@settings(max_examples=20, deadline=None)
def test_together_everybody_gets_what_alone_they_would_have_got(
    counts: list[int], items: int, sides: list[int]
) -> None:
    subject = BatchingSession(ALONE, BatchingOptions(delay_s=0.002, items=items))
    asked = [crops(n, side, seed=i) for i, (n, side) in enumerate(zip(counts, sides, strict=False))]
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda x: subject.run(crops=x)[0], asked))
    subject.close()
    for one, answer in zip(asked, answers, strict=True):
        np.testing.assert_allclose(answer, wanted(one), atol=1e-5)
    # Nothing is run twice, and only a caller with more items than a batch holds exceeds it.
    assert sum(size * count for size, count in subject.sizes.items()) == sum(counts)
    assert max(subject.sizes) <= max(items, *counts)


def test_what_comes_while_a_batch_runs_goes_as_one() -> None:
    inner = Gated()
    asked = [crops(2, seed=i) for i in range(5)]
    _, answers = piled_up(inner, asked)
    for one, answer in zip(asked, answers, strict=True):
        np.testing.assert_allclose(answer.result()[0], wanted(one), atol=1e-5)
    assert inner.sizes == [1, 10]


def test_a_poisoned_caller_fails_alone() -> None:
    inner = Gated()
    poison = crops(2)
    poison[1, 0, 0, 0] = np.nan
    asked = [crops(2, seed=1), poison, crops(3, seed=2)]
    subject, answers = piled_up(inner, asked)
    with pytest.raises(Exception, match="INVALID_ARGUMENT"):
        answers[1].result()
    for index in (0, 2):
        np.testing.assert_allclose(answers[index].result()[0], wanted(asked[index]), atol=1e-5)
    assert inner.sizes == [1, 7, 2, 2, 3]  # together, then each alone
    assert len(subject.run(crops=crops(2))[0]) == 2  # it serves on


def test_other_shapes_wait_their_turn_and_lose_nothing() -> None:
    inner = Gated()
    asked = [crops(1, 16 if i % 2 else 24, seed=i) for i in range(4)]
    _, answers = piled_up(inner, asked)
    for one, answer in zip(asked, answers, strict=True):
        np.testing.assert_allclose(answer.result()[0], wanted(one), atol=1e-5)
    assert inner.sizes == [1, 2, 2]


def test_what_waits_at_the_end_is_still_answered() -> None:
    inner = Gated()
    subject = BatchingSession(inner, BatchingOptions(delay_s=0.0))
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(subject.run, crops=crops(1))]
        assert inner.begun.wait(10)
        answers += [pool.submit(subject.run, crops=crops(1)) for _ in range(2)]
        until_waiting(subject, 2)
        closing = threading.Thread(target=subject.close)
        closing.start()
        inner.begin.set()
        assert all(len(answer.result(10)[0]) == 1 for answer in answers)
        closing.join(10)
        assert not closing.is_alive()


@pytest.mark.parametrize("inputs", [{}, {"crops": np.float32(1.0)}])
def test_a_run_without_items_is_refused_here_and_not_in_the_common_thread(inputs: dict[str, Floats]) -> None:
    subject = BatchingSession(ALONE)
    with pytest.raises(ValueError, match="axis of items"):
        subject.run(**inputs)
    assert len(subject.run(crops=crops(1))[0]) == 1
