from __future__ import annotations

import pytest

from recon_service.application.records.identifiers import check_subject_id
from recon_service.domain.errors import InvalidValue


@pytest.mark.parametrize("subject_id", ["user-8c41", "...", "a..b", "~", "x" * 64])
def test_pseudonyms_of_the_unreserved_characters_of_an_address(subject_id: str) -> None:
    check_subject_id(subject_id)


@pytest.mark.parametrize("subject_id", ["", ".", "..", "a/b", "a b", "ä", "x" * 65, "a\n"])
def test_what_every_client_would_take_for_another_address_is_no_pseudonym(subject_id: str) -> None:
    with pytest.raises(InvalidValue):
        check_subject_id(subject_id)
