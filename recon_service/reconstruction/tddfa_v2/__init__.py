"""3DDFA-V2: an affine camera, 40 identity and 10 expression coefficients of the Basel model."""

from __future__ import annotations

from collections.abc import Mapping

from recon_service.reconstruction.backend import Backend, BackendOptions, GraphOf, ModelFiles, Reconstructor

NAME = "tddfa_v2"


def _load(files: ModelFiles, options: BackendOptions) -> Reconstructor:
    from recon_service.reconstruction.tddfa_v2.reconstructor import TddfaV2

    return TddfaV2.load(files, options)


def _check(files: ModelFiles) -> str:
    from recon_service.reconstruction.tddfa_v2.model_files import check

    return check(files)


def _networks(files: ModelFiles) -> Mapping[str, GraphOf]:
    from recon_service.reconstruction.tddfa_v2.networks import graphs_of

    return graphs_of(files)


TDDFA_V2 = Backend(
    name=NAME,
    title="3DDFA-V2 (FaceBoxes, MobileNet-V1, Basel Face Model 2009)",
    license="academic only: the Basel model, and a network trained on fits of it",
    correspondence="tddfa-v2-correspondence",
    load=_load,
    check=_check,
    networks=_networks,
)
