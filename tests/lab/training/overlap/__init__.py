"""Teaching what hears several voices at once."""
