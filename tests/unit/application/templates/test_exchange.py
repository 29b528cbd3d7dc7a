"""Templates from one service to another, over the real stores and the real file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon_service.application.enrolling.consents import ConsentPolicy, ending_consents
from recon_service.application.errors import ExchangeFileRefused, RecipientNotAllowed
from recon_service.application.keeping.signing import service_signer
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.exchange import ExchangeFile, ImportReport
from recon_service.application.records.templates import TemplateOrigin, TemplateState
from recon_service.application.templates.exchange import (
    export_templates,
    import_templates,
    new_export_id,
    page_of_subjects,
)
from recon_service.application.templates.subjects import (
    activate_template,
    delete_subject,
    list_templates,
    load_template,
)
from recon_service.bootstrap import OpenStores
from recon_service.storage.exchange_file import ExchangeReader, write_file
from tests.stacks import Embedded, Stack
from tests.unit.application.enrollments_support import ask, run
from tests.unit.application.stores import open_in

IDENTITY = pyrage.x25519.Identity.generate()


@pytest.fixture
def here(tmp_path: Path, stack: Stack) -> Iterator[Stores]:
    opened = open_in(tmp_path / "here", stack)
    yield opened.stores
    opened.close()


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Stores]:
    """Another service, with a master key of its own."""
    opened = elsewhere(tmp_path / "there")
    yield opened.stores
    opened.close()


def elsewhere(folder: Path) -> OpenStores:
    return open_in(folder, Embedded())


def exported(
    stores: Stores, *subjects: str, versions: bool = False, written: timedelta = timedelta(0)
) -> bytes:
    sealed = io.BytesIO()
    signer = service_signer(on=stores)
    file = ExchangeFile(new_export_id(), signer.public, utc_now() + written)
    entries = export_templates(subjects, on=stores, all_versions=versions)
    write_file(sealed, file, entries, recipient=str(IDENTITY.to_public()), signer=signer)
    return sealed.getvalue()


def imported(
    content: bytes, source: Stores, into: Stores, *, activate: bool = True, identity: str = str(IDENTITY)
) -> ImportReport:
    reader = ExchangeReader(identity, frozenset({service_signer(on=source).public}))
    with reader.opened(io.BytesIO(content)) as opened:
        return import_templates(opened.file, opened.entries, on=into, activate=activate)


def plain_templates(stores: Stores, subject: str) -> dict[str, bytes]:
    return {t.template_id: t.content for t in export_templates([subject], on=stores, all_versions=True)}


def enroll(stores: Stores, subject: str, times: int = 1) -> None:
    for _ in range(times):
        run(stores, ask(stores, subject=subject))


def test_what_goes_out_comes_in_bit_equal_and_in_force(here: Stores, there: Stores) -> None:
    enroll(here, "ada", times=2)
    enroll(here, "bob")
    report = imported(exported(here, "ada", "bob", "nobody", versions=True), here, there)
    assert (report.imported, report.already_there, report.refused, report.complete) == (3, 0, (), True)
    for subject in ("ada", "bob"):
        assert plain_templates(there, subject) == plain_templates(here, subject)
        assert (
            load_template(subject, None, on=there).template_id
            == load_template(subject, None, on=here).template_id
        )
    assert {t.origin for t in list_templates("ada", on=there)} == {TemplateOrigin.IMPORT}
    back = imported(exported(there, "ada", "bob", versions=True), there, here)
    assert (back.imported, back.already_there) == (0, 3), "the round trip ends where it began"


def test_what_was_imported_is_not_kept_longer_than_anything_else(here: Stores, there: Stores) -> None:
    """A consent stays where it was given; that it ends, holds wherever the template goes."""
    for subject in ("ada", "bob"):
        enroll(here, subject)
    enroll(there, "bob")
    imported(exported(here, "ada", "bob"), here, there)
    policy = ConsentPolicy(longest=timedelta(days=365))
    found = ending_consents(within=timedelta(days=366), policy=policy, on=there)
    assert [(one.subject_id, one.consent.consent_id.partition(":")[0]) for one in found] == [
        ("ada", "import"),
        ("bob", "consent-1"),
    ]
    assert ending_consents(within=timedelta(days=9999), policy=ConsentPolicy(), on=there) == []


def test_without_activation_nobody_is_compared_with_what_came(here: Stores, there: Stores) -> None:
    enroll(here, "ada")
    imported(exported(here, "ada"), here, there, activate=False)
    (came,) = list_templates("ada", on=there)
    assert came.state is TemplateState.CANDIDATE
    activate_template("ada", came.template_id, on=there)
    assert load_template("ada", None, on=there).template_id == came.template_id


def test_only_what_is_in_force_goes_out_unless_all_is_asked_for(here: Stores, there: Stores) -> None:
    enroll(here, "ada", times=3)
    assert imported(exported(here, "ada"), here, there).imported == 1


def test_the_audit_log_of_both_sides_says_what_happened(here: Stores, there: Stores) -> None:
    enroll(here, "ada")
    report = imported(exported(here, "ada"), here, there)
    with here.database.snapshot() as tx:
        assert len(list(tx.audit.entries(action="templates.exported"))) == 1
    with there.database.snapshot() as tx:
        (entry,) = tx.audit.entries(action="template.imported")
        (whole,) = tx.audit.entries(action="templates.imported")
    assert entry.outcome == report.export_id
    assert whole.outcome == "imported=1 already=0 refused=0 complete=True"


def test_who_was_deleted_after_the_export_does_not_come_back(here: Stores, there: Stores) -> None:
    enroll(here, "ada")
    enroll(there, "ada")
    file = exported(here, "ada", written=-timedelta(minutes=1))
    delete_subject("ada", on=there)
    report = imported(file, here, there)
    assert (report.imported, [r.code for r in report.refused]) == (0, ["deleted-since"])
    later = exported(here, "ada", written=timedelta(minutes=1))
    assert imported(later, here, there).imported == 1, "a later export is a new enrollment"


def test_another_template_under_the_same_id_is_refused(here: Stores, there: Stores) -> None:
    enroll(here, "ada")
    imported(exported(here, "ada"), here, there)
    (entry,) = export_templates(["ada"], on=here)
    template = load_template("ada", None, on=here)
    other = replace(entry, content=here.template_format.write(replace(template, quality=1.0)))
    file = ExchangeFile("exp", "source", utc_now())
    assert [r.code for r in import_templates(file, [other], on=there).refused] == ["other-content"]
    moved = replace(entry, subject_id="bob")
    rubbish = replace(entry, template_id="tpl_x", content=b"rubbish")
    report = import_templates(file, [moved, rubbish, entry], on=there)
    assert [r.code for r in report.refused] == ["invalid-value", "invalid-value"]
    assert report.already_there == 1, "the rest goes on"


def test_nobody_else_can_open_the_file(here: Stores, there: Stores) -> None:
    enroll(here, "ada")
    file = exported(here, "ada")
    with pytest.raises(ExchangeFileRefused, match="no file of templates that was written to this"):
        imported(file, here, there, identity=str(pyrage.x25519.Identity.generate()))
    assert b"ada" not in file


def test_a_source_that_nobody_named_is_refused(here: Stores, there: Stores) -> None:
    enroll(here, "ada")
    with pytest.raises(ExchangeFileRefused, match="source"):
        imported(exported(here, "ada"), there, there)


def test_a_file_that_breaks_off_is_kept_up_to_there_and_can_be_sent_again(
    here: Stores, there: Stores
) -> None:
    names = [f"s{n}" for n in range(6)]
    for name in names:
        enroll(here, name)
    content = exported(here, *names)
    plain = pyrage.decrypt(content, [IDENTITY])
    broken = pyrage.encrypt(plain[: len(plain) // 2], [IDENTITY.to_public()])
    report = imported(broken, here, there)
    assert not report.complete
    assert 0 < report.imported < 6
    again = imported(content, here, there)
    assert again.complete
    assert (again.imported, again.already_there) == (6 - report.imported, report.imported)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_whoever_changes_the_file_is_noticed(data: st.DataObject, signed: tuple[Stores, bytes]) -> None:
    """Even the recipient, who can open it and seal it again, cannot change what the source wrote."""
    stores, plain = signed
    position = data.draw(st.integers(0, len(plain) - 1))
    kind = data.draw(st.sampled_from(["flip", "cut", "double"]))
    if kind == "flip":
        changed = bytearray(plain)
        changed[position] ^= 1 << data.draw(st.integers(0, 7))
        changed = bytes(changed)
    elif kind == "cut":
        changed = plain[:position]
    else:
        changed = plain[:position] + plain[position // 2 :]
    if changed == plain:
        return
    reader = ExchangeReader(str(IDENTITY), frozenset({service_signer(on=stores).public}))
    sealed = io.BytesIO(pyrage.encrypt(changed, [IDENTITY.to_public()]))
    with pytest.raises(ExchangeFileRefused), reader.opened(sealed) as opened:
        list(opened.entries)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stores, bytes]]:
    opened = elsewhere(tmp_path_factory.mktemp("signed"))
    enroll(opened.stores, "ada", times=2)
    yield opened.stores, pyrage.decrypt(exported(opened.stores, "ada", versions=True), [IDENTITY])
    opened.close()


def test_pages_meet_every_subject_once(here: Stores) -> None:
    names = [f"s{n}" for n in range(5)]
    for name in names:
        enroll(here, name)
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = page_of_subjects(on=here, after=after, limit=2)
        seen += page.subject_ids
        after = page.after
    assert seen == names


def test_what_is_no_recipient_is_refused(here: Stores) -> None:
    signer = service_signer(on=here)
    file = ExchangeFile("exp", signer.public, utc_now())
    with pytest.raises(RecipientNotAllowed):
        write_file(io.BytesIO(), file, [], recipient="age1nonsense", signer=signer)


def test_the_signing_key_stays_and_is_wrapped(here: Stores, tmp_path: Path) -> None:
    public = service_signer(on=here).public
    assert service_signer(on=here).public == public
    with here.database.snapshot() as tx:
        key = tx.wrapped_keys.service_key("signing")
    assert key is not None
    assert here.vault.signer(here.vault.rewrapped(key)).public == public
