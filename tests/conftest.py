"""What every test runs under."""

import os

import pytest


@pytest.fixture(autouse=True)
def _ordinary_scheduling() -> None:
    """Run with the scheduler's ordinary policy.

    Children inherit a real-time one, and two of them that never wait then starve whoever waits for them.
    """
    if hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
