"""Time per picture of the reconstruction backends, alone and in batches, and beside the original:

    OMP_NUM_THREADS=1 python benchmarks/reconstruction.py [--batches 1,8,64] [--device auto|cpu|cuda]
                                                          [--rounds N] [--original PATH]

Pictures are two portraits 1080 pixels wide, decoded. On a CPU the figures are processor time of one thread,
which other work on the machine disturbs little; on a GPU they are wall time. "networks" is detector, crop and
regressor without meshes, where a backend has that path; bound by the slower of the two sides.

PATH: a checkout of 3DDFA_V2 (commit 1b6c676) with weights/mb05_120x120.pth, configs/bfm_noneck_v3.pkl and its
nms built; it runs in a process of its own with torch on one thread, in turns with ours, and both outputs are
compared: boxes, 62 parameters, dense vertices.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import matplotlib.cbook
import numpy as np
import skimage.data

from recon_service.backends import availability, load_backend
from recon_service.domain.errors import ReconError
from recon_service.domain.images import Image
from recon_service.domain.reconstruction import ReconstructedFace
from recon_service.networks.onnx_runtime import Device
from recon_service.reconstruction.backend import BackendOptions, Item, Reconstructor
from recon_service.reconstruction.session import SessionOptions

WIDTH = 1080

ORIGINAL = """
import sys, time, json
sys.path.insert(0, ".")
import cv2, numpy as np, torch, yaml
torch.set_num_threads(1); cv2.setNumThreads(1)
from FaceBoxes import FaceBoxes
from TDDFA import TDDFA
config = yaml.safe_load(open("configs/mb05_120x120.yml"))
config["checkpoint_fp"] = "weights/mb05_120x120.pth"
detector, regressor = FaceBoxes(), TDDFA(gpu_mode=False, **config)
print("ready", flush=True)
for line in sys.stdin:
    task = json.loads(line)
    picture = cv2.imread(task["picture"])
    start = time.process_time()
    boxes = detector(picture)
    found = time.process_time()
    parameters, regions = regressor(picture, boxes)
    known = time.process_time()
    dense = regressor.recon_vers(parameters, regions, dense_flag=True)
    end = time.process_time()
    np.savez(task["out"], box=boxes[0], parameters=parameters[0], dense=dense[0])
    print(json.dumps([1000 * (b - a) for a, b in ((start, found), (found, known), (known, end))]), flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--batches", default="1,2,4,8,16,32,64")
    parser.add_argument("--device", default="auto", choices=[each.value for each in Device])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--original", type=Path)
    wanted = parser.parse_args()
    cv2.setNumThreads(1)
    batches = [int(size) for size in wanted.batches.split(",")]
    print(f"{'backend':<10} {'device':<6} {'batch':>5} {'ms a picture':>12} {'pictures/s':>10}")
    for each in availability():
        if each.problem is not None:
            print(f"{each.backend.name:<10} not measured: {type(each.problem).__name__}")
            continue
        session = SessionOptions(Device(wanted.device), batch=max(batches))
        try:
            backend = load_backend(each.backend.name, BackendOptions(session))
        except ReconError as problem:
            print(f"{each.backend.name:<10} not measured: {problem}")
            continue
        measure(each.backend.name, backend, Device(wanted.device), batches, wanted.rounds)
    if wanted.original is not None:
        beside_the_original(wanted.original.resolve(), 4 * wanted.rounds)


def portraits() -> list[np.ndarray]:
    """RGB, 1080 pixels wide."""
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        grace = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR_RGB)
    found = []
    for picture in (skimage.data.astronaut(), grace):
        size = (WIDTH, round(picture.shape[0] * WIDTH / picture.shape[1]))
        found.append(np.ascontiguousarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA)))
    return found


def measure(name: str, backend: Reconstructor, device: Device, batches: list[int], rounds: int) -> None:
    clock, where = (time.perf_counter, "cuda") if on_gpu(device) else (time.process_time, "cpu")
    picture = Image(portraits()[1])
    for size in batches:
        items: list[Item] = [(picture, None)] * size
        milliseconds = median(lambda items=items: backend.reconstruct(items), rounds, clock)
        each, rate = milliseconds / size, 1000 * size / milliseconds
        print(f"{name:<10} {where:<6} {size:>5} {each:>12.2f} {rate:>10.1f}")


def on_gpu(device: Device) -> bool:
    if device is Device.CPU:
        return False
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers() and Path("/dev/nvidia0").exists()


def median(work: Callable[[], object], rounds: int, clock: Callable[[], float]) -> float:
    work()
    times = []
    for _ in range(rounds):
        start = clock()
        work()
        times.append(1000 * (clock() - start))
    return float(np.median(times))


def beside_the_original(checkout: Path, rounds: int) -> None:
    try:
        ours = load_backend("tddfa_v2", BackendOptions(SessionOptions(Device.CPU)))
    except ReconError as problem:
        print(f"tddfa_v2 cannot be measured here: {problem}")
        return
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    theirs = subprocess.Popen(
        [sys.executable, "-c", ORIGINAL], cwd=checkout, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert theirs.stdin is not None
    assert theirs.stdout is not None
    while (line := theirs.stdout.readline()).strip() != "ready":
        if not line:
            print("the original does not start there: its own message is above")
            return
    print(f"\nBeside the original, processor time of one thread, medians of {rounds} in turns:")
    with tempfile.TemporaryDirectory() as folder:
        for name, pixels in zip(("astronaut", "grace_hopper"), portraits(), strict=True):
            path, out = Path(folder) / f"{name}.png", Path(folder) / f"{name}.npz"
            cv2.imwrite(str(path), pixels[:, :, ::-1])
            item: Item = (Image(pixels), None)
            spent: list[list[float]] = []
            own: list[float] = []
            for turn in range(rounds + 1):
                theirs.stdin.write(json.dumps({"picture": str(path), "out": str(out)}) + "\n")
                theirs.stdin.flush()
                took = json.loads(theirs.stdout.readline())
                start = time.process_time()
                (outcome,) = ours.reconstruct([item])
                if turn:  # the first warms up
                    own.append(1000 * (time.process_time() - start))
                    spent.append(took)
            if isinstance(outcome, ReconError) or not outcome:
                print(f"{name}: no face")
                continue
            parts = np.median(np.array(spent), axis=0)
            total, mine = float(np.median(np.sum(spent, axis=1))), float(np.median(own))
            print(
                f"{name}: original {total:.1f} ms (detector {parts[0]:.1f}, regressor {parts[1]:.1f}, dense "
                f"{parts[2]:.1f}), ours {mine:.1f} ms with posed and neutral mesh: {total / mine:.1f} times"
            )
            with np.load(out) as original:
                print(f"  {differences(outcome[0], original)}")
    theirs.stdin.close()
    theirs.wait()


def differences(face: ReconstructedFace, original: np.lib.npyio.NpzFile) -> str:
    box = np.abs(np.array(face.box) - original["box"][:4]).max()
    parameters = np.abs(face.parameters["parameters"] - original["parameters"])
    scale = np.abs(original["parameters"]).clip(1e-6)
    dense = np.abs(face.posed[:, :2] - original["dense"][:2].T).max()
    return (
        f"largest differences: box {box:.1e} px, parameters {float((parameters / scale).max()):.1e} of their "
        f"size, dense vertices {dense:.1e} px"
    )


if __name__ == "__main__":
    main()
