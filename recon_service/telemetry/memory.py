"""How much memory a process and all that it started hold."""

from __future__ import annotations

from pathlib import Path


def resident_bytes(head: int) -> dict[str, float]:
    """Resident memory of a process and, added up, of all that it started and what those started, in bytes.
    Empty where the system does not tell (only Linux does).
    """
    parents: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "status").read_text()
        except OSError:
            continue  # it ended while we looked
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        parents[int(folder.name)] = int(fields.get("PPid", "0"))
        sizes[int(folder.name)] = 1024 * int(fields.get("VmRSS", "0 kB").split()[0])
    if head not in sizes:
        return {}
    below = sum(size for pid, size in sizes.items() if pid != head and _below(pid, head, parents))
    return {"head": float(sizes[head]), "below": float(below)}


def _below(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid > 1:
        if pid == ancestor:
            return True
        pid = parents.get(pid, 0)
    return False
