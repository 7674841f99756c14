"""How long to wait before the next try: growing, bounded, and different for everybody.

Pure arithmetic; who sleeps and where the randomness comes from is up to the caller.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Delays of ``first_s * factor**n`` seconds up to ``cap_s``, each spread by half to both sides."""

    first_s: float = 1.0
    factor: float = 2.0
    cap_s: float = 10.0
    jitter: Callable[[], float] = random.random
    failures: int = field(default=0, init=False)

    def failed(self, *, at_least_s: float = 0.0) -> float:
        """Count a failure and give the seconds to wait; ``at_least_s`` is what the server asked for."""
        # The exponent is bounded so that days of failures do not overflow a float.
        plain = min(self.cap_s, self.first_s * self.factor ** min(self.failures, 32))
        self.failures += 1
        spread = plain * (0.5 + self.jitter())
        return max(spread, at_least_s * (1 + self.jitter() / 4))

    def succeeded(self) -> None:
        """Start over with short delays."""
        self.failures = 0
