"""A calibration as two files: NAME.npz with everything that is computed with, and NAME.toml, which a person
can read and which holds the SHA-256 of the former. No pickle; nothing in them is ever executed.

The archive holds ``facts`` (JSON as text) and float32 arrays that the facts name: vectors (K,), and symmetric
matrices as their lower triangle by rows, K (K + 1) / 2.
"""

from __future__ import annotations

import hashlib
import io
import json
import tomllib
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from recon_service.comparison.appearance import AppearanceKey, AppearanceMap, AppearanceMaps
from recon_service.comparison.calibration import Calibration, FusedMeasured, PairCalibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.measured import Measured
from recon_service.comparison.pair_score import PairScore
from recon_service.comparison.score_map import ScoreMap
from recon_service.domain.appearance import Light
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue

FORMAT = "recon-calibration-1"
RELEASED = Path(__file__).with_name("released") / "released-1.toml"
"""The calibration that ships with the code, learned with the dense model."""
BUILTIN = RELEASED.with_name("released-1-builtin.toml")
"""The one for the built-in model, whose fits err in other ways."""


def released_for(model: str, folder: Path = RELEASED.parent) -> Path:
    """The released calibration that was learned with this canonical model, else the one of all."""
    for path in sorted(folder.glob("*.toml"), reverse=True):
        try:
            provenance = tomllib.loads(path.read_text(encoding="utf-8")).get("provenance", {})
        except tomllib.TOMLDecodeError:
            continue
        if provenance.get("model") == model:
            return path
    return folder / RELEASED.name


def save_calibration(calibration: Calibration, folder: Path) -> Calibration:
    """Write NAME.npz and NAME.toml; the calibration with its digest."""
    content = _packed(calibration)
    digest = hashlib.sha256(content).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{calibration.name}.npz").write_bytes(content)
    (folder / f"{calibration.name}.toml").write_text(_described(calibration, digest), encoding="utf-8")
    return replace(calibration, digest=digest)


def load_calibration(description: Path = RELEASED) -> Calibration:
    """Read NAME.toml and the archive beside it. Raises InvalidValue when one of them is missing, altered or
    not understood.
    """
    try:
        facts = tomllib.loads(description.read_text(encoding="utf-8"))
        content = description.with_suffix(".npz").read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != facts["sha256"]:
            raise ValueError(f"its SHA-256 is {digest}, not {facts['sha256']}")
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return _unpacked(archive, digest)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, tomllib.TOMLDecodeError) as fault:
        raise InvalidValue(
            f"the calibration {description.name} cannot be used: {fault}",
            next_step="Restore both files from the repository, or learn them again: recon calibrate.",
        ) from fault
    except InvalidValue as fault:
        raise InvalidValue(f"the calibration {description.name} is wrong: {fault.detail}") from fault


def _packed(calibration: Calibration) -> bytes:
    arrays: dict[str, Array] = {}
    names: dict[bytes, str] = {}

    def kept(values: Array) -> str:
        # Pairs share the center and the gain of a kind: each is kept once.
        small = np.asarray(values.astype("<f4"))
        name = names.setdefault(small.tobytes(), f"a{len(names)}")
        arrays[name] = small
        return name

    pairs = []
    for kinds, pair in sorted(calibration.pairs.items()):
        score = pair.score
        pairs.append(
            {
                "kinds": [str(kind) for kind in kinds],
                "centers": [kept(center) for center in score.centers],
                "gains": [kept(_lower(gain)) for gain in score.gains],
                "within": kept(_lower(score.within)),
                "between": kept(_lower(score.between)),
                "map": asdict(pair.score_map),
                "measured": asdict(pair.measured) if pair.measured else None,
            }
        )
    facts: dict[str, Any] = {
        "format": FORMAT,
        "name": calibration.name,
        "space": calibration.space,
        "accepts": list(calibration.accepts),
        "provenance": dict(calibration.provenance),
        "score_maps": {name: asdict(one) for name, one in sorted(calibration.score_maps.items())},
        "pairs": pairs,
        "appearance": {
            "name": calibration.appearance.name,
            "maps": [_packed_map(key, one) for key, one in _ordered(calibration.appearance)],
        },
        "fused": [
            {
                "kinds": [str(kind) for kind in one.kinds],
                **_packed_look((one.embedder, one.version, one.lights)),
                "measured": asdict(one.measured),
            }
            for one in calibration.fused
        ],
    }
    # Written by hand: the date that numpy puts into an archive would make every file another.
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        _put(archive, "facts", np.array(json.dumps(facts, sort_keys=True)))
        for name, values in arrays.items():
            _put(archive, name, values)
    return buffer.getvalue()


def _put(archive: zipfile.ZipFile, name: str, values: np.ndarray[Any, Any]) -> None:
    content = io.BytesIO()
    np.lib.format.write_array(content, values, allow_pickle=False)
    archive.writestr(
        zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), content.getvalue(), zipfile.ZIP_DEFLATED
    )


def _unpacked(archive: Mapping[str, np.ndarray[Any, Any]], digest: str) -> Calibration:
    facts: dict[str, Any] = json.loads(str(archive["facts"]))
    if facts["format"] != FORMAT:
        raise ValueError(f"its format is {facts['format']}, not {FORMAT}")
    pairs = {}
    for entry in facts["pairs"]:
        first, second = (EvidenceKind.parse(kind) for kind in entry["kinds"])
        centers = [np.asarray(archive[name], dtype=np.float64) for name in entry["centers"]]
        gains = [_whole(archive[name]) for name in entry["gains"]]
        score = PairScore(
            (centers[0], centers[1]),
            (gains[0], gains[1]),
            _whole(archive[entry["within"]]),
            _whole(archive[entry["between"]]),
        )
        pairs[first, second] = PairCalibration(
            score, ScoreMap(**entry["map"]), _unpacked_measured(entry["measured"])
        )
    # Files of before have neither.
    looks = facts.get("appearance", {"name": "none", "maps": []})
    return Calibration(
        name=str(facts["name"]),
        space=str(facts["space"]),
        pairs=pairs,
        accepts=tuple(facts["accepts"]),
        score_maps={name: ScoreMap(**one) for name, one in facts["score_maps"].items()},
        appearance=AppearanceMaps(looks["name"], dict(_unpacked_map(entry) for entry in looks["maps"])),
        fused=tuple(_unpacked_fused(entry) for entry in facts.get("fused", ())),
        provenance=facts["provenance"],
        digest=digest,
    )


def _ordered(maps: AppearanceMaps) -> list[tuple[AppearanceKey, AppearanceMap]]:
    return sorted(maps.maps.items(), key=lambda item: (item[0][:2], sorted(item[0][2])))


def _packed_look(key: AppearanceKey) -> dict[str, Any]:
    return {"embedder": key[0], "version": key[1], "lights": sorted(light.value for light in key[2])}


def _unpacked_look(entry: Mapping[str, Any]) -> AppearanceKey:
    return str(entry["embedder"]), str(entry["version"]), frozenset(Light(one) for one in entry["lights"])


def _packed_map(key: AppearanceKey, one: AppearanceMap) -> dict[str, Any]:
    return {
        **_packed_look(key),
        "map": asdict(one.score_map),
        "assumed": one.assumed,
        "shrinkage": one.shrinkage,
        "measured": asdict(one.measured) if one.measured else None,
    }


def _unpacked_map(entry: Mapping[str, Any]) -> tuple[AppearanceKey, AppearanceMap]:
    return _unpacked_look(entry), AppearanceMap(
        ScoreMap(**entry["map"]),
        bool(entry["assumed"]),
        _unpacked_measured(entry["measured"]),
        float(entry["shrinkage"]),
    )


def _unpacked_fused(entry: Mapping[str, Any]) -> FusedMeasured:
    first, second = (EvidenceKind.parse(kind) for kind in entry["kinds"])
    measured = _unpacked_measured(entry["measured"])
    if measured is None:
        raise ValueError("a sum of evidence was not measured")
    return FusedMeasured((first, second), *_unpacked_look(entry), measured)


def _unpacked_measured(entry: Mapping[str, Any] | None) -> Measured | None:
    if entry is None:
        return None
    rows = ("thresholds", "false_matches", "false_non_matches")
    return Measured(**{**entry, **{row: tuple(entry[row]) for row in rows}})


def _lower(matrix: Array) -> Array:
    return np.asarray(matrix[np.tril_indices(len(matrix))])


def _whole(lower: np.ndarray[Any, Any]) -> Array:
    k = int((np.sqrt(8 * len(lower) + 1) - 1) // 2)
    matrix = np.zeros((k, k))
    matrix[np.tril_indices(k)] = lower
    return np.asarray(matrix + np.tril(matrix, -1).T)


def _described(calibration: Calibration, digest: str) -> str:
    """The TOML file."""
    lines = [
        "# Written by `recon calibrate`, for people: what is computed with lies in the .npz beside it.",
        f"name = {json.dumps(calibration.name)}",
        f'sha256 = "{digest}"',
        f"space = {json.dumps(calibration.space)}",
        f"accepts = {json.dumps(list(calibration.accepts))}",
        "",
        "[provenance]",
        *(f"{name} = {json.dumps(value)}" for name, value in calibration.provenance.items()),
    ]
    for (first, second), pair in sorted(calibration.pairs.items()):
        lines += ["", "[[pair]]", f'kinds = ["{first}", "{second}"]']
        lines += [f"{name} = {value:.6g}" for name, value in asdict(pair.score_map).items()]
        lines += _described_measured("pair.measured", pair.measured)
    for key, known in _ordered(calibration.appearance):
        lines += ["", "[[appearance]]", *(f"{n} = {json.dumps(v)}" for n, v in _packed_look(key).items())]
        lines += [f"{name} = {value:.6g}" for name, value in asdict(known.score_map).items()]
        lines += [f"assumed = {json.dumps(known.assumed)}", f"shrinkage = {known.shrinkage:g}"]
        lines += _described_measured("appearance.measured", known.measured)
    for one in calibration.fused:
        lines += ["", "[[fused]]", f'kinds = ["{one.kinds[0]}", "{one.kinds[1]}"]']
        look = _packed_look((one.embedder, one.version, one.lights))
        lines += [f"{name} = {json.dumps(value)}" for name, value in look.items()]
        lines += _described_measured("fused.measured", one.measured)
    for name, score_map in sorted(calibration.score_maps.items()):
        lines += ["", f"[score_maps.{json.dumps(name)}]"]
        lines += [f"{part} = {value:.6g}" for part, value in asdict(score_map).items()]
    return "\n".join(lines) + "\n"


def _described_measured(table: str, measured: Measured | None) -> list[str]:
    if measured is None:
        return []
    return [
        f"[{table}] # on people that it was not learned on",
        *(
            f"{name} = {json.dumps(value) if isinstance(value, str) else _number(value)}"
            for name, value in asdict(measured).items()
            if value is not None
        ),
    ]


def _number(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "[" + ", ".join(f"{one:.4g}" for one in value) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
