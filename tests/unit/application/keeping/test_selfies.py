"""How selfies lie in the object store."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon_service.application.keeping.selfies import SELFIE_PLACE, open_selfies, selfie_rows, store_selfies
from recon_service.application.ports.stores import Stores
from recon_service.application.records.operations import StoredSelfies
from recon_service.domain.errors import StorageFault


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(selfies=st.lists(st.binary(max_size=300), min_size=1, max_size=6))
def test_selfies_come_back_in_their_order(stores: Stores, selfies: list[bytes]) -> None:
    key = stores.vault.new_key("ada")
    rows = selfie_rows("op_1")
    store_selfies(selfies, rows, key, on=stores)
    assert open_selfies(rows, key, on=stores) == selfies
    assert len(rows) == 1, "one object, whatever their number"


def test_selfies_of_before_lie_in_objects_of_their_own(stores: Stores) -> None:
    key = stores.vault.new_key("ada")
    rows = [StoredSelfies("op_1", n, f"selfies/op_1/{n}-00ff") for n in range(2)]
    for row, content in zip(rows, (b"one", b"two"), strict=True):
        sealed = stores.vault.cipher(key).seal(content, place=SELFIE_PLACE, row=row.object_key)
        stores.objects.put(row.object_key, sealed)
    assert open_selfies(rows, key, on=stores) == [b"one", b"two"]


def test_an_object_of_one_kind_cannot_pass_for_the_other(stores: Stores) -> None:
    """What a selfie holds is the caller's; the object's name, which says how to read it, is sealed with
    it.
    """
    key, rows = stores.vault.new_key("ada"), selfie_rows("op_1")
    store_selfies([b"one"], rows, key, on=stores)
    alone = StoredSelfies("op_1", 0, "selfies/op_1/0-00ff")
    stores.objects.put(alone.object_key, stores.objects.get(rows[0].object_key))
    with pytest.raises(StorageFault, match="authenticate"):
        open_selfies([alone], key, on=stores)
