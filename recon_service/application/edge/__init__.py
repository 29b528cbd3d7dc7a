"""Bundles of templates for kiosks that decide without the service."""
