from __future__ import annotations

import json
import stat
from pathlib import Path

from recon_service.application.templates.subjects import load_template
from recon_service.cli.main import main  # noqa: F401  (the entry point imports)
from tests.unit.application.enrollments_support import ask, run
from tests.unit.cli.serving import serving


def test_versions_are_listed_and_taken_back(tmp_path: Path) -> None:
    with serving(tmp_path / "state") as service:
        first, second = (run(service.stores, ask(service.stores)).template_id for _ in range(2))
        code, listed = service.recon("templates", "list", "ada", "--json")
        assert code == 0
        assert [(t["template_id"], t["state"]) for t in json.loads(listed)["templates"]] == [
            (second, "active"),
            (first, "retired"),
        ]
        assert service.recon("templates", "activate", "ada", first)[0] == 0
        assert load_template("ada", None, on=service.stores).template_id == first
        assert "retired" in service.recon("templates", "list", "ada")[1]
        assert service.recon("templates", "activate", "ada", "tpl_none")[0] == 2
        shown = service.recon("templates", "list", "ada")[1]
        assert first in shown, "whole, or nobody could copy it"
        assert second in shown
        for elsewhere in ("../api-keys", "..", "a/b", "a b"):
            assert service.recon("subjects", "delete", elsewhere, "--yes")[0] == 2


def test_from_one_service_into_another(tmp_path: Path) -> None:
    key, moved = tmp_path / "key", tmp_path / "moved"
    with serving(tmp_path / "nowhere") as anybody:
        code, recipient = anybody.recon("templates", "keygen", str(key))
        assert code == 0
        assert anybody.recon("templates", "keygen", str(key))[0] == 2, "a key is never written over"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    recipient = recipient.strip()
    with serving(tmp_path / "here", export_recipients=recipient) as here:
        for n in range(5):
            run(here.stores, ask(here.stores, subject=f"s{n}"))
        source = json.loads(here.recon("templates", "identity", "--json")[1])["source"]
        code, out = here.recon("templates", "export", str(moved), "--to", recipient, "--page", "2", "--json")
        assert code == 0
        manifest = json.loads(out)
        assert (manifest["templates"], len(manifest["files"])) == (5, 3)
        again = json.loads(
            here.recon("templates", "export", str(moved), "--to", recipient, "--page", "2", "--json")[1]
        )
        assert again == manifest, "what is there is not fetched again"
        for other in (("--to", "age1other"), ("--to", recipient, "--subject", "s1")):
            assert here.recon("templates", "export", str(moved), *other)[0] == 2, (
                "nor taken for another export"
            )
        assert json.loads((moved / "manifest.json").read_text())["recipient"] == recipient
    unreachable = here.recon("templates", "export", str(tmp_path / "later"), "--to", recipient)
    assert unreachable[0] == 3, "a service that is away is told, with no traceback"
    with serving(tmp_path / "there", import_identity_file=key, import_sources=source) as there:
        code, out = there.recon("templates", "import", str(moved), "--activate", "--json")
        assert code == 0
        assert sum(r["imported"] for r in json.loads(out)) == 5
        assert load_template("s3", None, on=there.stores).subject_id == "s3"
        code, out = there.recon("templates", "import", str(moved))
        assert (code, out) == (0, "0 imported, 5 already there, 0 refused\n")
        (moved / "part-00002.age").write_bytes(b"damaged")
        assert there.recon("templates", "import", str(moved))[0] == 3
        assert there.recon("templates", "import", str(moved / "part-00002.age"))[0] == 2
