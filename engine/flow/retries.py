"""When a failed step is tried again, and after how long."""

from __future__ import annotations

import hashlib

from engine.model.events import INTERRUPTED, FailureTakenOver, StepFailed
from engine.model.graph import RetryPolicy


def wants_retry(policy: RetryPolicy, failed: StepFailed) -> bool:
    """Whether the policy gives the step another attempt after this failure."""
    if failed.error_type == INTERRUPTED or isinstance(failed, FailureTakenOver):
        return False
    return failed.attempt < policy.max_attempts and (not policy.on or failed.error_type in policy.on)


def delay_us(policy: RetryPolicy, attempt: int, key: str) -> int:
    """Microseconds to wait after the given attempt, from 1.

    Jitter spreads steps that failed together over ``delay * (1 +- jitter)``. It is drawn from ``key``, so that the
    same history always gives the same times.
    """
    delay_s = min(policy.max_delay_s, policy.delay_s * policy.backoff ** min(attempt - 1, 100))
    draw = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest()) / 2**64
    return round(delay_s * (1 + policy.jitter * (2 * draw - 1)) * 1e6)
