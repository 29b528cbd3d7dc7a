"""Checkpoints as torch writes them, read without torch."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from recon_service.weights.convert.checkpoints import load_checkpoint
from recon_service.weights.convert.errors import OriginalInvalid

torch = pytest.importorskip("torch", reason="torch writes the checkpoints of this test")


def saved(value: object, *, archive: bool) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=archive)
    return stream.getvalue()


@pytest.mark.parametrize("archive", [True, False])
def test_every_tensor_comes_back(archive: bool) -> None:
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    value = {
        "epoch": 3,
        "state_dict": torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3)).state_dict(),
        "views": [base, base.T, base[1:, ::2], base[2, 3]],
        "kinds": [torch.zeros(2, dtype=kind) for kind in (torch.half, torch.int64, torch.bool, torch.uint8)],
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    back = load_checkpoint(saved(value, archive=archive))
    assert back["epoch"] == 3
    for name, tensor in value["state_dict"].items():
        np.testing.assert_array_equal(back["state_dict"][name], tensor.numpy())
    for name in ("views", "kinds"):
        for array, tensor in zip(back[name], value[name], strict=True):
            np.testing.assert_array_equal(array, tensor.numpy())
            assert array.dtype == tensor.numpy().dtype
    np.testing.assert_array_equal(back["parameter"], np.ones(2))


def test_a_checkpoint_that_lacks_numbers_is_a_typed_error() -> None:
    whole = saved({"a": torch.arange(100)}, archive=False)
    with pytest.raises(OriginalInvalid):
        load_checkpoint(whole[:-8])
    source = zipfile.ZipFile(io.BytesIO(saved({"a": torch.arange(100)}, archive=True)))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as cut:
        for entry in source.namelist():
            if "/data/" not in entry:
                cut.writestr(entry, source.read(entry))
    with pytest.raises(OriginalInvalid):
        load_checkpoint(stream.getvalue())
