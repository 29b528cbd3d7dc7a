"""What was withdrawn since a backup was made stays withdrawn when that is restored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from recon_service.application.edge.bundles import add_member, remove_member, revoke_kiosk
from recon_service.application.enrolling.consents import ConsentPolicy, current_consent, renew_consent
from recon_service.application.errors import StorageUnavailable
from recon_service.application.keeping.audit import subject_digest
from recon_service.application.keeping.withdrawals import reapply_withdrawals
from recon_service.application.notifying.webhooks import list_endpoints, remove_endpoint
from recon_service.application.ports.stores import Stores
from recon_service.application.records.consents import probes_allowed
from recon_service.application.records.edge import EdgeKioskRecord
from recon_service.application.records.probes import SealedProbe
from recon_service.application.records.webhooks import EventKind, WebhookEndpoint
from recon_service.application.records.withdrawals import Withdrawal, WithdrawalKind
from recon_service.storage.database import SqlDatabase
from recon_service.storage.tables import metadata
from tests.unit.application.enrollments_support import ask, run

TABLES = ("consents", "edge_kiosks", "edge_members", "webhook_endpoints", "withdrawals", "recent_probes")


@dataclass
class Backup:
    """Of what a withdrawal touches."""

    engine: sa.Engine

    def __post_init__(self) -> None:
        with self.engine.connect() as connection:
            self.rows = {
                name: [dict(r._mapping) for r in connection.execute(sa.select(metadata.tables[name]))]
                for name in TABLES
            }

    def restore(self) -> None:
        with self.engine.begin() as connection:
            for name, rows in self.rows.items():
                connection.execute(sa.delete(metadata.tables[name]))
                if rows:
                    connection.execute(sa.insert(metadata.tables[name]), rows)


@dataclass
class Standing:
    """Somebody who allows everything, a kiosk, and a webhook; and how much of it stands."""

    stores: Stores

    def __post_init__(self) -> None:
        run(self.stores, ask(self.stores, keep_probes=True))
        now = self.stores.clock()
        with self.stores.database.transaction() as tx:
            tx.edge.add_kiosk(EdgeKioskRecord("kiosk_1", "gate", "r", "s", now))
            kinds = frozenset({EventKind.OPERATION_ENDED})
            tx.webhooks.add(WebhookEndpoint("wh_1", "https://x.example", kinds, b"", now, "ops"))
            tx.recent_probes.keep(SealedProbe("probe_1", "ada", now, b"sealed"), most=5)
        add_member("gate", "ada", actor="ops", on=self.stores)

    @property
    def backup(self) -> Backup:
        assert isinstance(self.stores.database, SqlDatabase)
        return Backup(self.stores.database.engine)

    def revoke_kiosk(self) -> None:
        revoke_kiosk("gate", "kiosk_1", actor="ops", on=self.stores)

    def remove_webhook(self) -> None:
        remove_endpoint("wh_1", actor="ops", on=self.stores)

    def remove_member(self) -> None:
        remove_member("gate", "ada", actor="ops", on=self.stores)

    def renew(self, *, ends: datetime | None = None, probes: bool = True) -> None:
        renew_consent("ada", "consent-2", ends, actor="ops", on=self.stores, keep_probes=probes)

    @property
    def ends(self) -> datetime | None:
        return current_consent("ada", policy=ConsentPolicy(), on=self.stores)[1]

    @property
    def stands(self) -> set[str]:
        with self.stores.database.snapshot() as tx:
            kiosk = tx.edge.kiosk("kiosk_1")
            assert kiosk is not None
            found = {
                "kiosk": kiosk.revoked_at is None,
                "webhook": bool(list_endpoints(on=self.stores)),
                "member": tx.edge.member_since("gate", "ada") is not None,
                "probes": probes_allowed(tx.consents.of_subject("ada"), self.stores.clock()),
                "kept": bool(tx.recent_probes.of("ada")),
            }
        return {name for name, there in found.items() if there}


ALL = {"kiosk", "webhook", "member", "probes", "kept"}
WITHDRAWALS: dict[str, tuple[Callable[[Standing], None], set[str], str]] = {
    "kiosk": (Standing.revoke_kiosk, {"kiosk"}, "edge.kiosk-revoked"),
    "webhook": (Standing.remove_webhook, {"webhook"}, "webhook.removed"),
    "member": (Standing.remove_member, {"member"}, "edge.member-removed"),
    "probes": (lambda who: who.renew(probes=False), {"probes", "kept"}, "consent.renewed"),
}


@pytest.mark.parametrize("what", WITHDRAWALS)
def test_a_restore_gives_back_nothing_that_was_withdrawn(stores: Stores, what: str) -> None:
    who = Standing(stores)
    assert who.stands == ALL
    withdrawn, gone, action = WITHDRAWALS[what]
    backup = who.backup
    withdrawn(who)
    assert who.stands == ALL - gone
    assert reapply_withdrawals(on=stores) == 0, "it is known"
    backup.restore()
    assert who.stands == ALL, "a restore alone does"
    assert reapply_withdrawals(on=stores) == 1
    assert who.stands == ALL - gone
    with stores.database.snapshot() as tx:
        *_, entry = tx.audit.entries(action=action)
    assert (entry.actor, entry.outcome) == ("service", "reapplied")
    assert reapply_withdrawals(on=stores) == 0


def test_an_earlier_end_of_a_consent_stays_and_a_later_one_is_not_invented(stores: Stores) -> None:
    who, soon = Standing(stores), stores.clock() + timedelta(days=30)
    backup = who.backup
    who.renew(ends=soon)
    who.renew(ends=None)
    backup.restore()
    assert who.ends is None
    assert reapply_withdrawals(on=stores) == 1
    assert (who.ends, who.stands) == (soon, ALL)


def test_what_was_given_again_later_stands(stores: Stores) -> None:
    who = Standing(stores)
    withdrawn_before = who.backup
    who.remove_member()
    who.renew(probes=False)
    add_member("gate", "ada", actor="ops", on=stores)
    who.renew(probes=True)
    withdrawn_before.rows["consents"] = who.backup.rows["consents"]
    withdrawn_before.rows["edge_members"] = who.backup.rows["edge_members"]
    withdrawn_before.restore()  # as if the notes came from elsewhere
    assert reapply_withdrawals(on=stores) == 0
    assert who.stands == ALL


def test_what_could_not_be_noted_is_noted_later(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    who = Standing(stores)
    backup = who.backup

    def refuse(*_: object) -> None:
        raise StorageUnavailable("the store does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(stores.objects, "put", refuse)
        who.remove_webhook()
        with pytest.raises(StorageUnavailable):
            reapply_withdrawals(on=stores)
    assert reapply_withdrawals(on=stores) == 0
    backup.restore()
    assert reapply_withdrawals(on=stores) == 1
    assert "webhook" not in who.stands


def test_a_forged_note_withdraws_nothing(stores: Stores) -> None:
    who = Standing(stores)
    backup = who.backup
    who.remove_webhook()
    (key,) = stores.objects.list_keys("withdrawals/")
    true = stores.objects.get(key).decode()
    backup.restore()
    stores.objects.delete(key)
    stores.objects.put("withdrawals/wd_other", true.encode())
    stores.objects.put(key, true.replace("webhook", "kiosk").replace("wh_1", "kiosk_1").encode())
    for number, content in enumerate((b"no json", b"[]", b"{}", b'"text"')):
        stores.objects.put(f"withdrawals/wd_{number}", content)
    assert reapply_withdrawals(on=stores) == 0
    assert who.stands == ALL


def test_what_is_gone_meanwhile_is_no_fault(stores: Stores) -> None:
    now = stores.clock()
    ask(stores)
    of_ada, of_bob = (subject_digest(name, on=stores) for name in ("ada", "bob"))
    made = [
        Withdrawal("wd_1", WithdrawalKind.KIOSK, "kiosk_gone", now),
        Withdrawal("wd_2", WithdrawalKind.WEBHOOK, "wh_gone", now),
        Withdrawal("wd_3", WithdrawalKind.MEMBER, of_ada, now, "gate"),
        Withdrawal("wd_4", WithdrawalKind.CONSENT, of_bob, now, '{"keep_probes": false, "expires_at": null}'),
    ]
    assert isinstance(stores.database, SqlDatabase)
    backup = replace(Backup(stores.database.engine))
    with stores.database.transaction() as tx:
        for one in made:
            tx.withdrawals.add(one)
    assert reapply_withdrawals(on=stores) == 0
    backup.restore()
    assert reapply_withdrawals(on=stores) == 0
    with stores.database.snapshot() as tx:
        assert tx.withdrawals.ids() == {one.withdrawal_id for one in made}, "not to be looked at again"
