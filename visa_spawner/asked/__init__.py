"""What a person may ask for, and whether they may have it."""
