"""Teaching the small network that hears several voices at once."""
