"""How the whole suite draws its examples: the same ones every time, or 2,000 random ones each night."""

import os

from hypothesis import HealthCheck, settings

_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
settings.register_profile("steady", derandomize=True, deadline=None, max_examples=25, suppress_health_check=_SLOW)
settings.register_profile("nightly", deadline=None, max_examples=2000, suppress_health_check=_SLOW)
settings.load_profile("nightly" if os.environ.get("TINYMETA_NIGHTLY") else "steady")
