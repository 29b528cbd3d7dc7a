"""Networks that another process of the machine runs for several: the callers' end."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any, Final

from recon_service.domain.errors import ReconstructionFailed, ServiceFault
from recon_service.reconstruction.messages import BadMessage, receive, send
from recon_service.reconstruction.session import Floats

RETRY_S: Final = 0.1


class NetworksAway(ServiceFault):
    """The process that runs the reconstruction networks does not answer."""

    code = "networks-away"
    title = "The reconstruction networks do not answer"


@dataclass(frozen=True, slots=True)
class Standing:
    """How that process stands. loaded, expected: names of networks. sizes: of each network, how many of its
    batches had so many items. device: where they run.
    """

    loaded: tuple[str, ...]
    expected: tuple[str, ...]
    device: str
    sizes: dict[str, dict[int, int]]

    @property
    def ready(self) -> bool:
        return set(self.loaded) == set(self.expected)


class NetworksElsewhere:
    """Gives sessions by name. For any number of threads, each with a connection of its own."""

    def __init__(self, address: Path, *, patience_s: float = 60.0) -> None:
        """address: of the socket. patience_s: how long a run waits for the process to come up, or back."""
        self._address, self._patience_s = address, patience_s
        self._here = threading.local()

    def __call__(self, name: str) -> SessionElsewhere:
        return SessionElsewhere(self, name)

    def standing(self) -> Standing:
        """Raises NetworksAway at once where nobody answers."""
        said, _ = self._asked({"standing": True}, [], patience_s=0.0)
        sizes = {name: {int(n): count for n, count in of.items()} for name, of in said["sizes"].items()}
        return Standing(tuple(said["loaded"]), tuple(said["expected"]), said["device"], sizes)

    def check(self) -> None:
        """Raises NetworksAway unless every network is loaded."""
        standing = self.standing()
        if not standing.ready:
            raise NetworksAway(
                f"{len(standing.loaded)} of {len(standing.expected)} networks are loaded",
                next_step="Wait a few seconds; then look at the log.",
            )

    def run(self, name: str, inputs: dict[str, Floats]) -> list[Floats]:
        """All outputs. Raises ReconstructionFailed where the network fails on these inputs, NetworksAway
        where nobody answers for too long.
        """
        said, outputs = self._asked(
            {"network": name, "inputs": list(inputs)}, list(inputs.values()), patience_s=self._patience_s
        )
        if "fault" in said:
            raise ReconstructionFailed(
                f"A reconstruction network failed ({said['fault']}).", next_step="Take the picture again."
            )
        if "unknown" in said:
            raise NetworksAway(
                f"{name} is not among the networks that run",
                next_step="Restart the worker: files came later.",
            )
        return outputs

    def _asked(
        self, question: dict[str, object], arrays: list[Floats], *, patience_s: float
    ) -> tuple[dict[str, Any], list[Floats]]:
        """A question may be put twice: nothing is changed by it."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                connection = self._connection()
                send(connection, question, arrays)
                return receive(connection)
            except (OSError, EOFError, BadMessage) as fault:
                self._hang_up()
                if time.monotonic() >= deadline:
                    raise NetworksAway(
                        "the process that runs the reconstruction networks does not answer",
                        next_step="Look at the worker's log; it is started anew by itself.",
                    ) from fault
            time.sleep(RETRY_S)

    def _connection(self) -> Connection:
        if getattr(self._here, "connection", None) is None:
            self._here.connection = Client(str(self._address), "AF_UNIX")
        connection: Connection = self._here.connection
        return connection

    def _hang_up(self) -> None:
        connection = getattr(self._here, "connection", None)
        if connection is not None:
            connection.close()
            self._here.connection = None


@dataclass(frozen=True, slots=True)
class SessionElsewhere:
    """See ``session.Session``."""

    networks: NetworksElsewhere
    name: str

    def run(self, **inputs: Floats) -> list[Floats]:
        return self.networks.run(self.name, inputs)
