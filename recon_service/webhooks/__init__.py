"""The way out to the endpoints of webhooks: which addresses may be reached, and how."""
