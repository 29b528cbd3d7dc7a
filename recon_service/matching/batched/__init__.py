"""Surface matches of many people at once, by torch. Nothing else of the stage imports this package: a process
that does not match in batches never loads torch.
"""

from recon_service.matching.batched.device import TorchDevice, torch_device
from recon_service.matching.batched.matcher import BatchedSurfaceMatcher, BatchSizes

__all__ = ["BatchSizes", "BatchedSurfaceMatcher", "TorchDevice", "torch_device"]
