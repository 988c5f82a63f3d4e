"""What users, laptops and time do to the compendium, done on purpose: `make kills`."""
