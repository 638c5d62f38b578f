"""Hours of faults, kept apart from `make test`; ``protocol`` says what a module here offers."""
