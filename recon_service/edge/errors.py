"""Why a kiosk does not decide by itself. A non-match is no error."""

from __future__ import annotations

from recon_service.domain.errors import CallerError


class EdgeRefused(CallerError):
    """Root: nothing is decided without the service."""

    code = "edge-refused"
    title = "The kiosk may not decide by itself"


class BundleAltered(EdgeRefused):
    """Not a bundle, or not as a trusted service signed it."""

    code = "bundle-altered"
    title = "The bundle is not as it was signed"


class BundleNotForThisKiosk(EdgeRefused):
    """Made for another kiosk or another site."""

    code = "bundle-not-for-this-kiosk"
    title = "The bundle is another kiosk's"


class BundleExpired(EdgeRefused):
    """Its time is over."""

    code = "bundle-expired"
    title = "The bundle has expired"


class BundleRolledBack(EdgeRefused):
    """Older than one that this kiosk has had; or a statement of revocations that is."""

    code = "bundle-rolled-back"
    title = "A newer one was here before"


class ClockSetBack(EdgeRefused):
    """The kiosk's clock shows less than it did, or than the service's did."""

    code = "clock-set-back"
    title = "The clock was set back"


class EdgeStateLost(EdgeRefused):
    """The kiosk's memory of bundles and reports is missing or was altered."""

    code = "edge-state-lost"
    title = "The kiosk's state is not to be trusted"


class SubjectNotInBundle(EdgeRefused):
    """The site does not hold the subject."""

    code = "subject-not-in-bundle"
    title = "The subject is not in the bundle"


class SubjectRevoked(EdgeRefused):
    """Deleted, enrolled anew or taken from the site since the bundle was made."""

    code = "subject-revoked"
    title = "The subject was revoked"


class SubjectRefused(EdgeRefused):
    """Too many verifications without a match."""

    code = "subject-refused"
    title = "Refused after verifications without a match"
