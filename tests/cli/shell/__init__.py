"""Help pages and completion."""
