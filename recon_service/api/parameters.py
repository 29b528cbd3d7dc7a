"""The parts of an address that several endpoints share: each is named, described and exemplified once."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from recon_service.api.schemas_fields import SUBJECT_PATTERN

SubjectId = Annotated[
    str,
    Path(
        description="Your pseudonym for the person: 1 to 64 of A-Z a-z 0-9 . _ ~ -",
        examples=["user-8c41"],
        json_schema_extra={"pattern": SUBJECT_PATTERN},
    ),
]
OperationId = Annotated[
    str,
    Path(
        description="Id of the enrollment, as its answer has it (`operation_id`).",
        examples=["op_5f0c3c1e8b1f4c0f9d9a4f5b7a6e1d2c"],
    ),
]
TemplateId = Annotated[
    str,
    Path(
        description="Id of the template, as `GET /v1/subjects/{subject_id}/templates` lists it.",
        examples=["tpl_0b9f2d4c6e8a4b1c9d7e5f3a1b2c4d6e"],
    ),
]
BatchId = Annotated[
    str,
    Path(
        description="Id of the batch, as the answer to its submission and `GET /v1/batches` have it.",
        examples=["batch_3c1e8b1f4c0f9d9a4f5b7a6e1d2c5f0c"],
    ),
]
KeyId = Annotated[
    str,
    Path(
        description="Id of an API key, as `GET /v1/api-keys` lists it; not the key itself.",
        examples=["1f2e3d4c5b6a"],
    ),
]
VisitId = Annotated[
    str,
    Path(
        description="Id of the visit, as `GET /v1/subjects/{subject_id}/visits` lists it.",
        max_length=64,
        examples=["vis_4e1d0c9b8a7f6e5d4c3b2a1908f7e6d5"],
    ),
]
WebhookId = Annotated[
    str,
    Path(
        description="Id of the webhook, as `GET /v1/webhooks` lists it.",
        max_length=64,
        examples=["wh_0b1c2d3e4f5061728394a5b6c7d8e9f0"],
    ),
]
DeliveryId = Annotated[
    str,
    Path(
        description="Id of the delivery, as the webhook's deliveries list it.",
        max_length=64,
        examples=["dlv_11223344556677889900aabbccddeeff"],
    ),
]
