"""What the API says of itself before its first call, in `/openapi.json` and at `/docs`."""

from __future__ import annotations

from typing import Final

DESCRIPTION: Final = """\
3D face identity: a person is **enrolled** from selfies, and **verified** by a depth capture.

### Who calls what

- **A mobile app:** `POST /v1/subjects/{subject_id}/enrollments` with selfies, then
  `GET /v1/operations/{operation_id}` until it has ended. Or `POST /v1/capture-sessions` for a link to a page
  on which people take their own pictures.
- **A kiosk:** `POST /v1/kiosk-sessions` when a person comes, then
  `POST /v1/subjects/{subject_id}/verifications` with depth frames; the answer is a `decision`.
- **Operations:** subjects, consents, batches, webhooks, the audit log: the calls of `ops`.

Every call but those of `health` carries `Authorization: Bearer` with an API key, which has scopes;
`recon keys create` makes one. The page of a capture session has a token instead.

### What holds everywhere

- A non-match, a rejected selfie and an artefact before the camera are results (2xx), not errors.
- A score is a natural log-likelihood ratio of one person against two: positive speaks for one, and 2.3 is
  ten to one.
- Times are ISO 8601 with their zone. Lengths are millimeters, in meshes (glTF) meters; pixels count from the
  center of the first.
- Ids are made by the service and mean nothing; `subject_id` and `consent_id` are yours: pseudonyms, never
  names.
- Lists come in pages: `limit`, and `after` with what the page before said. `null` there: this was the last.
- New fields may come in answers; a field of a request that this service does not know is refused.
- `X-Request-ID` of a request (8 to 64 letters, digits, - and _) is in the logs; without one the service
  makes one.

### Problems

Every error is an `application/problem+json` (RFC 9457). Its `type` is `/problems/` and a code, for programs;
that address explains it. `next_step` says what to do. With 429 and 503 `Retry-After` says when to come again.

| status | codes |
|---|---|
| 400 | `bad-request` |
| 401 | `unauthenticated` |
| 403 | `forbidden`, `kiosk-proof-invalid`, `recipient-not-allowed` |
| 404 | `not-found` |
| 405 | `method-not-allowed` |
| 408 | `upload-too-slow` |
| 409 | `conflict`, `request-in-flight`, `model-mismatch`, `kiosk-session-invalid`, `nonce-used`, \
`capture-replayed`, `identification-off`, `edge-off`, `edge-reports-forked`, `import-not-set-up`, \
`backend-unavailable`, `too-many-webhooks` |
| 412 | `precondition-failed` |
| 413 | `payload-too-large`, `memory-limit` |
| 415 | `unsupported-media-type` |
| 422 | `invalid-value`, `unknown-backend`, `idempotency-key-reused`, `exchange-file-refused`, \
`image-rejected` and other `image-…` that say what is wrong with a picture, `depth-rejected`, \
`too-little-depth`, `no-face-in-depth` |
| 428 | `kiosk-session-required` |
| 429 | `too-many-requests`, `locked-out` |
| 500 | `internal-fault`, `service-fault`, `compute-fault`, `fit-failed`, `storage-fault`, \
`storage-refused`, `reconstruction-failed` |
| 503 | `overloaded`, `queue-full`, `time-limit`, `storage-unavailable`, `references-not-ready`, \
`weights-unavailable` and other `weights-…` that say what is wrong with a model file |
"""

TAGS: Final = [
    {"name": "enroll", "description": "For the mobile app: selfies to a 3D identity."},
    {
        "name": "capture",
        "description": "For the page on which people take their own pictures: a token of one session.",
    },
    {"name": "verify", "description": "For the kiosk: a depth capture against the identity."},
    {"name": "identify", "description": "A search among all who are enrolled, where it is switched on."},
    {"name": "ops", "description": "For operations: what is stored, and its deletion."},
    {"name": "health", "description": "For the platform; no API key."},
]
