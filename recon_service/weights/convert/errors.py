"""What can be wrong with an original."""

from __future__ import annotations

from recon_service.domain.errors import WeightsUnavailable


class PickleRefused(WeightsUnavailable):
    """A pickle that asks for anything but plain containers, numbers and arrays."""

    code = "weights-pickle-refused"
    title = "A pickle asks for what it may not have"


class OriginalInvalid(WeightsUnavailable):
    """An original that does not hold what it should."""

    code = "weights-original-invalid"
    title = "An original model file is not what it should be"
