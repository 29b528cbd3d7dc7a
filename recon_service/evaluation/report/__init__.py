"""The result as one HTML file with pictures, readable without a network."""
