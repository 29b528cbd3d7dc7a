"""What searches are tried on."""
