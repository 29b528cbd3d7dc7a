"""Faces brought to one place and size, as the networks that read them want them."""
