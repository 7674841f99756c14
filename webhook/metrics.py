"""What the webhook counts. The registry is the process's own and is passed in."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from mig.names import METRICS_PREFIX
from webhook.served import ServedCertificate

_PREFIX: Final = f"{METRICS_PREFIX}webhook_"
_SECONDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""The API server gives up after 5 s."""


class Metrics:
    """Reviews by verdict, their latency, and the state of the serving certificate."""

    def __init__(self, registry: CollectorRegistry, served: ServedCertificate) -> None:
        self.reviews = Counter(
            f"{_PREFIX}reviews",
            "Admission reviews answered; verdict is allowed, denied or malformed (answered with 4xx)",
            ["verdict", "dry_run"],
            registry=registry,
        )
        self.seconds = Histogram(
            f"{_PREFIX}review_seconds",
            "From a request's headers to its answer, the time to receive the body included",
            buckets=_SECONDS,
            registry=registry,
        )
        self.certificate_errors = Counter(
            f"{_PREFIX}certificate_errors",
            "Versions of the certificates' Secret that were broken or torn; the certificate before stayed in use",
            registry=registry,
        )
        Gauge(
            f"{_PREFIX}certificate_seconds_left",
            "Until the serving certificate expires; negative once it has, or while there is none",
            registry=registry,
        ).set_function(served.seconds_left)
        Gauge(
            f"{_PREFIX}certificate_valid",
            "1 while the serving certificate is valid by our clock, else 0",
            registry=registry,
        ).set_function(lambda: float(served.trouble() is None))
