"""`recon templates`: versions of templates, and their way from one service to another."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from recon_service.cli.client import DEFAULT_URL, EXIT_FAULT, EXIT_USAGE, ServiceClient, path_of, stop
from recon_service.cli.options import AsJson, Key, Url
from recon_service.cli.progress import progress_bar

app = typer.Typer(no_args_is_help=True)

Subject = Annotated[str, typer.Argument(help="Your pseudonym for the person.")]
CHUNK = 1 << 20


@app.command("list")
def list_(subject: Subject, url: Url = DEFAULT_URL, api_key: Key = None, as_json: AsJson = False) -> None:
    """List the versions of a subject's template, newest first."""
    _show(ServiceClient(url, api_key).get(f"{path_of(subject)}/templates").json(), as_json)


@app.command()
def activate(
    subject: Subject,
    template: Annotated[str, typer.Argument(help="The version to compare with from now on.")],
    url: Url = DEFAULT_URL,
    api_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Compare with this version from now on; the one before retires and can be taken back in the same way."""
    client = ServiceClient(url, api_key)
    _show(client.send("POST", f"{path_of(subject)}/templates/{template}:activate").json(), as_json)


@app.command()
def keygen(
    file: Annotated[Path, typer.Argument(help="Where the secret key goes; it must not exist yet.")],
) -> None:
    """Make the key that opens what other services export to this one.

    The file is for RECON_IMPORT_IDENTITY_FILE of the service that imports; the public key, which is printed,
    for RECON_EXPORT_RECIPIENTS of the one that exports. The same as age-keygen.
    """
    import pyrage

    identity = pyrage.x25519.Identity.generate()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as fault:
        stop(EXIT_USAGE, f"{file} cannot be made: {fault.strerror}.", "Name a file that is not there yet.")
    with os.fdopen(descriptor, "w") as made:
        made.write(f"# public key: {identity.to_public()}\n{identity}\n")
    typer.echo(identity.to_public())


@app.command()
def identity(url: Url = DEFAULT_URL, api_key: Key = None, as_json: AsJson = False) -> None:
    """Show the public keys of a service: what the other side's settings must name."""
    found = ServiceClient(url, api_key).get("/v1/exchange-identity").json()
    if as_json:
        typer.echo(json.dumps(found))
        return
    typer.echo(f"signs as      {found['source']}")
    typer.echo(f"opens         {found['recipient'] or '(imports nothing)'}")
    typer.echo(f"exports to    {', '.join(found['recipients']) or '(nobody)'}")
    typer.echo(f"imports from  {', '.join(found['sources']) or '(nobody)'}")


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where the files go: part-00001.age and so on.")],
    recipient: Annotated[str, typer.Option("--to", help="Public key of who will open them: age1…")],
    subject: Annotated[list[str] | None, typer.Option(help="Only this one; several are possible.")] = None,
    versions: Annotated[str, typer.Option(help="active, or all: retired and candidates too.")] = "active",
    page: Annotated[int, typer.Option(min=1, max=10_000, help="Subjects of one file.")] = 1000,
    url: Url = DEFAULT_URL,
    api_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Export templates, encrypted to one recipient and signed by the service, in files of some subjects each.

    Run again, it goes on after the last file that is there. The manifest, which is written last, names every
    file with its digest. Selfies and evidence do not leave the service.
    """
    from rich.console import Console

    client = ServiceClient(url, api_key)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pages = _pages_so_far(folder)
    wanted = {"recipient": recipient, "versions": versions, "subjects": sorted(subject or [])}
    _note_what_is_asked(folder, wanted)
    asked: dict[str, Any] = {"recipient": recipient, "versions": versions, "limit": page}
    if subject:
        asked["subjects"] = subject
    with progress_bar(Console(stderr=True)) as show:
        while not pages or pages[-1]["next_after"] is not None:
            if pages:
                asked["after"] = pages[-1]["next_after"]
            pages.append(_fetch_page(client, asked, folder, len(pages) + 1))
            show("templates", sum(p["templates"] for p in pages), 0)
    manifest = {"recipient": recipient, "templates": sum(p["templates"] for p in pages), "files": pages}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    typer.echo(
        json.dumps(manifest)
        if as_json
        else f"{manifest['templates']} templates in {len(pages)} files, {folder / 'manifest.json'}"
    )


@app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="Files of an export, or its folder.")],
    activate: Annotated[bool, typer.Option(help="In force there, in force here; else candidates.")] = False,
    url: Url = DEFAULT_URL,
    api_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Import what another service exported to this one. What is already there is left alone.

    Exit codes: 0 everything is there, 1 some templates were refused, 2 wrong use, 3 the service failed.
    """
    from rich.console import Console

    client = ServiceClient(url, api_key)
    reports: list[dict[str, Any]] = []
    listed = [part for file in files for part in (_checked_parts(file) if file.is_dir() else [file])]
    with progress_bar(Console(stderr=True)) as show:
        for number, file in enumerate(listed, start=1):
            reports.append({"file": file.name, **_send_file(client, file, activate)})
            show("files", number, len(listed))
    imported, there = (sum(r[name] for r in reports) for name in ("imported", "already_there"))
    refused = [r for report in reports for r in report["refused"]]
    if as_json:
        typer.echo(json.dumps(reports))
    else:
        typer.echo(f"{imported} imported, {there} already there, {len(refused)} refused")
        for entry in refused[:20]:
            typer.echo(f"  {entry['template_id']}: {entry['code']}", err=True)
        for report in reports:
            if not report["complete"]:
                typer.echo(f"  {report['file']} breaks off: fetch it again", err=True)
    raise typer.Exit(1 if refused or not all(r["complete"] for r in reports) else 0)


def _note_what_is_asked(folder: Path, wanted: dict[str, Any]) -> None:
    """What lies in the folder is gone on with only by who asks for the same."""
    note = folder / "asked.json"
    if note.exists() and json.loads(note.read_text(encoding="utf-8")) != wanted:
        stop(
            EXIT_USAGE,
            f"{folder} holds an export to another recipient, of other subjects or of other versions.",
            "Name a new folder, or ask as before to go on.",
        )
    note.write_text(json.dumps(wanted) + "\n", encoding="utf-8")


def _fetch_page(client: ServiceClient, asked: dict[str, Any], folder: Path, number: int) -> dict[str, Any]:
    from recon_service.weights.digest import file_sha256

    name = f"part-{number:05}.age"
    partial = folder / f"{name}.partial"
    # Made before it is sent: the service writes the whole page before its first byte comes.
    timeout = httpx.Timeout(600.0, connect=5.0)
    with (
        client.reached("Run the command again: it goes on after the last file that is there."),
        client.http.stream("POST", "/v1/template-exports", json=asked, timeout=timeout) as answer,
    ):
        if not answer.is_success:
            answer.read()
            client.check(answer)
        with partial.open("wb") as file:
            for chunk in answer.iter_bytes(CHUNK):
                file.write(chunk)
        headers = answer.headers
    partial.rename(folder / name)
    page = {
        "file": name,
        "sha256": file_sha256(folder / name),
        "templates": int(headers["Recon-Export-Count"]),
        "export_id": headers["Recon-Export-Id"],
        "next_after": headers.get("Recon-Next-After"),
    }
    (folder / f"{name}.json").write_text(json.dumps(page) + "\n", encoding="utf-8")
    return page


def _pages_so_far(folder: Path) -> list[dict[str, Any]]:
    pages: list[dict[str, Any]] = []
    while (noted := folder / f"part-{len(pages) + 1:05}.age.json").exists():
        pages.append(json.loads(noted.read_text(encoding="utf-8")))
    return pages


def _checked_parts(folder: Path) -> list[Path]:
    from recon_service.weights.digest import file_sha256

    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        parts = [(folder / Path(p["file"]).name, p["sha256"]) for p in manifest["files"]]
    except (OSError, ValueError, KeyError, TypeError):
        stop(EXIT_USAGE, f"{folder} has no manifest.json.", "Was the export finished? Run it again.")
    for path, digest in parts:
        if not path.exists() or file_sha256(path) != digest:
            stop(EXIT_FAULT, f"{path} is missing, or not what the manifest says.", "Copy it again.")
    return [path for path, _ in parts]


def _send_file(client: ServiceClient, file: Path, activate: bool) -> dict[str, Any]:
    try:
        with (
            client.reached("Run the command again: what is there already is left alone."),
            file.open("rb") as content,
        ):
            answer = client.http.post(
                "/v1/template-imports",
                params={"activate": str(activate).lower()},
                content=iter(lambda: content.read(CHUNK), b""),
                headers={"Content-Type": "application/octet-stream"},
                timeout=httpx.Timeout(3600.0, connect=5.0),
            )
    except OSError as fault:
        stop(EXIT_USAGE, f"{file} cannot be read: {fault.strerror}.", "")
    client.check(answer)
    report: dict[str, Any] = answer.json()
    return report


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found))
        return
    from recon_service.cli.tables import print_table

    rows = []
    for t in found["templates"]:
        columns = (t["origin"], t["model"], t["source"], t["calibration"], f"{t['quality']:.0f}")
        rows.append((t["template_id"], t["state"], *columns, t["created_at"][:19]))
    headings = ("template", "state", "made by", "model", "source", "calibration", "quality", "made")
    print_table(headings, rows, colors={"active": "green"})
