"""Make weights/builtin.npz: the canonical model at FaceMesh's 468 landmark positions, and what FaceMesh
sees of it.

    python weights/build_builtin.py --ict ict_face_model.npz --registration facemesh468_on_ict.npz \
        --observation facemesh_observation_model.npz

The three inputs are declared in weights/manifest.toml. A linear model restricted to points of its surface
is linear again, so the mean and the modes at the landmarks are computed exactly (the limit of infinitely
many samples of the dense model), and the coefficients keep their meaning: templates of the built-in and of
the dense model can be compared. The covariances of the landmark detector (468 x 468 each) are kept as 60
leading directions plus a diagonal; the script prints what that leaves out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from recon_service.canonical_model.ict import load_ict
from recon_service.canonical_model.surface import near_border
from recon_service.domain.arrays import Array

FACTORS = 60
ATTRIBUTION = (
    "Computed from ICT-FaceKit Light (MIT license, (c) USC ICT Vision and Graphics Lab) and the topology "
    "of MediaPipe's canonical face model (Apache-2.0, (c) Google). The landmark observation model was learned from 640 rendered heads."
)


def low_rank(covariance: Array, name: str) -> tuple[Array, Array]:
    """Factor (N, FACTORS) and rest (N,) with factor @ factor.T + diag(rest) close to the covariance and
    equal on its diagonal.
    """
    values, vectors = np.linalg.eigh(covariance)
    factor = vectors[:, -FACTORS:] * np.sqrt(np.maximum(values[-FACTORS:], 0.0))
    rest = np.maximum(np.diag(covariance) - (factor**2).sum(axis=1), 1e-6)
    left_out = np.linalg.norm(covariance - factor @ factor.T - np.diag(rest)) / np.linalg.norm(covariance)
    print(f"{name}: {FACTORS} directions and the diagonal leave out {left_out:.2%} (Frobenius norm)")
    return factor, rest


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ict", type=Path, required=True)
    parser.add_argument("--registration", type=Path, required=True)
    parser.add_argument("--observation", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("builtin.npz"))
    arguments = parser.parse_args()

    dense = load_ict(arguments.ict)
    with np.load(arguments.registration, allow_pickle=False) as file:
        facemesh_triangles = file["facemesh_triangles"]
    with np.load(arguments.observation, allow_pickle=False) as file:
        triangle, barycentric = file["lt"], file["lb"]
        offset, response, usable = file["off"], file["Mr"], file["use"]
        covariances = {"shared": file["Cb"].astype(np.float64), "per_image": file["Cw"].astype(np.float64)}
    corners = dense.triangles[triangle]
    points = dense.vertices.between(corners, barycentric)
    rim = near_border(dense.triangles, len(dense.vertices))
    arrays = {
        "mean": points.mean.astype(np.float32),
        "identity": points.identity.astype(np.float16),
        "expression": points.expression.astype(np.float16),
        "normals": points.normals.astype(np.float32),
        "triangles": outward(facemesh_triangles.astype(np.int64), points.mean, points.normals).astype(
            np.uint16
        ),
        "on_skin": ~rim[corners].all(axis=1),
        "dense_corners": corners.astype(np.uint16),
        "dense_barycentric": barycentric.astype(np.float32),
        "offset": offset.astype(np.float32),
        "response": response.transpose(1, 2, 0).astype(np.float16),
        "usable": usable.astype(bool),
        "attribution": np.array(ATTRIBUTION),
    }
    for name, covariance in covariances.items():
        factor, rest = low_rank(covariance, name)
        arrays[f"{name}_factor"], arrays[f"{name}_rest"] = factor.astype(np.float16), rest.astype(np.float32)
    np.savez_compressed(arguments.out, **arrays)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1024:.0f} KiB")


def outward(triangles: Array, vertices: Array, normals: Array) -> Array:
    """The triangles, each wound so that it faces the way its vertices' normals do."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    inward = np.einsum("ni,ni->n", np.cross(b - a, c - a), normals[triangles].sum(axis=1)) < 0
    return np.where(inward[:, None], triangles[:, ::-1], triangles)


if __name__ == "__main__":
    main()
