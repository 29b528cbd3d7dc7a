"""Templates derived anew in batches, judged, put in force and taken back."""
