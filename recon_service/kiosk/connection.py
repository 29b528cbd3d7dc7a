"""One kiosk's line to the service: requests over HTTP, and what an answer that is no success means."""

from __future__ import annotations

from typing import Any, Final

import httpx

from recon_service.kiosk.errors import (
    ServiceBusy,
    ServiceError,
    ServiceRefused,
    ServiceUnreachable,
    SessionOver,
)

SESSION_OVER: Final = ("kiosk-session-invalid", "capture-replayed")
LOCKED_OUT: Final = "locked-out"


class Connection:
    """api_key: empty for none. timeout: of one request. certificate: (certificate, key) files for mutual TLS.
    authority: file with the certificates to trust, None for the system's.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout: httpx.Timeout,
        certificate: tuple[str, str] | None = None,
        authority: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._url = url
        trust: Any = True
        if certificate is not None or authority is not None:
            trust = _tls(certificate, authority)
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=timeout,
            transport=transport,
            verify=trust,
            # A redirect would carry a capture to where nobody decided to send it.
            follow_redirects=False,
            trust_env=False,
        )

    def send(self, method: str, path: str, **content: Any) -> httpx.Response:
        """A request, once. Raises ServiceUnreachable, ServiceBusy, SessionOver, ServiceRefused."""
        try:
            answer = self._http.request(method, path, **content)
        except httpx.TimeoutException as fault:
            raise ServiceUnreachable(
                f"{self._url} did not answer in time ({type(fault).__name__})",
                next_step="Check the network and the service; `recon kiosk check` asks it.",
            ) from None
        except httpx.HTTPError as fault:
            raise ServiceUnreachable(
                f"{self._url} cannot be reached ({type(fault).__name__})",
                next_step="Check the address, the network and the service.",
            ) from None
        if answer.is_success:
            return answer
        raise _error_of(answer)

    def reachable(self) -> bool:
        """Whether the service answers and is ready."""
        try:
            return self._http.get("/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        """Drop the connections."""
        self._http.close()


def not_ours(answer: httpx.Response) -> ServiceRefused:
    """For an answer that the service does not give."""
    fault = ServiceRefused(
        f"HTTP {answer.status_code} with a body that is not recon-service's", next_step="Check the address."
    )
    fault.status = answer.status_code
    return fault


def _error_of(answer: httpx.Response) -> ServiceError:
    """For an answer that is a problem (RFC 9457)."""
    failed = answer.status_code >= 500
    try:
        body = answer.json()
        code = str(body["type"]).rsplit("/", 1)[-1]
        detail, step = str(body["detail"]), str(body.get("next_step", ""))
    except (ValueError, KeyError, TypeError):
        if not failed:
            return not_ours(answer)
        # A proxy before the service speaks for itself.
        code, detail, step = "gateway", f"HTTP {answer.status_code} on the way to the service", ""
    transient = failed or answer.status_code == 429 or code == "nonce-used"
    # Who is locked out is not asked again, and not decided elsewhere either.
    if transient and code != LOCKED_OUT:
        busy = ServiceBusy(detail, next_step=step)
        busy.retry_after_s, busy.status = _retry_after(answer), answer.status_code
        return busy
    if code in SESSION_OVER:
        return SessionOver(detail, next_step=step)
    refused = ServiceRefused(detail, next_step=step)
    refused.problem, refused.status = code, answer.status_code
    return refused


def _retry_after(answer: httpx.Response) -> float:
    try:
        return min(max(float(answer.headers.get("retry-after", "1")), 0.0), 3600.0)
    except ValueError:
        return 1.0


def _tls(certificate: tuple[str, str] | None, authority: str | None) -> Any:
    import ssl

    context = ssl.create_default_context(cafile=authority)
    if certificate is not None:
        context.load_cert_chain(*certificate)
    return context
