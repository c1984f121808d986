"""What plug-in authors and our own tests share: conformance suites, builders, fakes."""

try:
    import pytest
except ImportError:  # the builders and fakes work without it
    pass
else:
    # The suites are no test modules of the one who runs them; their asserts should explain themselves all the same.
    pytest.register_assert_rewrite("wheelyard.testing.conformance", "wheelyard.testing.index_suite")
