"""What is written so that others can read it without a database: templates in bytes, and signatures."""
