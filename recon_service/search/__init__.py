"""Who of all that are enrolled it is: exact search of identity posteriors by their likelihood ratio."""
