"""The fields that bodies of several subjects share: each is described once."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

SUBJECT_PATTERN: Final = "^[A-Za-z0-9._~-]{1,64}$"
PRINTABLE_PATTERN: Final = "^[!-~]{1,200}$"
_SUBJECT: Final[dict[str, Any]] = {"pattern": SUBJECT_PATTERN}

Count = Annotated[int, Field(ge=0)]
"""How many there are; the field says of what."""

SubjectField = Annotated[str, Field(description="Your pseudonym for the person.")]
WantedSubject = Annotated[
    str,
    Field(
        description="Your pseudonym for the person: 1 to 64 of A-Z a-z 0-9 . _ ~ -",
        json_schema_extra=_SUBJECT,
        examples=["user-8c41"],
    ),
]
ListedSubject = Annotated[str, Field(json_schema_extra=_SUBJECT)]
WantedConsent = Annotated[
    str,
    Field(
        description="Under which you recorded the person's consent: 1 to 200 printable ASCII characters, no "
        "spaces.",
        json_schema_extra={"pattern": PRINTABLE_PATTERN},
        examples=["consent-2031"],
    ),
]
OperationField = Annotated[
    str, Field(description="Id of the enrollment, for `GET /v1/operations/{operation_id}`.")
]
TemplateField = Annotated[str, Field(description="Id of this version of the subject's template.")]
BatchField = Annotated[str, Field(description="Id of the batch, for `GET /v1/batches/{batch_id}`.")]
ModelField = Annotated[str, Field(description="Name of the morphable model that the coefficients belong to.")]
CalibrationField = Annotated[
    str,
    Field(description="Calibration that turned distances into the score: its name, `@` and its digest."),
]
MadeWithCalibration = Annotated[
    str, Field(description="Calibration in force when it was made: its name, `@` and its digest.")
]
PolicyField = Annotated[
    str, Field(description="Name of the policy whose thresholds turned the score into the decision.")
]
LlrField = Annotated[
    float,
    Field(
        description="Comparison score: natural log-likelihood ratio of one person against two. Positive "
        "speaks for one."
    ),
]
EvidenceField = Annotated[
    dict[str, float],
    Field(
        description="What each kind of evidence (`shape`, `appearance`) adds to the score; it is their sum."
    ),
]
MillisecondsField = Annotated[
    dict[str, float], Field(description="Time that each stage took in the computation, milliseconds.")
]
