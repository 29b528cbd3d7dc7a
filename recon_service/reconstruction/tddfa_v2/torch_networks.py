"""The two networks in torch: what the served graphs are held against."""

from __future__ import annotations

import torch

from recon_service.networks.safetensors import Arrays
from recon_service.reconstruction.session import Floats
from third_party.tddfa_v2.faceboxes import FaceBoxes
from third_party.tddfa_v2.mobilenet import MobileNetV1
from third_party.tddfa_v2.mobilenet_blocks import STEM


class TorchNetworks:
    """The original's arithmetic, on the CPU or a GPU; gradients are off for these calls only."""

    def __init__(self, detector: Arrays, regressor: Arrays, *, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self._detector = _filled(FaceBoxes(), detector).to(self._device)
        width = len(regressor["conv1.weight"]) / STEM
        self._regressor = _filled(MobileNetV1(width), regressor).to(self._device)

    def detect(self, pictures: Floats) -> tuple[Floats, Floats]:
        with torch.inference_mode():
            offsets, scores = self._detector(torch.from_numpy(pictures).to(self._device))
        return offsets.cpu().numpy(), scores.cpu().numpy()

    def regress(self, crops: Floats) -> Floats:
        with torch.inference_mode():
            raw: Floats = self._regressor(torch.from_numpy(crops).to(self._device)).cpu().numpy()
        return raw


def _filled(module: torch.nn.Module, parameters: Arrays) -> torch.nn.Module:
    tensors = {name: torch.from_numpy(array.copy()) for name, array in parameters.items()}
    left = module.load_state_dict(tensors, strict=False)
    # Counters of training are left out of the file; nothing else may be.
    missing = [name for name in left.missing_keys if not name.endswith("num_batches_tracked")]
    if missing or left.unexpected_keys:
        raise ValueError(f"the parameters do not fit the network: {missing[:3]} {left.unexpected_keys[:3]}")
    return module.eval()
