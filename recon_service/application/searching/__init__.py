"""Who is this? One against all."""
