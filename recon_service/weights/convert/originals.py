"""Which original becomes which file, and what each must hold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recon_service.weights.convert.basel import basel_bases
from recon_service.weights.convert.checkpoints import load_checkpoint
from recon_service.weights.convert.encoders import deca_encoder, faceverse_encoder
from recon_service.weights.convert.errors import OriginalInvalid
from recon_service.weights.convert.faceverse import faceverse_model
from recon_service.weights.convert.files import npz_bytes, safetensors_bytes
from recon_service.weights.convert.flame import flame_landmarks, flame_model
from recon_service.weights.convert.mtcnn import mtcnn_network
from recon_service.weights.convert.pickles import load_arrays
from recon_service.weights.derived import check_derived_allowed, write_derived
from recon_service.weights.digest import file_sha256
from recon_service.weights.errors import UnknownWeights
from recon_service.weights.landing import WrongBytes, land, locked, part_path
from recon_service.weights.store import WeightStore

Arrays = dict[str, NDArray[Any]]
COMMIT: Final = "cleardusk/3DDFA_V2@1b6c676"


@dataclass(frozen=True)
class DeclaredConversion:
    """original: a declared file. convert: its bytes to the bytes of the declared result."""

    original: str
    convert: Callable[[bytes], bytes]


@dataclass(frozen=True)
class OwnConversion:
    """Of a file that the user brings. git_blob: its identity in the original's repository."""

    git_blob: str
    convert: Callable[[bytes], bytes]


def network(content: bytes) -> Arrays:
    """The parameters in a checkpoint, without what only training needed.

    Raises PickleRefused, OriginalInvalid.
    """
    value = load_checkpoint(content)
    if isinstance(value, dict) and isinstance(value.get("state_dict"), dict):
        value = value["state_dict"]
    if not isinstance(value, dict) or not all(isinstance(array, np.ndarray) for array in value.values()):
        raise OriginalInvalid("The checkpoint holds no parameters of a network.")
    return {str(name).removeprefix("module."): array for name, array in value.items()}


def regressor(content: bytes) -> Arrays:
    """3DDFA-V2's network: the head that served training alone is dropped, the other one renamed."""
    named = {k.replace("fc_param.", "fc."): v for k, v in network(content).items() if "fc_lm" not in k}
    if "fc.weight" not in named or named["fc.weight"].shape[0] != 62:
        raise OriginalInvalid("The checkpoint is no regressor of 62 numbers.")
    return named


def whitening(content: bytes) -> Arrays:
    """Mean and standard deviation of the 62 numbers."""
    value = load_arrays(content)
    arrays = {name: np.asarray(value[name]) for name in ("mean", "std")} if isinstance(value, dict) else {}
    if any(array.shape != (62,) for array in arrays.values()) or not arrays:
        raise OriginalInvalid("The file holds no mean and deviation of 62 numbers.")
    return arrays


def triangles(content: bytes) -> Arrays:
    """Vertices of each triangle, (F, 3)."""
    value = load_arrays(content)
    if not isinstance(value, np.ndarray) or value.ndim != 2 or 3 not in value.shape:
        raise OriginalInvalid("The file holds no triangles.")
    return {"tri": np.ascontiguousarray(value if value.shape[1] == 3 else value.T)}


DECLARED: Final[Mapping[str, DeclaredConversion]] = {
    "faceboxes": DeclaredConversion(
        "faceboxes-original",
        lambda content: safetensors_bytes(
            network(content),
            {"arch": "FaceBoxes 2 classes", "source": f"{COMMIT} FaceBoxes/weights/FaceBoxesProd.pth"},
        ),
    ),
    "tddfa-v2": DeclaredConversion(
        "tddfa-v2-original",
        lambda content: safetensors_bytes(
            regressor(content),
            {
                "arch": "MobileNetV1 widen 0.5, 62 out, 120x120 BGR",
                "source": f"{COMMIT} weights/mb05_120x120.pth",
            },
        ),
    ),
    "tddfa-v2-whitening": DeclaredConversion(
        "tddfa-v2-whitening-original", lambda content: npz_bytes(whitening(content))
    ),
    "tddfa-v2-triangles": DeclaredConversion(
        "tddfa-v2-triangles-original", lambda content: npz_bytes(triangles(content))
    ),
    **{
        name: DeclaredConversion(f"{name}-original", lambda content: safetensors_bytes(network(content)))
        for name in ("minifasnet-v2", "minifasnet-v1se")
    },
    **{
        f"mtcnn-{part}": DeclaredConversion(
            f"mtcnn-{part}-original", lambda content: safetensors_bytes(mtcnn_network(content))
        )
        for part in ("pnet", "rnet", "onet")
    },
}

OWN: Final[Mapping[str, OwnConversion]] = {
    "bfm": OwnConversion(
        "7a44e1e29d658fc5d7303eb07cd820b23daab34a", lambda content: npz_bytes(basel_bases(content))
    ),
    "tddfa-v2-mb1": OwnConversion(
        "bb78e0cd616fa578febb725b4be3a3ddd546f6b4", lambda content: safetensors_bytes(regressor(content))
    ),
    # Handed out after a registration, under no digest that we know: what is inside is checked instead.
    "deca": OwnConversion("", lambda content: safetensors_bytes(deca_encoder(content))),
    "flame": OwnConversion("", lambda content: npz_bytes(flame_model(content))),
    "flame-landmarks": OwnConversion("", lambda content: npz_bytes(flame_landmarks(content))),
    "faceverse": OwnConversion("", lambda content: npz_bytes(faceverse_model(content))),
    "faceverse-encoder": OwnConversion("", lambda content: safetensors_bytes(faceverse_encoder(content))),
    # Published inside archives: no identity of the bare file is known, and nothing is converted.
    "rtmpose-face": OwnConversion("", lambda content: content),
}


def convert(store: WeightStore, name: str, *, source: Path | None = None, unverified: bool = False) -> Path:
    """Make the file of that name from its original and put it in the weights folder.

    source: the original where it is not declared (or lies elsewhere). unverified: take an original that is
    not the one published. Raises UnknownWeights, WeightsUnavailable of every kind.
    """
    if name in DECLARED:
        return _declared(store, name, source)
    if name in OWN:
        if source is None:
            raise OriginalInvalid(
                f"{name} is made from a file of yours.",
                next_step=f"Run: {store.manifest.find_derived(name).command}",
            )
        return _own(store, name, source, unverified=unverified)
    raise UnknownWeights(
        f"There is no conversion to {name!r}.", next_step=f"There are: {', '.join([*DECLARED, *OWN])}."
    )


def _declared(store: WeightStore, name: str, source: Path | None) -> Path:
    conversion, file = DECLARED[name], store.manifest.find(name)
    store.check_allowed(file)
    original = store.manifest.find(conversion.original)
    path = source or store.locate(conversion.original)
    content = _content(path)
    if hashlib.sha256(content).hexdigest() != original.sha256:
        raise OriginalInvalid(f"{path} is not the file that {original.name} declares.")
    target = store.target(file)
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target, root=store.directory):
        part = part_path(target)
        part.write_bytes(conversion.convert(content))
        try:
            land(file, part, target)
        except WrongBytes as fault:
            raise OriginalInvalid(
                f"The conversion to {name} gave another file than declared: {fault}."
            ) from fault
    return target


def _own(store: WeightStore, name: str, source: Path, *, unverified: bool) -> Path:
    check_derived_allowed(store, store.manifest.find_derived(name))
    content = _content(source)
    if not unverified and git_blob(content) != OWN[name].git_blob:
        raise OriginalInvalid(
            f"{source.name} is not the file of the original repository.",
            next_step="Get it again, or say --unverified if you know where it comes from.",
        )
    return write_derived(
        store, name, OWN[name].convert(content), made_from={source.name: file_sha256(source)}
    )


def git_blob(content: bytes) -> str:
    """What git calls a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise OriginalInvalid(f"{path} cannot be read: {fault.strerror}.") from fault
