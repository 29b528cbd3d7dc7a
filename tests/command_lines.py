"""Lines of a shell that call `recon`, held against what the command line really takes."""

from __future__ import annotations

import shlex

from typer.core import TyperGroup
from typer.main import get_command

from recon_service.cli.main import build_app


def unknown_words(line: str) -> list[str]:
    """Sub-commands and options of a line, such as ``recon batch list --limit 5``, that do not exist, and
    options that it lacks.
    """
    words = shlex.split(line, comments=True)
    while "=" in words[0]:
        words.pop(0)  # of its environment
    words = words[[word.rpartition("/")[2] for word in words].index("recon") + 1 :]
    for end in ("|", "||", ">", ">>", "&&", "&", ";"):
        words = words[: words.index(end)] if end in words else words
    found = get_command(build_app(words[:1]))
    while isinstance(found, TyperGroup):
        if not words or words[0].startswith("-"):
            break  # `recon --help`
        name = words.pop(0)
        if name not in found.commands:
            return [name]
        found = found.commands[name]
    options = {name for p in found.params for name in (*p.opts, *p.secondary_opts)} | {"--help"}
    given = [word.partition("=")[0] for word in words if word.startswith("-") and word != "-"]
    needed = [p.opts for p in found.params if p.param_type_name == "option" and p.required]
    lacking = [names[0] for names in needed if not set(names) & set(given)]
    return [word for word in given if word not in options] + lacking
