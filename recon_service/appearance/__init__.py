"""Aligned pictures of faces -> vectors that are alike for one person: appearance, beside the shape."""
