"""Two portraits that are free to use and ship inside packages."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image as PillowImage

from recon_service.domain.errors import ServiceFault


class PortraitsMissing(ServiceFault):
    """The packages that carry the portraits are not installed."""

    code = "portraits-missing"
    title = "The portraits of the demo are not here"


def portraits() -> dict[str, bytes]:
    """JPEG bytes by name: Eileen Collins (scikit-image's ``astronaut``) and Grace Hopper (matplotlib's sample
    data).

    Both are photographs of United States agencies, in the public domain. Raises PortraitsMissing without the
    packages.
    """
    try:
        import matplotlib.cbook
        import skimage.data
    except ImportError as missing:
        raise PortraitsMissing(
            f"the package {missing.name} is not installed",
            next_step="Install the extra: pip install -e '.[demo]'",
        ) from missing
    buffer = io.BytesIO()
    PillowImage.fromarray(skimage.data.astronaut()).save(buffer, "JPEG", quality=95)
    hopper = Path(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    return {"astronaut": buffer.getvalue(), "grace-hopper": hopper.read_bytes()}
