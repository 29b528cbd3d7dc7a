"""`recon batch`: derive the templates of many subjects anew, and judge the result before it is in force."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from recon_service.cli.batch_comparison import evaluate_batch, show_comparison
from recon_service.cli.batch_display import show_batch, watch_batch
from recon_service.cli.client import DEFAULT_URL, EXIT_FAULT, EXIT_USAGE, ServiceClient, stop
from recon_service.cli.options import AsJson, Key, Url

app = typer.Typer(no_args_is_help=True)

BatchId = Annotated[str, typer.Argument(help="As `recon batch submit` printed it.")]


@app.command()
def submit(
    everybody: Annotated[bool, typer.Option("--all", help="Everybody, where there is no condition.")] = False,
    subject: Annotated[list[str] | None, typer.Option(help="This one; several are possible.")] = None,
    subjects_from: Annotated[
        typer.FileText | None, typer.Option(help="File with one subject per line; - for standard input.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Whose template this model made.")] = None,
    calibration: Annotated[str | None, typer.Option(help="Whose template has this calibration.")] = None,
    older_than: Annotated[float | None, typer.Option(help="Whose template is older, in days.")] = None,
    quality_below: Annotated[float | None, typer.Option(help="Whose selfies were worse, 0 to 100.")] = None,
    to_backend: Annotated[str, typer.Option(help="Model whose meshes take part.")] = "facemesh",
    to_model: Annotated[
        str, typer.Option(help="Canonical model to derive them under: see recon models.")
    ] = "",
    to_calibration: Annotated[str, typer.Option(help="Only on workers with this calibration.")] = "",
    using: Annotated[
        list[str] | None, typer.Option(help="selfies, evidence, posterior: what may be used; several.")
    ] = None,
    priority: Annotated[int, typer.Option(min=0, max=9, help="Of two batches the higher one first.")] = 5,
    dry_run: Annotated[bool, typer.Option(help="Say what it would find, and keep nothing.")] = False,
    watch: Annotated[bool, typer.Option(help="Stay and watch.")] = False,
    url: Url = DEFAULT_URL,
    api_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Derive templates anew, of everybody whom all the conditions hold for.

    Nothing is in force before `recon batch activate`. Who stands before a screen goes first.
    """
    client = ServiceClient(url, api_key)
    named = [*(subject or []), *(line.strip() for line in subjects_from or [] if line.strip())]
    selection: dict[str, Any] = {
        "all": everybody,
        "subjects": named or None,
        "model": model,
        "calibration": calibration,
        "made_before": _days_ago(older_than),
        "quality_below": quality_below,
    }
    target: dict[str, Any] = {"backend": to_backend, "model": to_model, "calibration": to_calibration}
    if using:
        target["materials"] = using
    body = {"selection": selection, "target": target, "priority": priority, "dry_run": dry_run}
    found = client.send("POST", "/v1/batches", body=body).json()
    if as_json:
        typer.echo(json.dumps(found))
    else:
        _show_preview(found["preview"])
        if found["batch"]:
            typer.echo(found["batch"]["batch_id"])
    if found["batch"] and watch:
        raise typer.Exit(watch_batch(client, found["batch"]["batch_id"], quiet=as_json))


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 20,
    url: Url = DEFAULT_URL,
    api_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """List batches, newest first."""
    found = ServiceClient(url, api_key).get(f"/v1/batches?limit={limit}").json()
    if as_json:
        typer.echo(json.dumps(found))
        return
    from recon_service.cli.tables import print_table

    rows = []
    for b in found["batches"]:
        total = max(b["expected"], b["listed"])
        rate = "" if b["per_second"] is None else f"{b['per_second']:.1f}"
        done = (f"{b['done']} of {total}", str(b["items"]["succeeded"]), rate)
        rows.append((b["batch_id"], b["state"], *done, b["created_at"][:19]))
    print_table(("batch", "state", "done", "succeeded", "per second", "created"), rows)


@app.command()
def watch(batch: BatchId, url: Url = DEFAULT_URL, api_key: Key = None, as_json: AsJson = False) -> None:
    """Watch a batch until it has nothing to do; Ctrl-C leaves it running.

    Exit codes: 0 every item succeeded, 1 some did not, 2 wrong use, 3 the service failed, 4 it is paused or
    cancelled.
    """
    raise typer.Exit(watch_batch(ServiceClient(url, api_key), batch, quiet=as_json, as_json=as_json))


@app.command()
def show(batch: BatchId, url: Url = DEFAULT_URL, api_key: Key = None, as_json: AsJson = False) -> None:
    """Show a batch with its counts, and why items did not succeed."""
    _print(ServiceClient(url, api_key).get(f"/v1/batches/{batch}").json(), as_json)


@app.command()
def items(
    batch: BatchId,
    state: Annotated[str | None, typer.Option(help="For example needs-new-selfie, or failed.")] = None,
    url: Url = DEFAULT_URL,
    api_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """List the items of a batch, tab-separated: subject, state, reason, material, template."""
    client = ServiceClient(url, api_key)
    query = {"limit": "1000", **({"state": state} if state else {})}
    path: str | None = f"/v1/batches/{batch}/items?{urlencode(query)}"
    while path:
        page = client.get(path).json()
        for item in page["items"]:
            columns = ("subject_id", "state", "reason", "material", "template_id")
            typer.echo(json.dumps(item) if as_json else "\t".join(item[c] or "-" for c in columns))
        path = page["next"]


@app.command()
def pause(batch: BatchId, url: Url = DEFAULT_URL, api_key: Key = None, as_json: AsJson = False) -> None:
    """Begin nothing more for now."""
    _change(batch, "pause", url, api_key, as_json)


@app.command()
def resume(batch: BatchId, url: Url = DEFAULT_URL, api_key: Key = None, as_json: AsJson = False) -> None:
    """Go on where it was."""
    _change(batch, "resume", url, api_key, as_json)


@app.command()
def cancel(batch: BatchId, url: Url = DEFAULT_URL, api_key: Key = None, as_json: AsJson = False) -> None:
    """Begin nothing more, for good."""
    _change(batch, "cancel", url, api_key, as_json)


@app.command()
def compare(
    batch: BatchId,
    sample: Annotated[int, typer.Option(min=1, max=1000, help="Subjects, by chance.")] = 200,
    outliers: Annotated[int, typer.Option(min=0, max=100, help="Whose template would change most.")] = 10,
    faces: Annotated[
        Path | None, typer.Option(file_okay=False, help="Save pictures and meshes of the outliers here.")
    ] = None,
    evaluate: Annotated[
        bool, typer.Option(help="Try both ways on the same people first: minutes, the first time.")
    ] = False,
    again: Annotated[bool, typer.Option(help="With --evaluate: also what is done already.")] = False,
    url: Url = DEFAULT_URL,
    api_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show what the activation would change: scores and decisions of recent verifications, error rates on
    the same people by both ways, shapes, outliers.

    Exit codes: 0 it is shown, 2 wrong use, 3 the service failed, or an evaluation did.
    """
    client = ServiceClient(url, api_key)
    evaluated = evaluate_batch(client, batch, again=again, quiet=as_json) if evaluate else True
    query = urlencode({"sample": sample, "outliers": outliers})
    found = client.get(f"/v1/batches/{batch}/comparison?{query}").json()
    if as_json:
        typer.echo(json.dumps(found))
    else:
        show_comparison(found)
    if faces is not None:
        faces.mkdir(mode=0o700, parents=True, exist_ok=True)
        for outlier in found["outliers"]:
            for name, link in outlier["links"].items():
                side = name.removesuffix("_picture")
                file = faces / f"{outlier['subject_id']}-{side}{Path(link).suffix}"
                file.write_bytes(client.get(link).content)
        typer.echo(f"faces of {len(found['outliers'])} subjects in {faces}", err=True)
    if not evaluated:
        raise typer.Exit(EXIT_FAULT)


@app.command()
def activate(
    batch: BatchId,
    watch: Annotated[bool, typer.Option(help="Stay until all are in force.")] = False,
    url: Url = DEFAULT_URL,
    api_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Put its templates in force, subject by subject. Look at `recon batch compare` first."""
    _change(batch, "activate", url, api_key, as_json, watch=watch)


@app.command()
def rollback(
    batch: BatchId,
    watch: Annotated[bool, typer.Option(help="Stay until all are back.")] = False,
    url: Url = DEFAULT_URL,
    api_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Put the former templates in force again, as they were to the byte."""
    _change(batch, "rollback", url, api_key, as_json, watch=watch)


@app.command()
def retry(batch: BatchId, url: Url = DEFAULT_URL, api_key: Key = None, as_json: AsJson = False) -> None:
    """Try again what failed, and whoever got another template meanwhile."""
    found = ServiceClient(url, api_key).send("POST", f"/v1/batches/{batch}:retry-failed").json()
    if as_json:
        typer.echo(json.dumps(found))
    else:
        typer.echo(f"{found['items']} items wait again")


def _change(
    batch: str, verb: str, url: str, api_key: str | None, as_json: bool, *, watch: bool = False
) -> None:
    client = ServiceClient(url, api_key)
    found = client.send("POST", f"/v1/batches/{batch}:{verb}").json()
    if watch:
        raise typer.Exit(watch_batch(client, batch, quiet=as_json, as_json=as_json))
    _print(found, as_json)


def _print(batch: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(batch))
    else:
        show_batch(batch)


def _show_preview(found: dict[str, Any]) -> None:
    selected = found["selected"]
    typer.echo("1 subject" if selected == 1 else f"{selected} subjects", err=True)
    for count, what in (
        (found["with_selfies"], "with kept selfies"),
        (found["with_evidence"], "with kept evidence"),
        (found["needs_new_selfie"], "with nothing kept that may be used: a new selfie is needed"),
        (found["unknown"], "named, but without a template in force"),
    ):
        if count:
            typer.echo(f"  {count} {what}", err=True)
    for made in found["made_with"]:
        typer.echo(f"  {made['subjects']} by {made['model']}, {made['calibration']}", err=True)


def _days_ago(days: float | None) -> str | None:
    if days is None:
        return None
    if days < 0:
        stop(EXIT_USAGE, "An age is not negative.", "")
    return datetime.fromtimestamp(datetime.now(UTC).timestamp() - 86400 * days, UTC).isoformat()
