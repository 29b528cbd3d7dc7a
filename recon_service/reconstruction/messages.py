"""What a process that runs networks and its callers say to each other over a socket of the machine.

A message is a JSON document, and after it as many arrays of float32 as it announces shapes. No pickles: the
callers look at what strangers sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import prod
from multiprocessing.connection import Connection
from typing import Any, Final

import numpy as np

from recon_service.reconstruction.session import Floats

HEAD_BYTES: Final = 65_536
ARRAY_BYTES: Final = 1 << 30


class BadMessage(Exception):
    """What came is no message."""


def send(connection: Connection, content: Mapping[str, Any], arrays: Sequence[Floats] = ()) -> None:
    """Raises OSError where nobody listens any more."""
    head = {**content, "shapes": [list(array.shape) for array in arrays]}
    connection.send_bytes(json.dumps(head).encode())
    for array in arrays:
        if array.size:
            connection.send_bytes(np.ascontiguousarray(array, dtype="<f4").reshape(-1).view(np.uint8).data)


def receive(connection: Connection) -> tuple[dict[str, Any], list[Floats]]:
    """The next message. Raises EOFError, OSError, BadMessage."""
    try:
        head = json.loads(connection.recv_bytes(HEAD_BYTES))
        shapes = [tuple(int(side) for side in shape) for shape in head.pop("shapes")]
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        raise BadMessage("not a head") from fault
    sizes = [4 * prod(shape) for shape in shapes]
    if any(side < 0 for shape in shapes for side in shape) or sum(sizes) > ARRAY_BYTES:
        raise BadMessage("no such arrays")
    arrays = []
    for shape, size in zip(shapes, sizes, strict=True):
        content = connection.recv_bytes(size) if size else b""
        if len(content) != size:
            raise BadMessage("not the announced array")
        arrays.append(np.frombuffer(content, dtype="<f4").reshape(shape))
    return head, arrays
