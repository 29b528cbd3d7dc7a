"""Two identity posteriors -> a comparison score -> a decision."""
