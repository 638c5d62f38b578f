"""Set-up from outside."""
