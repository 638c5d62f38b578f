"""Stands before the package of that name, so that these tests are the same with and without it."""
