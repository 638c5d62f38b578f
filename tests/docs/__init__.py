"""The documentation's generated parts: ``python -m tests.docs`` writes them, tests compare them."""
